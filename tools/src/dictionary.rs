//! `cargo xt dictionary`: trains the compression dictionary for payloads.
//!
//! A dictionary is part of the format, so a committed one is never written again: a better one gets the next
//! number. It is trained on generated traffic in which every human text is scrambled: it learns how WhatsApp
//! builds its JSON and how payloads are laid out, and no phrase of the generator, which would flatter measurements.

use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use piperoll_format::{Facts, Payload, Placement, Provenance, Seq, Timestamp};
use piperoll_sources::whatsapp::split;

use crate::repository;
use crate::traffic::{BASE_TIME, Profile, Target, Traffic, Webhook};

/// A seed that neither the demo nor the bench uses.
const SEED: u64 = 0x5eed_d1c7;
const DICTIONARY_BYTES: usize = 64 * 1024;
/// Fields whose values people write.
const TEXT_FIELDS: &[&str] = &[
    "body", "caption", "title", "description", "text", "name", "filename", "headline", "formatted_name", "address",
    "first_name", "last_name", "full_name", "footer", "payload", "statement", "evidence", "note",
];

/// Arguments of `cargo xt dictionary`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The number of the new dictionary
    number: u8,
}

/// Runs the task.
///
/// # Errors
///
/// Fails when the dictionary exists or cannot be made.
pub fn run(arguments: &Arguments) -> Result<ExitCode> {
    let path = repository::root().join(format!("crates/piperoll-format/src/dictionary/{}.zdict", arguments.number));
    if path.exists() {
        bail!("`{}` exists; a dictionary is never changed, expected a new number", path.display());
    }
    let samples = samples();
    let dictionary = zstd::dict::from_samples(&samples, DICTIONARY_BYTES).context("cannot train")?;
    std::fs::create_dir_all(path.parent().expect("the path has a folder"))?;
    std::fs::write(&path, &dictionary).with_context(|| format!("cannot write `{}`", path.display()))?;
    let bytes: usize = samples.iter().map(Vec::len).sum();
    repository::say(&format!("{} bytes from {} samples of {bytes} bytes", dictionary.len(), samples.len()));
    Ok(ExitCode::SUCCESS)
}

/// Payloads as the archive writes them, of every shape that the generator makes.
fn samples() -> Vec<Vec<u8>> {
    let mut samples = Vec::new();
    let profile = Profile { conversations: 2_000, history_messages: 300, ..Profile::demo() };
    for webhook in Traffic::new(SEED, &profile) {
        add(&mut samples, &webhook);
    }
    for (body, at) in Traffic::message_bodies(SEED, BASE_TIME, 6_000).into_iter().zip(BASE_TIME..) {
        add(&mut samples, &Webhook { body, label: "message", at, target: Target::Webhook });
    }
    samples
}

fn add(samples: &mut Vec<Vec<u8>>, webhook: &Webhook) {
    let body = scramble(&webhook.body, samples.len() as u64);
    let provenance = match webhook.target {
        Target::Webhook => Provenance {
            source: "whatsapp".into(),
            received_at: Some(Timestamp(webhook.at.unsigned_abs() * Timestamp::SECOND + 345_678)),
            media_type: "application/json".into(),
            signature: Some(format!("sha256={}", digits(samples.len() as u64, 64))),
            signature_key: Some(digits(1, 8)),
        },
        Target::Event => Provenance {
            source: "api".into(),
            received_at: Some(Timestamp(webhook.at.unsigned_abs() * Timestamp::SECOND + 345_678)),
            media_type: "application/json".into(),
            ..Provenance::default()
        },
    };
    let items = split(&body).items;
    let whole = items.len() == 1 || webhook.target == Target::Event;
    for (index, item) in items.iter().enumerate() {
        let ranges = item.ranges.iter().map(|range| range.start as u64..range.end as u64).collect();
        let parts = match whole {
            true => vec![body.clone()],
            false => item.ranges.iter().map(|range| body[range.clone()].to_vec()).collect(),
        };
        let delivery = (!whole).then_some(Seq(100_000 + samples.len() as u64 - index as u64));
        let facts = Facts {
            subject: item.subject.clone(),
            source_id: item.source_id.clone(),
            number: item.number.clone(),
            occurred_at: item.occurred_at,
            class_reason: Some("finra-4511 v1 > sec-17a-4 v1".into()),
            ..Facts::default()
        };
        let placement = Some(Placement { delivery, ranges });
        samples.push(Payload { parts, provenance: provenance.clone(), facts, placement, skeleton: None }.encode());
    }
}

/// Replaces the letters and digits of human texts by others, the same for the same seed.
fn scramble(body: &[u8], seed: u64) -> Vec<u8> {
    let mut body = body.to_vec();
    let mut state = seed;
    for field in TEXT_FIELDS {
        let opening = format!("\"{field}\":\"");
        let mut at = 0;
        while let Some(found) = find(&body[at..], opening.as_bytes()) {
            at += found + opening.len();
            while at < body.len() && body[at] != b'"' {
                if body[at] == b'\\' {
                    if body.get(at + 1) == Some(&b'u') && at + 6 <= body.len() {
                        // A surrogate stays in its half; within it and elsewhere the low byte becomes another one.
                        body[at + 4..at + 6].iter_mut().for_each(|digit| *digit = b"0123456789abcdef"[roll(&mut state, 16)]);
                        at += 6;
                    } else {
                        at += 2;
                    }
                    continue;
                }
                body[at] = match body[at] {
                    b'a'..=b'z' => b'a' + roll(&mut state, 26) as u8,
                    b'A'..=b'Z' => b'A' + roll(&mut state, 26) as u8,
                    b'0'..=b'9' => b'0' + roll(&mut state, 10) as u8,
                    other => other,
                };
                at += 1;
            }
        }
    }
    body
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

/// One step of SplitMix64, reduced below `bound`.
fn roll(state: &mut u64, bound: u64) -> usize {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    usize::try_from((z ^ (z >> 31)) % bound).expect("below a small bound")
}

fn digits(seed: u64, count: usize) -> String {
    let mut state = seed;
    (0..count).map(|_| char::from(b"0123456789abcdef"[roll(&mut state, 16)])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scrambling_hides_texts_and_keeps_the_json() {
        let body = br#"{"text":{"body":"Meet at 5 \u017c\ud83d\ude00 \"x\""},"id":"keep"}"#;
        let scrambled = scramble(body, 1);
        let text = String::from_utf8(scrambled.clone()).expect("ASCII");
        assert_eq!(scrambled.len(), body.len());
        assert!(!text.contains("Meet"));
        assert!(text.contains(r#""id":"keep""#));
        assert_eq!(scramble(body, 1), scrambled);
    }
}
