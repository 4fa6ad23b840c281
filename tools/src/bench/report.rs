//! What the bench found, as a Markdown table for the README and as JSON.

use std::fmt::Write;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Serialize;

use super::figure::{Figure, Results, Sample, Summary, Target, amount};
use super::machine::Machine;
use super::probe::Flush;

/// How it was measured.
#[derive(Debug, Serialize)]
pub(super) struct Conditions {
    pub(super) date: String,
    pub(super) machine: Machine,
    pub(super) rounds: u64,
    pub(super) events: u64,
    pub(super) seconds: u64,
    /// Versions of what was compared.
    pub(super) peers: Vec<String>,
    /// What a reader must know to judge the figures.
    pub(super) notes: Vec<String>,
}

#[derive(Serialize)]
struct Row<'a> {
    key: &'a str,
    title: &'a str,
    unit: &'a str,
    target: Option<f64>,
    is_reached: Option<bool>,
    #[serde(flatten)]
    summary: Summary,
    samples: &'a [Sample],
}

#[derive(Serialize)]
struct Document<'a> {
    #[serde(flatten)]
    conditions: &'a Conditions,
    figures: Vec<Row<'a>>,
}

/// Writes everything, with every round, to a JSON file.
///
/// # Errors
///
/// Fails when the file cannot be written.
pub(super) fn write_json(path: &Path, conditions: &Conditions, results: &Results) -> Result<()> {
    let figures = results.rows.iter().map(|(figure, samples)| row(figure, samples)).collect();
    let text = serde_json::to_string_pretty(&Document { conditions, figures })?;
    std::fs::write(path, text + "\n").with_context(|| format!("cannot write `{}`", path.display()))
}

fn row<'a>(figure: &'a Figure, samples: &'a [Sample]) -> Row<'a> {
    let summary = Summary::of(samples);
    Row {
        key: figure.key,
        title: figure.title,
        unit: figure.unit,
        target: figure.target.bound(),
        is_reached: figure.target.is_reached(summary.median),
        summary,
        samples,
    }
}

/// Writes conditions and medians in Markdown.
pub(super) fn markdown(conditions: &Conditions, results: &Results) -> String {
    let mut out = format!(
        "Measured {} on {}; median of {} rounds (least to most).\n\n",
        conditions.date,
        conditions.machine.line(),
        conditions.rounds
    );
    out.push_str("| what | unit | target | measured | measured / target |\n|---|---|---|---|---|\n");
    for (figure, samples) in results.rows.iter().filter(|(figure, _)| !figure.is_detail) {
        let summary = Summary::of(samples);
        writeln!(
            out,
            "| {} | {} | {} | {} | {} |",
            figure.title,
            figure.unit,
            wanted(figure.target),
            range(summary),
            share(figure.target, summary.median)
        )
        .expect("a string takes everything");
    }
    let probes = [
        ("of a new 4 KiB file", flushes(results, |flush| flush.p50_ms)),
        ("of 4 KiB in place", flushes(results, |flush| flush.in_place_p50_ms)),
    ];
    for (what, range) in probes {
        if let Some((least, most)) = range {
            let (least, most) = (amount(least), amount(most));
            writeln!(out, "\nFlush probe, p50 {what}: {least} to {most} ms.")
                .expect("a string takes everything");
        }
    }
    out.push('\n');
    for line in conditions.notes.iter().chain(&conditions.peers) {
        writeln!(out, "- {line}").expect("a string takes everything");
    }
    out
}

fn wanted(target: Target) -> String {
    match target {
        Target::AtLeast(bound) => format!("≥ {}", amount(bound)),
        Target::AtMost(bound) => format!("≤ {}", amount(bound)),
        Target::None => "–".to_owned(),
    }
}

fn range(summary: Summary) -> String {
    let Summary { median, min, max } = summary;
    let [median, min, max] = [median, min, max].map(amount);
    if min == max { median } else { format!("{median} ({min} to {max})") }
}

fn share(target: Target, median: f64) -> String {
    match (target.bound(), target.is_reached(median)) {
        (Some(bound), Some(true)) => format!("{:.2}", median / bound),
        (Some(bound), _) => format!("**{:.2}** (not reached)", median / bound),
        (None, _) => "–".to_owned(),
    }
}

/// Gives the fastest and the slowest of all probes.
fn flushes(results: &Results, of: impl Fn(Flush) -> f64) -> Option<(f64, f64)> {
    let samples = results.rows.iter().flat_map(|(_, samples)| samples);
    let mut medians: Vec<f64> = samples.filter_map(|sample| sample.flush).flatten().map(of).collect();
    medians.sort_by(f64::total_cmp);
    Some((*medians.first()?, *medians.last()?))
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests may unwrap")]
mod tests {
    use super::{Conditions, markdown, write_json};
    use crate::bench::figure::{Figure, Results, Target};
    use crate::bench::machine::Machine;
    use crate::bench::probe::Flush;

    static RATE: Figure = Figure::new("rate", "ingest", "events/s", Target::AtLeast(12_000.0));
    static SIZE: Figure = Figure::new("size", "stored", "bytes", Target::AtMost(550.0));
    static PEER: Figure = Figure::new("peer", "peer", "rows/s", Target::None);
    static WORST: Figure = Figure::new("worst", "worst", "ms", Target::None).detail();

    fn example() -> (Conditions, Results) {
        let machine = Machine {
            cpu: "A CPU".to_owned(),
            cores: 2,
            memory_gib: 8,
            kernel: "6.1".to_owned(),
            file_system: "ext4".to_owned(),
            load_average: "0.10".to_owned(),
        };
        let conditions = Conditions {
            date: "2026-11-21".to_owned(),
            machine,
            rounds: 3,
            events: 1_000,
            seconds: 5,
            peers: vec!["PostgreSQL 15".to_owned()],
            notes: vec!["caches were warm".to_owned()],
        };
        let mut results = Results::default();
        let flush = |p50_ms| {
            let before = Flush { p50_ms, max_ms: 9.0, in_place_p50_ms: 0.25 };
            Some([before, Flush { p50_ms: p50_ms * 2.0, ..before }])
        };
        for (value, probe) in [(15_000.0, 0.1), (11_000.0, 0.2), (24_000.0, 0.3)] {
            results.add(&RATE, value, flush(probe));
        }
        results.add(&SIZE, 660.0, None);
        results.add(&PEER, 900.0, None);
        results.add(&WORST, 70.0, None);
        (conditions, results)
    }

    #[test]
    fn table_shows_target_median_and_ratio() {
        let (conditions, results) = example();
        assert_eq!(
            markdown(&conditions, &results),
            "Measured 2026-11-21 on A CPU, 2 cores, 8 GiB, Linux 6.1, ext4, load 0.10 before; median of 3 rounds (least to most).\n\
             \n\
             | what | unit | target | measured | measured / target |\n\
             |---|---|---|---|---|\n\
             | ingest | events/s | ≥ 12,000 | 15,000 (11,000 to 24,000) | 1.25 |\n\
             | stored | bytes | ≤ 550 | 660 | **1.20** (not reached) |\n\
             | peer | rows/s | – | 900 | – |\n\
             \n\
             Flush probe, p50 of a new 4 KiB file: 0.10 to 0.60 ms.\n\
             \n\
             Flush probe, p50 of 4 KiB in place: 0.25 to 0.25 ms.\n\
             \n\
             - caches were warm\n\
             - PostgreSQL 15\n"
        );
    }

    #[test]
    fn json_has_every_round() {
        let (conditions, results) = example();
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("bench.json");
        write_json(&path, &conditions, &results).unwrap();
        let value: serde_json::Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        assert_eq!(value["machine"]["cores"], 2);
        assert_eq!(value["figures"][0]["median"], 15_000.0);
        assert_eq!(value["figures"][0]["is_reached"], true);
        assert_eq!(value["figures"][0]["samples"][2]["value"], 24_000.0);
        assert_eq!(value["figures"][0]["samples"][2]["flush"][1]["p50_ms"], 0.6);
        assert_eq!(value["figures"][1]["is_reached"], false);
        assert_eq!(value["figures"][2]["target"], serde_json::Value::Null);
        assert_eq!(value["figures"][3]["key"], "worst");
    }
}
