//! `cargo xt dictionary`: trains the compression dictionary for payloads.
//!
//! A dictionary is part of the format, so a released one is never written again: a better one gets the next
//! number. It is trained on payloads as the archive writes them, made of generated traffic in which people use one
//! half of the sentences; the bench measures with the other half ([`Phrases`]).

use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use piperoll_format::{Facts, Payload, Placement, Provenance, Seq, Skeleton, SkeletonItem, Timestamp};
use piperoll_sources::Item;
use piperoll_sources::whatsapp::split;

use crate::repository;
use crate::traffic::{BASE_TIME, Phrases, Profile, Random, Target, Traffic, Webhook};

/// A seed that neither the demo nor the bench uses.
const SEED: u64 = 0x5eed_d1c7;
const DICTIONARY_BYTES: usize = 64 * 1024;
/// Bodies of one message after each body of mixed traffic: about 70 of 100 samples, as most webhooks are.
const SINGLES_EACH: usize = 3;
/// How many payloads of one message, in sentences that were held out, tell how good a dictionary is.
const TRIALS: usize = 4_000;
/// The level that payloads are compressed at.
const LEVEL: i32 = 3;

/// Reasons for a class, as the shipped policies give them.
const REASONS: [&str; 6] = [
    "finra-4511 v1 > sec-17a-4 v1",
    "mifid-ii v1",
    "mifid-ii-7y v1 > mifid-ii v1",
    "hipaa v1",
    "gdpr-consent v1",
    "operations v1",
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
    let path =
        repository::root().join(format!("crates/piperoll-format/src/dictionary/{}.zdict", arguments.number));
    if path.exists() {
        bail!("`{}` exists; a dictionary is never changed, expected a new number", path.display());
    }
    let samples = samples();
    let dictionary = zstd::dict::from_samples(&samples, DICTIONARY_BYTES).context("cannot train")?;
    std::fs::create_dir_all(path.parent().expect("the path has a folder"))?;
    std::fs::write(&path, &dictionary).with_context(|| format!("cannot write `{}`", path.display()))?;
    repository::say(&format!("{} bytes from {} samples", dictionary.len(), samples.len()));
    repository::say(&trial(&dictionary)?);
    Ok(ExitCode::SUCCESS)
}

/// Makes payloads of every shape that the generator has, well mixed: the trainer chooses its parameters by the
/// last quarter.
fn samples() -> Vec<Vec<u8>> {
    let mut random = Random::new(SEED);
    let profile = Profile {
        conversations: 1_400,
        history_messages: 300,
        phrases: Phrases::Training,
        ..Profile::demo()
    };
    let mut singles = singles(Traffic::training_bodies(SEED, BASE_TIME, usize::MAX));
    let mut samples = Vec::new();
    for webhook in Traffic::new(SEED, &profile) {
        for webhook in std::iter::once(webhook).chain(singles.by_ref().take(SINGLES_EACH)) {
            samples.extend(payloads(&webhook, &mut random));
        }
    }
    samples
}

fn singles(bodies: impl Iterator<Item = Vec<u8>>) -> impl Iterator<Item = Webhook> {
    bodies.zip(BASE_TIME..).map(|(body, at)| Webhook { body, label: "text", at, target: Target::Webhook })
}

/// Compresses payloads of one message in sentences that were held out.
fn trial(dictionary: &[u8]) -> Result<String> {
    let mut random = Random::new(SEED + 1);
    let mut compressor = zstd::bulk::Compressor::with_dictionary(LEVEL, dictionary)?;
    compressor.include_dictid(false)?;
    compressor.include_contentsize(false)?;
    let (mut bytes, mut compressed) = (0, 0);
    for webhook in singles(Traffic::message_bodies(SEED + 1, BASE_TIME, TRIALS)) {
        for payload in payloads(&webhook, &mut random) {
            bytes += payload.len();
            // The method byte comes, and the four bytes of the magic number go.
            compressed += 1 + compressor.compress(&payload)?.len() - 4;
        }
    }
    let (bytes, compressed) = (bytes / TRIALS, compressed / TRIALS);
    Ok(format!("a payload of one message that was held out: {bytes} bytes, compressed {compressed}"))
}

/// Makes the payloads that the server makes of a body.
fn payloads(webhook: &Webhook, random: &mut Random) -> Vec<Vec<u8>> {
    let body = &webhook.body;
    let mut items = split(body).items;
    let provenance = provenance(webhook, random);
    let whole = Payload { parts: vec![body.clone()], provenance, ..Payload::default() };
    if webhook.target == Target::Event || items.len() == 1 {
        let item = items.remove(0);
        let placement = Some(Placement { delivery: None, ranges: ranges(&item) });
        return vec![Payload { facts: facts(item, random), placement, ..whole }.encode()];
    }
    let delivery = Seq(random.below(1 << 24));
    let places = items.iter().zip(delivery.0 + 1..);
    let places = places.map(|(item, seq)| SkeletonItem { seq: Seq(seq), ranges: ranges(item) }).collect();
    let skeleton = Some(Skeleton { body_length: body.len() as u64, items: places });
    // Nobody's delivery has many ranges and few words; the slices are what there is to learn from.
    let mut payloads = vec![Payload { parts: vec![rest(body, &items)], skeleton, ..whole.clone() }.encode()];
    for item in items {
        let parts = item.ranges.iter().map(|range| body[range.clone()].to_vec()).collect();
        let placement = Some(Placement { delivery: Some(delivery), ranges: ranges(&item) });
        let provenance = Provenance { signature: None, ..whole.provenance.clone() };
        let facts = facts(item, random);
        payloads.push(Payload { parts, provenance, facts, placement, skeleton: None }.encode());
    }
    payloads
}

fn provenance(webhook: &Webhook, random: &mut Random) -> Provenance {
    let from_meta = webhook.target == Target::Webhook;
    let micros = random.below(2 * Timestamp::SECOND);
    Provenance {
        source: if from_meta { "whatsapp" } else { "api" }.to_owned(),
        received_at: Some(Timestamp(webhook.at.unsigned_abs() * Timestamp::SECOND + micros)),
        media_type: "application/json".to_owned(),
        signature: from_meta.then(|| format!("sha256={}", random.characters(b"0123456789abcdef", 64))),
        signature_key: Some(match webhook.target {
            Target::Webhook => random.characters(b"0123456789abcdef", 8),
            Target::Event => "token:ingest".to_owned(),
        }),
    }
}

fn facts(item: Item, random: &mut Random) -> Facts {
    Facts {
        subject: item.subject,
        source_id: item.source_id,
        number: item.number,
        occurred_at: item.occurred_at,
        flags: item.flags.iter().map(|flag| flag.as_str().to_owned()).collect(),
        class_reason: Some((*random.pick(&REASONS)).to_owned()),
        conflicts_with: None,
    }
}

fn ranges(item: &Item) -> Vec<std::ops::Range<u64>> {
    item.ranges.iter().map(|range| range.start as u64..range.end as u64).collect()
}

/// Cuts the items out of a body.
fn rest(body: &[u8], items: &[Item]) -> Vec<u8> {
    let mut inside = vec![false; body.len()];
    for range in items.iter().flat_map(|item| &item.ranges) {
        inside[range.clone()].fill(true);
    }
    body.iter().zip(inside).filter(|(_, inside)| !inside).map(|(byte, _)| *byte).collect()
}
