//! Copying what the replica lacks, one segment after the other.
//!
//! The order of writes is the writer's: first everything that a segment names, under its lock, then the segment. A
//! crash leaves objects that no segment names yet, and the next start finds its place by looking at the replica.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use piperoll_format::{
    EventCore, Genesis, Kind, ObjectDigest, ObjectEntry, ObjectName, Segment, SegmentNo, Seq,
};
use piperoll_store::{Clock, Lock};
use tokio::sync::Semaphore;

use crate::end::find_end;
use crate::error::{ReplicaError, Side};
use crate::place::{Pair, Place, describe};

/// Segments whose objects are copied at the same time.
const SEGMENTS_AHEAD: usize = 8;

/// Objects of one segment that are copied at the same time.
const OBJECTS_AHEAD: usize = 4;

/// KiB of packs and key objects that are in memory at the same time; a larger object is alone in it.
const MEMORY_KIB: u32 = 64 * 1024;

/// Findings that are kept with their words; further ones are only counted.
const FINDINGS_MAX: usize = 100;

/// Copies a ledger from one store to the other.
#[derive(Debug)]
pub struct Copier {
    pub(crate) pair: Pair,
    pub(crate) primary: Place,
    pub(crate) replica: Place,
    pub(crate) clock: Arc<dyn Clock>,
    memory: Arc<Semaphore>,
    /// The first segment that the replica lacks.
    next: SegmentNo,
    /// Digest of the segment before that, or of the genesis object.
    previous: ObjectDigest,
    /// Events that the replica holds.
    pub(crate) size: u64,
    /// Events whose tiles were published on the replica.
    pub(crate) tiles_to: u64,
    /// The checkpoint over what the replica holds.
    pub(crate) checkpoint: Option<Bytes>,
    /// Objects that were ordered to go and that the replica did not give up.
    pub(crate) left: BTreeMap<String, String>,
    findings: Vec<String>,
    findings_count: u64,
}

/// A segment that was read from the primary, with everything that it names on the replica.
#[derive(Debug)]
struct Fetched {
    number: SegmentNo,
    bytes: Bytes,
    lock: Lock,
    findings: Vec<String>,
}

impl Copier {
    /// Finds out how far the replica is and that it is a copy of this ledger; begins one when there is none.
    ///
    /// # Errors
    /// [`ReplicaError::Conflict`] when the replica holds something that the primary does not.
    pub async fn open(pair: Pair, clock: Arc<dyn Clock>) -> Result<Self, ReplicaError> {
        let (primary, replica) = (pair.place(Side::Primary), pair.place(Side::Replica));
        let genesis = copy_genesis(&primary, &replica, clock.now_micros()).await?;
        let mut copier = Self {
            pair,
            primary,
            replica,
            clock,
            memory: Arc::new(Semaphore::new(MEMORY_KIB as usize)),
            next: SegmentNo(0),
            previous: ObjectDigest::of(&genesis),
            size: 0,
            tiles_to: 0,
            checkpoint: None,
            left: BTreeMap::new(),
            findings: Vec::new(),
            findings_count: 0,
        };
        let end = find_end(&copier.replica, SegmentNo(0)).await?;
        if let Some(last) = end.0.checked_sub(1).map(SegmentNo) {
            copier.resume(last).await?;
        }
        copier.tiles_to = copier.size;
        Ok(copier)
    }

    /// Returns how many events the replica holds.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Returns what was found wrong while copying, at most a hundred, and how much it was in all.
    #[must_use]
    pub fn findings(&self) -> (&[String], u64) {
        (&self.findings, self.findings_count)
    }

    /// Copies everything that the primary holds now. `done` is told the replica's number of events after each segment.
    ///
    /// It may be dropped at any time and called again.
    ///
    /// # Errors
    /// [`ReplicaError`]; what was copied before stays copied.
    pub async fn catch_up(&mut self, mut done: impl FnMut(u64) + Send) -> Result<(), ReplicaError> {
        self.retry_left().await?;
        let end = find_end(&self.primary, self.next).await?;
        let (primary, replica) = (self.primary.clone(), self.replica.clone());
        let (memory, now) = (self.memory.clone(), self.clock.now_micros());
        let fetched = stream::iter(self.next.0..end.0)
            .map(|number| fetch(&primary, &replica, &memory, SegmentNo(number), now))
            .buffered(SEGMENTS_AHEAD);
        let mut fetched = std::pin::pin!(fetched);
        while let Some(fetched) = fetched.try_next().await? {
            self.settle(fetched).await?;
            done(self.size);
        }
        self.publish().await;
        Ok(())
    }

    /// Takes the replica's newest segment as the place to go on from, and repeats what follows from it: a crash may
    /// have come between the segment and that.
    async fn resume(&mut self, last: SegmentNo) -> Result<(), ReplicaError> {
        let name = ObjectName::Segment(last);
        let missing = |side: Side| ReplicaError::Conflict {
            side,
            object: name.to_string(),
            expected: "the newest segment of the replica".to_owned(),
            found: "none: the primary ends before the replica".to_owned(),
        };
        let bytes = self.replica.get(&name).await?.ok_or_else(|| missing(Side::Replica))?;
        let original = self.primary.get(&name).await?.ok_or_else(|| missing(Side::Primary))?;
        if bytes != original {
            return Err(ReplicaError::Conflict {
                side: Side::Replica,
                object: name.to_string(),
                expected: describe(&original),
                found: describe(&bytes),
            });
        }
        let segment = self.decode(&bytes, last)?;
        (self.previous, self.next) = (ObjectDigest::of(&bytes), last.next());
        self.size = segment.end_seq().0;
        self.checkpoint = Some(Bytes::copy_from_slice(segment.checkpoint.as_bytes()));
        self.follow_orders(&segment).await
    }

    fn decode<'a>(&self, bytes: &'a Bytes, number: SegmentNo) -> Result<Segment<'a>, ReplicaError> {
        let object = || ObjectName::Segment(number).to_string();
        let side = Side::Primary;
        let segment = Segment::decode(bytes).map_err(|source| ReplicaError::Damaged {
            side,
            object: object(),
            source,
        })?;
        if (segment.ledger, segment.number) == (self.primary.ledger, number) {
            return Ok(segment);
        }
        Err(ReplicaError::Conflict {
            side,
            object: object(),
            expected: format!("segment {number} of ledger {}", self.primary.ledger),
            found: format!("segment {} of ledger {}", segment.number, segment.ledger),
        })
    }

    /// Writes a segment whose objects are on the replica, and does there what its events order.
    async fn settle(&mut self, fetched: Fetched) -> Result<(), ReplicaError> {
        let Fetched { number, bytes, lock, findings } = fetched;
        let segment = self.decode(&bytes, number)?;
        if (segment.previous, segment.first_seq) != (self.previous, Seq(self.size)) {
            return Err(ReplicaError::Conflict {
                side: Side::Primary,
                object: ObjectName::Segment(number).to_string(),
                expected: format!("a segment after {} with event {}", self.previous, self.size),
                found: format!("one after {} with event {}", segment.previous, segment.first_seq),
            });
        }
        // From here on the replica holds the commit.
        self.replica.create(&ObjectName::Segment(number), &bytes, &lock).await?;
        self.follow_orders(&segment).await?;
        (self.previous, self.next) = (ObjectDigest::of(&bytes), number.next());
        self.size = segment.end_seq().0;
        self.checkpoint = Some(Bytes::copy_from_slice(segment.checkpoint.as_bytes()));
        findings.into_iter().for_each(|finding| self.report(finding));
        Ok(())
    }

    /// Carries out the disposals that a segment orders.
    async fn follow_orders(&mut self, segment: &Segment<'_>) -> Result<(), ReplicaError> {
        for (index, core) in segment.cores.iter().enumerate() {
            // A core that cannot be read is the verifier's finding; it is copied as it is.
            let Ok(core) = EventCore::decode(core) else { continue };
            if matches!(core.kind, Kind::DisposalOrdered | Kind::DisposalCompleted) {
                self.carry_out(Seq(segment.first_seq.0 + index as u64)).await?;
            }
        }
        Ok(())
    }

    /// Keeps and logs what was found wrong.
    pub(crate) fn report(&mut self, finding: String) {
        tracing::error!(finding, "the replica is not a full copy");
        self.findings_count += 1;
        if self.findings.len() < FINDINGS_MAX {
            self.findings.push(finding);
        }
    }
}

/// Copies the genesis object and the dictionaries, and returns the former.
async fn copy_genesis(primary: &Place, replica: &Place, now: u64) -> Result<Bytes, ReplicaError> {
    let name = ObjectName::Genesis;
    let missing = || ReplicaError::Conflict {
        side: Side::Primary,
        object: name.to_string(),
        expected: format!("the genesis object of ledger {}", primary.ledger),
        found: "none".to_owned(),
    };
    let bytes = primary.get(&name).await?.ok_or_else(missing)?;
    let damaged = |source| ReplicaError::Damaged { side: Side::Primary, object: name.to_string(), source };
    let genesis = Genesis::decode(&bytes).map_err(damaged)?;
    if genesis.ledger != primary.ledger {
        return Err(missing());
    }
    for (number, digest) in &genesis.dictionaries {
        let name = ObjectName::Dictionary { number: *number };
        if replica.head(&name).await?.is_some() {
            continue;
        }
        let found = primary.get(&name).await?;
        let Some(found) = found.filter(|found| ObjectDigest::of(found) == *digest) else {
            return Err(ReplicaError::Conflict {
                side: Side::Primary,
                object: name.to_string(),
                expected: format!("digest {digest}"),
                found: "nothing, or other bytes".to_owned(),
            });
        };
        let lock = copied_lock(primary, &name, genesis.retain_until.0.0, now).await?;
        replica.create(&name, &found, &lock).await?;
    }
    let lock = copied_lock(primary, &name, genesis.retain_until.0.0, now).await?;
    // The copy exists from here on.
    replica.create(&name, &bytes, &lock).await?;
    Ok(bytes)
}

/// Returns the lock for a copy: as recorded, or as the primary has it if that is longer, and its hold.
///
/// A date that has passed keeps nothing, and stores that enforce locks refuse it.
pub(crate) async fn copied_lock(
    primary: &Place,
    name: &ObjectName,
    recorded: u64,
    now: u64,
) -> Result<Lock, ReplicaError> {
    let found = primary.head(name).await?.map(|meta| meta.lock);
    let stored = found.and_then(|lock| lock.retain_until).unwrap_or(0);
    let until = recorded.max(stored);
    let hold = found.is_some_and(|lock| lock.hold);
    Ok(Lock { retain_until: (until > now).then_some(until), hold })
}

/// Reads a segment and copies everything that it names.
async fn fetch(
    primary: &Place,
    replica: &Place,
    memory: &Arc<Semaphore>,
    number: SegmentNo,
    now: u64,
) -> Result<Fetched, ReplicaError> {
    let name = ObjectName::Segment(number);
    let bytes = primary.get(&name).await?.ok_or_else(|| ReplicaError::Conflict {
        side: Side::Primary,
        object: name.to_string(),
        expected: "a segment".to_owned(),
        found: "none, although later ones are there".to_owned(),
    })?;
    let (objects, recorded) = {
        let damaged =
            |source| ReplicaError::Damaged { side: Side::Primary, object: name.to_string(), source };
        let segment = Segment::decode(&bytes).map_err(damaged)?;
        (segment.objects, segment.retain_until.0.0)
    };
    let findings: Vec<Option<String>> = stream::iter(objects)
        .map(|entry| async move {
            let kib = u32::try_from(entry.size / 1_024 + 1).unwrap_or(MEMORY_KIB).min(MEMORY_KIB);
            let _memory = memory.acquire_many(kib).await.expect("nobody closes the semaphore");
            copy_object(primary, replica, number, &entry, now).await
        })
        .buffer_unordered(OBJECTS_AHEAD)
        .try_collect()
        .await?;
    let lock = copied_lock(primary, &name, recorded, now).await?;
    Ok(Fetched { number, bytes, lock, findings: findings.into_iter().flatten().collect() })
}

/// Copies a pack or key object. What cannot be copied because the primary no longer has it as it was committed is
/// returned in words: it must not keep later commits from being copied.
async fn copy_object(
    primary: &Place,
    replica: &Place,
    segment: SegmentNo,
    entry: &ObjectEntry,
    now: u64,
) -> Result<Option<String>, ReplicaError> {
    let name = entry.name(segment);
    let recorded = entry.retain_until.0.0;
    // The size comes first, so that an object that grew is not read into memory.
    let size = primary.head(&name).await?.map(|meta| meta.size);
    let is_expected = size == Some(entry.size) || (size.is_none() && recorded > now);
    let bytes = if is_expected { primary.get_as(&name, entry.digest).await? } else { None };
    match (size, bytes) {
        (_, Some(bytes)) if ObjectDigest::of(&bytes) == entry.digest => {
            let lock = copied_lock(primary, &name, recorded, now).await?;
            replica.create(&name, &bytes, &lock).await?;
            Ok(None)
        }
        // It was disposed of before it was copied; the order comes in a later segment, and a scrub compares both.
        (None, _) if recorded <= now => Ok(None),
        (found, _) => {
            let copy = replica.get(&name).await?;
            if copy.is_some_and(|copy| ObjectDigest::of(&copy) == entry.digest) {
                return Ok(None);
            }
            let found = if found.is_some() { "other bytes" } else { "nothing" };
            Ok(Some(format!(
                "object `{name}`: expected digest {}, found {found} on the primary",
                entry.digest
            )))
        }
    }
}
