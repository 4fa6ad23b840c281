//! Chooses queries out of the messages that were sent, so that they find what people would look for.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use chrono::DateTime;
use serde_json::Value;

use super::supply::bodies;

/// How many queries there are of each form.
const QUERIES: usize = 40;
/// How many words count as commonest.
const COMMONEST: usize = 10;

/// Queries of the forms that are measured.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Queries {
    pub(super) rare: Vec<String>,
    pub(super) phrase: Vec<String>,
    pub(super) both: Vec<String>,
    pub(super) common: Vec<String>,
    pub(super) range: Vec<String>,
}

struct Sample {
    text: String,
    number: String,
    /// When it was sent (Unix seconds).
    at: i64,
}

impl Queries {
    /// Looks at a few messages of each of `parts` parts of `count` messages, which were sent in this order.
    ///
    /// # Errors
    ///
    /// Fails when a body is not that of a text message.
    pub(super) fn choose(parts: u64, count: usize) -> Result<Self> {
        const LOOKED_AT: usize = 4_000;
        let each = LOOKED_AT.div_ceil(usize::try_from(parts)?.max(1));
        let mut samples = Vec::new();
        for part in 0..parts {
            for body in bodies(part, count).take(each) {
                samples.push(read(&body)?);
            }
        }
        let messages = i64::try_from(parts)? * i64::try_from(count)?;
        Ok(Self::from_samples(&samples, messages))
    }

    fn from_samples(samples: &[Sample], seconds: i64) -> Self {
        let mut queries = Self::default();
        let ranking = ranking(samples);
        let common = |word: &str| ranking.iter().take(COMMONEST).any(|known| known == word);
        for sample in samples.iter().step_by((samples.len() / QUERIES / 6).max(1)) {
            if let Some(reference) = reference(&sample.text) {
                queries.rare.push(reference.to_owned());
            }
            let words: Vec<&str> = sample.text.split(' ').collect();
            if let Some(three) = words.windows(3).find(|three| three.iter().all(|word| is_plain(word, 3))) {
                queries.phrase.push(format!("\"{}\"", three.join(" ")));
            }
            let mut long = words.iter().filter(|word| is_plain(word, 5) && !common(&word.to_lowercase()));
            if let (Some(first), Some(last)) = (long.next(), long.next_back()) {
                queries.both.push(format!("{first} AND {last}"));
            }
            let frequent = |word: &str| ranking.iter().position(|known| *known == word);
            let words = words.iter().filter(|word| is_plain(word, 2)).map(|word| word.to_lowercase());
            if let Some(word) = words.filter(|word| !common(word)).min_by_key(|word| frequent(word)) {
                // A tenth of all, with this message in the middle.
                let (start, end) = (instant(sample.at - seconds / 20), instant(sample.at + seconds / 20));
                queries.range.push(format!("{word} number:{} after:{start} before:{end}", sample.number));
            }
        }
        queries.common = ranking.into_iter().take(COMMONEST).collect();
        for list in [&mut queries.rare, &mut queries.phrase, &mut queries.both, &mut queries.range] {
            list.truncate(QUERIES);
        }
        queries
    }
}

fn read(body: &[u8]) -> Result<Sample> {
    let value: Value = serde_json::from_slice(body)?;
    let value = &value["entry"][0]["changes"][0]["value"];
    let text = |value: &Value| value.as_str().map(str::to_owned).context("expected a text message");
    Ok(Sample {
        text: text(&value["messages"][0]["text"]["body"])?,
        number: text(&value["metadata"]["phone_number_id"])?,
        at: text(&value["messages"][0]["timestamp"])?.parse()?,
    })
}

/// Gives the Latin words of the messages in lower case, commonest first.
fn ranking(samples: &[Sample]) -> Vec<String> {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for sample in samples {
        for word in sample.text.split(' ').filter(|word| is_plain(word, 2)) {
            *counts.entry(word.to_lowercase()).or_default() += 1;
        }
    }
    let mut words: Vec<(usize, String)> = counts.into_iter().map(|(word, count)| (count, word)).collect();
    words.sort_by(|left, right| right.cmp(left));
    words.into_iter().map(|(_, word)| word).collect()
}

fn is_plain(word: &str, letters_min: usize) -> bool {
    word.len() >= letters_min && word.bytes().all(|byte| byte.is_ascii_alphabetic())
}

/// Finds the digits of a reference such as `KD-123456`, which hardly any other message has.
fn reference(text: &str) -> Option<&str> {
    text.split(|next: char| !next.is_ascii_alphanumeric() && next != '-').find_map(|word| {
        let (letters, digits) = word.split_once('-')?;
        let is_one = is_plain(letters, 2) && digits.len() == 6 && digits.parse::<u32>().is_ok();
        is_one.then_some(digits)
    })
}

fn instant(seconds: i64) -> String {
    DateTime::from_timestamp(seconds, 0).unwrap_or_default().format("%Y-%m-%dT%H:%M:%SZ").to_string()
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests may unwrap")]
mod tests {
    use super::{COMMONEST, QUERIES, Queries, reference};

    #[test]
    fn references_are_found() {
        assert_eq!(reference("The number is KD-123456."), Some("123456"));
        assert_eq!(reference("12-123456 KD-12345 well-known"), None);
    }

    #[test]
    fn there_are_queries_of_every_form() {
        let queries = Queries::choose(3, 1_000).unwrap();
        for list in [&queries.rare, &queries.phrase, &queries.both, &queries.range] {
            assert_eq!(list.len(), QUERIES);
        }
        assert_eq!(queries.common.len(), COMMONEST);
        assert!(queries.phrase[0].split(' ').count() == 3 && queries.phrase[0].ends_with('"'));
        assert!(queries.both[0].contains(" AND "), "{}", queries.both[0]);
        let range = &queries.range[0];
        assert!(range.contains(" number:1000000000000"), "{range}");
        assert!(range.contains(" after:2026-10-0") && range.contains(" before:2026-10-0"), "{range}");
        assert_eq!(queries, Queries::choose(3, 1_000).unwrap());
    }
}
