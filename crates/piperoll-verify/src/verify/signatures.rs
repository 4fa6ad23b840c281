//! Signatures of events, checked in batches over the limits of segments.

use bytes::Bytes;
use ed25519_dalek::{Signature, VerifyingKey};
use piperoll_format::{Seq, signed_bytes};
use piperoll_tlog::note::key::VerifierKey;
use rayon::prelude::*;

use super::batch::{Signed, all_fit};
use super::segment::SignedCore;

/// Signatures checked at once; more gain nothing.
const BATCH: usize = 4_096;

/// Below this it is cheaper to check one by one than to cut a failed batch further.
const SINGLE: usize = 4;

/// Signatures after which waiting ones are checked.
const WAITING_MAX: usize = 2 * BATCH;

/// The signed cores of one segment.
#[derive(Debug)]
pub(super) struct SignedSegment {
    pub(super) name: String,
    pub(super) bytes: Bytes,
    pub(super) cores: Vec<SignedCore>,
}

/// Collects signatures until a batch is worth it: a segment may have a single event.
#[derive(Debug, Default)]
pub(super) struct SignatureQueue {
    waiting: Vec<SignedSegment>,
    count: usize,
}

impl SignatureQueue {
    /// Adds a segment's signatures; returns work when there is enough of it.
    pub(super) fn add(&mut self, segment: SignedSegment) -> Option<Vec<SignedSegment>> {
        self.count += segment.cores.len();
        self.waiting.push(segment);
        (self.count >= WAITING_MAX).then(|| self.take())
    }

    /// Returns what is left.
    pub(super) fn take(&mut self) -> Vec<SignedSegment> {
        self.count = 0;
        std::mem::take(&mut self.waiting)
    }
}

struct Item<'a> {
    segment: &'a str,
    seq: Seq,
    message: Vec<u8>,
    signature: Signature,
    key: VerifyingKey,
}

/// Returns the events whose signatures do not fit, with the names of their segments.
pub(super) fn check_signatures(segments: &[SignedSegment], vkeys: &[VerifierKey]) -> Vec<(String, Seq)> {
    let cores: Vec<(&SignedSegment, &SignedCore)> =
        segments.iter().flat_map(|segment| segment.cores.iter().map(move |core| (segment, core))).collect();
    let bad = |batch: &[(&SignedSegment, &SignedCore)]| {
        let item = |(segment, core): &(&'_ SignedSegment, &SignedCore)| {
            (signed_bytes(&segment.bytes[core.core.clone()]), core.seq, core.signature, core.key)
        };
        let items: Vec<Item<'_>> = batch
            .iter()
            .map(|pair| {
                let (message, seq, signature, key) = item(pair);
                let key = *vkeys[key].public_key();
                Item {
                    segment: &pair.0.name,
                    seq,
                    message,
                    signature: Signature::from_bytes(&signature),
                    key,
                }
            })
            .collect();
        let mut bad = Vec::new();
        bisect(&items, &mut bad);
        bad
    };
    cores.par_chunks(BATCH).flat_map_iter(bad).collect()
}

fn bisect(items: &[Item<'_>], bad: &mut Vec<(String, Seq)>) {
    if items.len() <= SINGLE {
        let fits = |item: &&Item<'_>| item.key.verify_strict(&item.message, &item.signature).is_ok();
        bad.extend(items.iter().filter(|item| !fits(item)).map(|item| (item.segment.to_owned(), item.seq)));
        return;
    }
    let signed: Vec<Signed<'_>> = items
        .iter()
        .map(|item| Signed { message: &item.message, signature: item.signature, key: item.key })
        .collect();
    if !all_fit(&signed) {
        let (left, right) = items.split_at(items.len() / 2);
        bisect(left, bad);
        bisect(right, bad);
    }
}
