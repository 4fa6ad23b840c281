//! What is measured, what it should reach, and what it was in each round.

use serde::Serialize;

use super::probe::Flush;
use crate::repository::say;

/// What a figure should reach.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Target {
    AtLeast(f64),
    AtMost(f64),
    /// Measured for comparison.
    None,
}

/// Something that is measured.
#[derive(Debug, PartialEq)]
pub(super) struct Figure {
    /// Its name in JSON.
    pub(super) key: &'static str,
    pub(super) title: &'static str,
    pub(super) unit: &'static str,
    pub(super) target: Target,
    /// Only for those who look closely: in JSON, but not in the table.
    pub(super) is_detail: bool,
}

impl Figure {
    /// Describes a figure of the table.
    pub(super) const fn new(
        key: &'static str,
        title: &'static str,
        unit: &'static str,
        target: Target,
    ) -> Self {
        Self { key, title, unit, target, is_detail: false }
    }

    /// Keeps it out of the table.
    pub(super) const fn detail(mut self) -> Self {
        self.is_detail = true;
        self
    }
}

/// One measurement.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) struct Sample {
    pub(super) value: f64,
    /// The flush probe before and after, where something was written.
    pub(super) flush: Option<[Flush; 2]>,
}

/// All measurements, in the order in which their figures first appeared.
#[derive(Debug, Default)]
pub(super) struct Results {
    pub(super) rows: Vec<(&'static Figure, Vec<Sample>)>,
}

impl Results {
    /// Adds a measurement and says it.
    pub(super) fn add(&mut self, figure: &'static Figure, value: f64, flush: Option<[Flush; 2]>) {
        let probe = flush.map_or_else(String::new, |[before, after]| {
            format!(
                "   (flush p50 {:.2} / {:.2} ms, max {:.1} / {:.1} ms, in place {:.2} / {:.2} ms)",
                before.p50_ms,
                after.p50_ms,
                before.max_ms,
                after.max_ms,
                before.in_place_p50_ms,
                after.in_place_p50_ms
            )
        });
        say(&format!("  {}: {} {}{probe}", figure.title, amount(value), figure.unit));
        let sample = Sample { value, flush };
        match self.rows.iter_mut().find(|(known, _)| known.key == figure.key) {
            Some((_, samples)) => samples.push(sample),
            None => self.rows.push((figure, vec![sample])),
        }
    }

    /// Adds how many times `ours` is `peer` in the newest round, if both were measured.
    pub(super) fn add_ratio(&mut self, ratio: &'static Figure, ours: &Figure, peer: &Figure) {
        if let (Some(ours), Some(peer)) = (self.newest(ours), self.newest(peer)) {
            self.add(ratio, ours / peer, None);
        }
    }

    fn newest(&self, figure: &Figure) -> Option<f64> {
        let (_, samples) = self.rows.iter().find(|(known, _)| known.key == figure.key)?;
        samples.last().map(|sample| sample.value)
    }
}

/// Median and extremes of some measurements.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) struct Summary {
    pub(super) median: f64,
    pub(super) min: f64,
    pub(super) max: f64,
}

impl Summary {
    /// Summarises at least one measurement.
    pub(super) fn of(samples: &[Sample]) -> Self {
        let mut values: Vec<f64> = samples.iter().map(|sample| sample.value).collect();
        values.sort_by(f64::total_cmp);
        let middle = values.len() / 2;
        let median = match values.as_slice() {
            [] => f64::NAN,
            values if values.len() % 2 == 1 => values[middle],
            values => f64::midpoint(values[middle - 1], values[middle]),
        };
        let edge = |value: Option<&f64>| value.copied().unwrap_or(f64::NAN);
        Self { median, min: edge(values.first()), max: edge(values.last()) }
    }
}

impl Target {
    /// Gives the wanted number.
    pub(super) fn bound(self) -> Option<f64> {
        match self {
            Self::AtLeast(bound) | Self::AtMost(bound) => Some(bound),
            Self::None => None,
        }
    }

    /// Says whether a value reaches the target; `None` without one.
    pub(super) fn is_reached(self, value: f64) -> Option<bool> {
        match self {
            Self::AtLeast(bound) => Some(value >= bound),
            Self::AtMost(bound) => Some(value <= bound),
            Self::None => None,
        }
    }
}

/// Writes a number with three or four significant digits and grouped thousands.
pub(super) fn amount(value: f64) -> String {
    if !value.is_finite() {
        return "–".to_owned();
    }
    match value.abs() {
        size if size >= 99.95 => grouped(value),
        size if size >= 9.995 => format!("{value:.1}"),
        size if size >= 0.0995 || size == 0.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

fn grouped(value: f64) -> String {
    let digits = format!("{value:.0}");
    let (sign, digits) = digits.strip_prefix('-').map_or(("", digits.as_str()), |rest| ("-", rest));
    let mut out = sign.to_owned();
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position) % 3 == 0 {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::{Figure, Results, Sample, Summary, Target, amount};

    static OURS: Figure = Figure::new("ours", "ours", "x", Target::None);
    static PEER: Figure = Figure::new("peer", "peer", "x", Target::None);
    static RATIO: Figure = Figure::new("ratio", "ratio", "x", Target::AtLeast(2.0));

    #[test]
    fn numbers_are_short_and_grouped() {
        for (value, expected) in [
            (1_234_567.8, "1,234,568"),
            (100.0, "100"),
            (-12_345.0, "-12,345"),
            (42.04, "42.0"),
            (3.456, "3.46"),
            (0.0, "0.00"),
            (0.0254, "0.025"),
            (f64::NAN, "–"),
        ] {
            assert_eq!(amount(value), expected);
        }
    }

    #[test]
    fn ratios_are_those_of_one_round() {
        let mut results = Results::default();
        results.add_ratio(&RATIO, &OURS, &PEER);
        assert!(results.rows.is_empty());
        for (ours, peer) in [(10.0, 5.0), (30.0, 10.0), (8.0, 8.0)] {
            results.add(&OURS, ours, None);
            results.add(&PEER, peer, None);
            results.add_ratio(&RATIO, &OURS, &PEER);
        }
        let (_, samples) = &results.rows[2];
        let ratios: Vec<f64> = samples.iter().map(|sample| sample.value).collect();
        assert_eq!(ratios, [2.0, 3.0, 1.0]);
        assert_eq!(Summary::of(samples), Summary { median: 2.0, min: 1.0, max: 3.0 });
    }

    #[test]
    fn median_of_an_even_number_is_between() {
        let samples = [4.0, 1.0, 3.0, 2.0].map(|value| Sample { value, flush: None });
        assert_eq!(Summary::of(&samples).median, 2.5);
        assert_eq!(Target::AtMost(2.5).is_reached(2.5), Some(true));
        assert_eq!(Target::AtLeast(2.5).is_reached(2.4), Some(false));
        assert_eq!(Target::None.is_reached(1.0), None);
    }
}
