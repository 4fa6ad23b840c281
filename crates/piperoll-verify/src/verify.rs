//! Verification of a whole ledger: everything that can be checked from its bytes, in one pass and bounded memory.
//!
//! Segments are read ahead and checked by themselves on all cores; what ties them together is checked as they come
//! by in order. Nothing stops the run but a store that cannot be listed: findings go into the report.

mod assign;
mod batch;
mod derived;
mod disposal;
mod examine;
mod inventory;
mod link;
mod objects;
mod retention;
mod run;
mod segment;
mod signatures;

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use futures::{StreamExt as _, stream};
use piperoll_format::{Genesis, LedgerId, ObjectName, SegmentNo, Timestamp};
use piperoll_store::{ObjectKey, StoreError, WormStore};
use piperoll_tlog::note::key::VerifierKey;
use thiserror::Error;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use self::derived::Seen;
use self::examine::{Shared, examine, with_sources};
use self::inventory::{Inventory, PAGE, segment_number};
use self::link::Link;
use self::run::Run;
use self::segment::SegmentContext;
use crate::keys::KeySource;
use crate::reader::{genesis_key, key};
use crate::report::{Finding, FindingCode, Findings, Report};

/// Segments that are read and checked at the same time.
const SEGMENTS_AHEAD: usize = 32;

/// KiB of segments, times [`WEIGHT`], that are in memory at the same time.
const MEMORY_KIB: usize = 96 * 1024;

/// What a segment with its packs and the results takes, as a multiple of the segment.
const WEIGHT: u64 = 4;

/// What to verify and how.
#[derive(Clone, Default)]
pub struct VerifyOptions<'a> {
    /// The keys that are trusted. When empty, the key in genesis is believed, which shows nothing against whoever
    /// can replace the whole ledger.
    pub vkeys: Vec<VerifierKey>,
    /// Checks the signatures of checkpoints instead of every event's, and neither commitments nor tiles.
    pub quick: bool,
    /// A signed checkpoint remembered from an earlier time: the ledger must contain it.
    pub since: Option<String>,
    /// Keys of payloads; without them commitments of encrypted payloads are not checked.
    pub keys: Option<Arc<dyn KeySource>>,
    /// The time, for locks that have ended.
    pub now: Timestamp,
    /// Is told how far the run is, after every segment.
    pub progress: Option<&'a (dyn Fn(&Progress) + Send + Sync)>,
}

impl fmt::Debug for VerifyOptions<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { vkeys, quick, since, keys, now, progress: _ } = self;
        f.debug_struct("VerifyOptions")
            .field("vkeys", vkeys)
            .field("quick", quick)
            .field("since", since)
            .field("keys", keys)
            .field("now", now)
            .finish_non_exhaustive()
    }
}

/// How far a run is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Segments done.
    pub segments: u64,
    /// Segments in all.
    pub segments_total: u64,
    /// Events done.
    pub events: u64,
    /// Bytes read.
    pub bytes: u64,
    /// Findings so far.
    pub findings: u64,
}

/// Why a ledger could not be verified at all.
#[derive(Debug, Error)]
pub enum VerifyError {
    /// There is nothing under the ledger's name.
    #[error("expected objects of ledger `{ledger}`, found none")]
    NoLedger {
        /// The ledger.
        ledger: LedgerId,
    },
    /// The store could not be listed.
    #[error("store could not be listed")]
    Store(#[from] StoreError),
}

/// A segment as it was listed.
#[derive(Clone, Copy, Debug)]
struct Listed {
    number: SegmentNo,
    size: u64,
    retain_until: Option<u64>,
}

/// Verifies a ledger. Must be called inside a tokio runtime.
///
/// # Errors
/// [`VerifyError`] only when the ledger could not be read at all; everything else is in the report.
pub async fn verify_ledger(
    store: Arc<dyn WormStore>,
    ledger: LedgerId,
    options: VerifyOptions<'_>,
) -> Result<Report, VerifyError> {
    let mut findings = Findings::default();
    let mut unreadable = Vec::new();
    // Before the listings, so that a live writer is never behind what was seen of it.
    let checkpoint = read(&*store, ledger, &ObjectName::Checkpoint, &mut unreadable).await;
    let mut genesis_bytes = read(&*store, ledger, &ObjectName::Genesis, &mut unreadable).await;
    let mut inventory = Inventory::list(&*store, ledger).await?;
    let segments = list_segments(&*store, ledger, &mut inventory).await?;
    if segments.is_empty() && inventory.count == 0 {
        return Err(VerifyError::NoLedger { ledger });
    }
    if inventory.shadowed.contains_key(&key(ledger, &ObjectName::Genesis)) {
        genesis_bytes = store.get_original(&key(ledger, &ObjectName::Genesis)).await.ok().or(genesis_bytes);
    }
    let genesis = check_genesis(ledger, genesis_bytes.as_ref(), &mut findings);
    let vkeys = trusted_keys(&options.vkeys, genesis.as_ref(), &mut findings);
    let origin = genesis.as_ref().map(|genesis| genesis.origin.clone());
    let origin = origin.or_else(|| vkeys.first().map(|key| key.name().to_string()));
    let open = |what: &str, note: &str, code, findings: &mut Findings| {
        Seen::open(what, note, &vkeys, origin.as_deref(), code, findings)
    };
    let since = options.since.as_ref();
    let since =
        since.map(|note| open("remembered checkpoint", note, FindingCode::CheckpointInvalid, &mut findings));
    let derived = checkpoint.map(|bytes| {
        let note = String::from_utf8_lossy(&bytes);
        open(&ObjectName::Checkpoint.to_string(), &note, FindingCode::DerivedWrong, &mut findings)
    });
    let shared = Arc::new(Shared {
        store,
        ledger,
        context: SegmentContext {
            ledger,
            vkeys,
            origin,
            since_size: since.as_ref().and_then(Seen::size),
            derived_size: derived.as_ref().and_then(Seen::size),
            wants_leaves: !options.quick && !inventory.tiles.is_empty(),
        },
        keys: options.keys.clone(),
        is_quick: options.quick,
        last: segments.last().map_or(SegmentNo(0), |listed| listed.number),
        shadowed: std::mem::take(&mut inventory.shadowed),
    });
    let link = match (&genesis_bytes, &genesis) {
        (Some(bytes), Some(_)) => Link::at_genesis(bytes),
        _ => Link::default(),
    };
    let mut run = Run::new(shared.clone(), &options, genesis, inventory, link, findings, unreadable);
    (run.since, run.derived) = (since, derived);
    run.check_fixed_objects(genesis_bytes.as_ref()).await;
    pass(&mut run, shared, segments).await;
    Ok(run.finish().await)
}

/// Goes through the segments in order; they are read and checked ahead.
async fn pass(run: &mut Run<'_>, shared: Arc<Shared>, segments: Vec<Listed>) {
    run.progress.segments_total = segments.len() as u64;
    let memory = Arc::new(Semaphore::new(MEMORY_KIB));
    // Memory is taken in the order of the segments; otherwise later ones could keep an earlier one waiting for ever.
    let examined = stream::iter(segments)
        .then(|listed| {
            let memory = memory.clone();
            async move { (listed, reserve(memory, listed.size).await) }
        })
        .map(|(listed, memory)| {
            let task = tokio::spawn(examine(shared.clone(), listed.number));
            async move { (listed, memory, task.await) }
        })
        .buffered(SEGMENTS_AHEAD);
    let mut examined = std::pin::pin!(examined);
    while let Some((listed, memory, examined)) = examined.next().await {
        run.settle(listed, examined.expect("the checks do not panic, and nobody aborts them")).await;
        drop(memory);
    }
}

async fn reserve(memory: Arc<Semaphore>, size: u64) -> OwnedSemaphorePermit {
    let kib = (size / 1_024 + 4).saturating_mul(WEIGHT).min(MEMORY_KIB as u64);
    let kib = u32::try_from(kib).expect("the limit fits");
    memory.acquire_many_owned(kib).await.expect("nobody closes the semaphore")
}

async fn read(
    store: &dyn WormStore,
    ledger: LedgerId,
    name: &ObjectName,
    unreadable: &mut Vec<String>,
) -> Option<Bytes> {
    match store.get(&key(ledger, name)).await {
        Ok(bytes) => Some(bytes),
        Err(error) => {
            if !error.is_not_found() {
                unreadable.push(format!("`{name}`: {}", with_sources(&error)));
            }
            None
        }
    }
}

async fn list_segments(
    store: &dyn WormStore,
    ledger: LedgerId,
    inventory: &mut Inventory,
) -> Result<Vec<Listed>, StoreError> {
    let prefix = format!("{ledger}/log/");
    let mut segments = Vec::new();
    let mut after: Option<ObjectKey> = None;
    loop {
        let page = store.list(&prefix, after.as_ref(), PAGE).await?;
        let is_last = page.len() < PAGE;
        for meta in page {
            inventory.note_shadow(&meta);
            match segment_number(&meta.key, ledger) {
                Some(number) => {
                    let retain_until = meta.lock.retain_until;
                    segments.push(Listed { number, size: meta.size, retain_until });
                }
                None => {
                    let name = meta.key.as_str().split_once('/').map_or("", |(_, name)| name);
                    inventory.foreign.push(name.to_owned());
                }
            }
            after = Some(meta.key);
        }
        if is_last {
            return Ok(segments);
        }
    }
}

fn check_genesis(ledger: LedgerId, bytes: Option<&Bytes>, findings: &mut Findings) -> Option<Genesis> {
    let mut refuse = |code, expected: String, found: String| {
        findings.add(Finding::new(code, expected, found).at(ObjectName::Genesis));
    };
    let Some(bytes) = bytes else {
        refuse(FindingCode::ObjectMissing, "the genesis object".to_owned(), "nothing".to_owned());
        return None;
    };
    match Genesis::decode(bytes) {
        Ok(genesis) if genesis.ledger == ledger => Some(genesis),
        Ok(genesis) => {
            let found = format!("ledger {}", genesis.ledger);
            refuse(FindingCode::GenesisInvalid, format!("ledger {ledger}"), found);
            None
        }
        Err(error) => {
            refuse(FindingCode::GenesisInvalid, "a genesis object".to_owned(), error.to_string());
            None
        }
    }
}

/// Returns the keys to check with: those that are trusted, or that in genesis, and compares both.
fn trusted_keys(
    pinned: &[VerifierKey],
    genesis: Option<&Genesis>,
    findings: &mut Findings,
) -> Vec<VerifierKey> {
    let own = match genesis.map(genesis_key).transpose() {
        Ok(own) => own,
        Err(error) => {
            let finding = Finding::new(FindingCode::GenesisInvalid, "a usable public key", error.to_string());
            findings.add(finding.at(ObjectName::Genesis));
            None
        }
    };
    if pinned.is_empty() {
        return own.into_iter().collect();
    }
    if let Some(own) = own.filter(|own| !pinned.contains(own)) {
        let names_differ = pinned.iter().all(|key| key.name() != own.name());
        let code = if names_differ { FindingCode::OriginMismatch } else { FindingCode::KeyUnknown };
        let expected: Vec<String> = pinned.iter().map(ToString::to_string).collect();
        findings.add(Finding::new(code, expected.join(" or "), own.to_string()).at(ObjectName::Genesis));
    }
    pinned.to_vec()
}
