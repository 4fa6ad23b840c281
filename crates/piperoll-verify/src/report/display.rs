//! The report for people: what was checked, what is gone by order, and every finding with what was expected.

use std::fmt;

use super::{Finding, Report};

impl fmt::Display for Report {
    /// Writes the whole report as lines of at most about 100 columns, apart from long names.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_ledger(f)?;
        self.write_checks(f)?;
        let gone = self.tombstones;
        if gone.objects > 0 {
            let (objects, events) = (count(gone.objects), count(gone.events));
            writeln!(f, "\ndestroyed by order  {objects} objects with the payloads of {events} events")?;
        }
        self.write_findings(f)?;
        write_list(f, "could not be read", &self.unreadable)?;
        write_list(f, "notes", &self.notes)?;
        write!(f, "\n{}", self.verdict())
    }
}

impl Report {
    /// Returns the outcome in one sentence.
    #[must_use]
    pub fn verdict(&self) -> String {
        let findings: u64 = self.finding_counts.values().sum();
        match (findings, self.unreadable.len()) {
            (0, 0) => "no problems found".to_owned(),
            (0, unread) => {
                format!("incomplete: {unread} objects could not be read; nothing wrong in the rest")
            }
            (1, 0) => "1 problem found".to_owned(),
            (found, 0) => format!("{} problems found", count(found)),
            (found, unread) => {
                format!("{} problems found, and {unread} objects could not be read", count(found))
            }
        }
    }

    fn write_ledger(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "ledger    {}", self.ledger)?;
        if let Some(origin) = &self.origin {
            writeln!(f, "origin    {origin}")?;
        }
        for vkey in &self.vkeys {
            writeln!(f, "vkey      {vkey}")?;
        }
        let newest = self.recorded_at.as_deref().map_or_else(String::new, |at| format!(", newest {at}"));
        writeln!(f, "events    {} in {} segments{newest}", count(self.size), count(self.segments))?;
        if let Some(root) = &self.root {
            writeln!(f, "root      {root}")?;
        }
        writeln!(f, "read      {} objects, {} bytes", count(self.objects), count(self.bytes))
    }

    fn write_checks(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name_width = self.checked.iter().map(|check| check.what.len()).max().unwrap_or(0);
        let count_width = self.checked.iter().map(|check| count(check.count).len()).max().unwrap_or(0);
        writeln!(f, "\nchecked")?;
        for check in &self.checked {
            write!(f, "  {:<name_width$}  {:>count_width$}", check.what, count(check.count))?;
            match &check.skipped {
                Some(skipped) => writeln!(f, "  ({skipped})")?,
                None => writeln!(f)?,
            }
        }
        Ok(())
    }

    fn write_findings(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.findings.is_empty() {
            return Ok(());
        }
        writeln!(f, "\nfindings")?;
        for finding in &self.findings {
            write_finding(f, finding)?;
        }
        for (code, found) in &self.finding_counts {
            let listed = self.findings.iter().filter(|finding| finding.code == *code).count() as u64;
            if *found > listed {
                writeln!(f, "  {code}: {} more", count(found - listed))?;
            }
        }
        Ok(())
    }
}

fn write_finding(f: &mut fmt::Formatter<'_>, finding: &Finding) -> fmt::Result {
    write!(f, "  {}", finding.code)?;
    if let Some(object) = &finding.object {
        write!(f, "  {object}")?;
    }
    if let Some(event) = finding.event {
        write!(f, "  event {event}")?;
    }
    writeln!(f, "\n      expected  {}\n      found     {}", finding.expected, finding.found)
}

fn write_list(f: &mut fmt::Formatter<'_>, title: &str, lines: &[String]) -> fmt::Result {
    if lines.is_empty() {
        return Ok(());
    }
    writeln!(f, "\n{title}")?;
    lines.iter().try_for_each(|line| writeln!(f, "  {line}"))
}

/// Writes a number with separators between the thousands.
fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
