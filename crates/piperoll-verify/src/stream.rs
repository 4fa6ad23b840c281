//! Reading of whole ranges: for followers, exports and rebuilds.
//!
//! Segments are read ahead; their events are cut into units, and those of small segments joined to one. Each unit reads
//! its stretch of every pack at once and is opened on a computing thread. The stages run at the same time and their
//! results come in order.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use bytes::Bytes;
use futures::future::ready;
use futures::{StreamExt as _, TryStreamExt as _, stream, stream::BoxStream};
use piperoll_format::{Bucket, KeyId, Kind, LedgerId, ObjectEntry, ObjectName, SegmentNo, Seq, SubjectKey};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::ReadError;
use crate::keys::KeyRequest;
use crate::payload::{Opened, ReadEvent, open, place};
use crate::pool::{compute, with_codec};
use crate::reader::LedgerReader;
use crate::segment::{SegmentData, StoredEvent};

/// Segments that are read ahead: as many as keep a store busy that answers after some milliseconds.
const SEGMENTS_AHEAD: usize = 32;

/// KiB of segments, with their decoded events, that are read ahead: three of the largest.
const SEGMENTS_KIB_MAX: u32 = 36 * 1_024;

/// What a segment is taken to weigh before it is known what segments of this ledger weigh, in KiB.
const SEGMENT_KIB_DEFAULT: u32 = 1_024;

/// A segment with its decoded events weighs so many times its bytes.
const DECODED_FACTOR: usize = 3;

/// Units that are read and opened at the same time.
const UNITS_AHEAD: usize = 32;

/// KiB of payloads, stored and opened, of the units that are read and opened at the same time.
const UNITS_KIB_MAX: u32 = 12 * 1_024;

/// Stretches of one unit that are read at the same time.
const STRETCHES_AHEAD: usize = 8;

/// Most events of a unit.
const UNIT_EVENTS_MAX: usize = 512;

/// Bytes, stored and opened, after which a unit ends; a single larger payload is a unit of its own.
const UNIT_BYTES_MAX: u64 = 3 * 1024 * 1024;

impl LedgerReader {
    /// Reads the events `from..to` that exist now, in order, in batches that fit memory. A payload that cannot be
    /// read is part of its event; the stream ends after an error.
    ///
    /// At most about 64 MB are in flight.
    pub fn stream(&self, from: Seq, to: Seq) -> BoxStream<'static, Result<Vec<ReadEvent>, ReadError>> {
        self.stream_of(from, to, |_| true)
    }

    /// Reads events as [`Self::stream`] does, but opens only the payloads of wanted kinds; the others are
    /// [`ReadError::LeftOut`].
    pub fn stream_of(
        &self,
        from: Seq,
        to: Seq,
        is_wanted: fn(Kind) -> bool,
    ) -> BoxStream<'static, Result<Vec<ReadEvent>, ReadError>> {
        let (segments, opener) = (self.clone(), self.clone());
        let (room, unit_room) = (Arc::new(SegmentRoom::default()), Arc::new(Room::new(UNITS_KIB_MAX)));
        stream::once(self.clone().numbers(from, to))
            .map_ok(|numbers| stream::iter(numbers.map(Ok::<_, ReadError>)))
            .try_flatten()
            .map_ok(move |number| {
                units(segments.clone(), SegmentNo(number), from..to, is_wanted, room.clone())
            })
            .try_buffered(SEGMENTS_AHEAD)
            .map_ok(|(units, _taken)| stream::iter(units.into_iter().map(Ok::<_, ReadError>)))
            .try_flatten()
            .map(Some)
            .chain(stream::iter([None]))
            .scan(Unit::default(), |small, unit| ready(Some(join(small, unit))))
            .flat_map(stream::iter)
            .map_ok(move |unit| open_unit(opener.clone(), unit, is_wanted, unit_room.clone()))
            .try_buffered(UNITS_AHEAD)
            .map_ok(|(events, _taken)| events)
            .boxed()
    }

    /// Returns the numbers of the segments that hold `from..to`.
    async fn numbers(self, from: Seq, to: Seq) -> Result<Range<u64>, ReadError> {
        if to.0 > self.size() {
            self.refresh().await?;
        }
        let to = Seq(to.0.min(self.size()));
        if from >= to {
            return Ok(0..0);
        }
        Ok(self.locate(from).await?.0..self.locate(Seq(to.0 - 1)).await?.0 + 1)
    }
}

/// Memory for what is read ahead, given out in the order in which it is asked for.
#[derive(Debug)]
struct Room {
    free: Arc<Semaphore>,
    kib_max: u32,
}

/// A part of a [`Room`]; given back when it is dropped.
type Taken = OwnedSemaphorePermit;

impl Room {
    fn new(kib_max: u32) -> Self {
        Self { free: Arc::new(Semaphore::new(kib_max as usize)), kib_max }
    }

    /// Waits until there is room; what is larger than the whole room takes all of it.
    async fn take(&self, kib: u32) -> Taken {
        let taken = self.free.clone().acquire_many_owned(kib.clamp(1, self.kib_max)).await;
        taken.expect("the semaphore is never closed")
    }
}

/// Room for segments, whose weight is known only after they are read: they are taken to weigh what the last one did.
#[derive(Debug)]
struct SegmentRoom {
    room: Room,
    last_kib: AtomicU32,
}

impl Default for SegmentRoom {
    fn default() -> Self {
        Self { room: Room::new(SEGMENTS_KIB_MAX), last_kib: AtomicU32::new(SEGMENT_KIB_DEFAULT) }
    }
}

impl SegmentRoom {
    async fn take(&self) -> Taken {
        self.room.take(self.last_kib.load(Ordering::Relaxed)).await
    }

    fn note(&self, bytes: usize) {
        self.last_kib.store(kib(bytes.saturating_mul(DECODED_FACTOR) as u64), Ordering::Relaxed);
    }
}

/// Returns a size in whole KiB, as much as there can be.
fn kib(bytes: u64) -> u32 {
    u32::try_from(bytes / 1_024 + 1).unwrap_or(u32::MAX)
}

/// Events that are read and opened together, with the bytes, stored and opened, that this takes.
#[derive(Default)]
struct Unit {
    events: Vec<StoredEvent>,
    bytes: u64,
}

impl Unit {
    fn has_room(&self, events: usize, bytes: u64) -> bool {
        self.events.is_empty()
            || (self.events.len() + events <= UNIT_EVENTS_MAX
                && self.bytes.saturating_add(bytes) <= UNIT_BYTES_MAX)
    }
}

/// Joins units that are smaller than they may be; behind the last one, and before an error, whatever is joined so far
/// is complete.
fn join(small: &mut Unit, next: Option<Result<Unit, ReadError>>) -> Vec<Result<Unit, ReadError>> {
    match next {
        Some(Ok(next)) if small.has_room(next.events.len(), next.bytes) => {
            small.events.extend(next.events);
            small.bytes = small.bytes.saturating_add(next.bytes);
            Vec::new()
        }
        Some(Ok(next)) => vec![Ok(std::mem::replace(small, next))],
        ended => {
            let last = std::mem::take(small);
            let last = (!last.events.is_empty()).then_some(Ok(last));
            last.into_iter().chain(ended).collect()
        }
    }
}

/// Decodes the events of a segment that are in `range`, and cuts them into units.
async fn units(
    reader: LedgerReader,
    number: SegmentNo,
    range: Range<Seq>,
    is_wanted: fn(Kind) -> bool,
    room: Arc<SegmentRoom>,
) -> Result<(Vec<Unit>, Taken), ReadError> {
    let taken = room.take().await;
    let segment = reader.segment_in_passing(number).await?;
    room.note(segment.weight());
    Ok((compute(move || cut(&segment, range, is_wanted)).await?, taken))
}

fn cut(
    segment: &SegmentData,
    range: Range<Seq>,
    is_wanted: fn(Kind) -> bool,
) -> Result<Vec<Unit>, ReadError> {
    let (from, to) = (segment.first_seq().max(range.start), segment.end_seq().min(range.end));
    let (mut units, mut unit) = (Vec::new(), Unit::default());
    for seq in from.0..to.0 {
        let event = segment.event(Seq(seq))?;
        let weight = weight(&event, is_wanted);
        if !unit.has_room(1, weight) {
            units.push(std::mem::take(&mut unit));
        }
        unit.events.push(event);
        unit.bytes = unit.bytes.saturating_add(weight);
    }
    units.push(unit);
    Ok(units)
}

/// Returns the bytes, stored and opened, that reading an event takes.
fn weight(event: &StoredEvent, is_wanted: fn(Kind) -> bool) -> u64 {
    let payload = &event.core.payload;
    if is_wanted(event.core.kind) { payload.length.saturating_add(payload.stored) } else { 0 }
}

/// A unit's stretch of one pack.
struct Stretch {
    name: ObjectName,
    start: u64,
    bytes: Result<Bytes, ReadError>,
}

/// The keys of a unit: those of one name in another bucket, or of another commit, may be others.
type Keys = HashMap<Bucket, HashMap<KeyRequest, SubjectKey>>;

/// What an event needs of the unit's packs: which stretch and which bytes of it, counted in the pack.
type Need = Result<(usize, Range<u64>), ReadError>;

async fn open_unit(
    reader: LedgerReader,
    unit: Unit,
    is_wanted: fn(Kind) -> bool,
    room: Arc<Room>,
) -> Result<(Vec<ReadEvent>, Taken), ReadError> {
    let taken = room.take(kib(unit.bytes)).await;
    let unit = unit.events;
    let (packs, needs) = plan(&unit, is_wanted);
    let reads: Vec<_> = packs
        .iter()
        .map(|(pack, range, _)| read_stretch(reader.clone(), pack.clone(), range.clone()))
        .collect();
    let stretches: Vec<Stretch> = stream::iter(reads).buffered(STRETCHES_AHEAD).try_collect().await?;
    let keys = find_keys(&reader, requests(&packs, &stretches)).await?;
    let ledger = reader.ledger();
    let mut events: Vec<ReadEvent> = compute(move || {
        let opened = unit.into_iter().zip(needs);
        opened
            .map(|(event, need)| {
                let payload = need.and_then(|need| open_in(ledger, &event, &stretches, &keys, need));
                ReadEvent { event, payload }
            })
            .collect()
    })
    .await;
    reader.open_again(&mut events).await;
    Ok((events, taken))
}

/// A pack's entry, its segment and the first event that needs it.
type Pack = (Arc<ObjectEntry>, SegmentNo, Seq);

/// A pack with the bytes and the keys that a unit needs.
type PackNeed = (Pack, Range<u64>, Vec<KeyId>);

/// Finds the packs of a unit, the bytes needed of each and the keys.
fn plan(unit: &[StoredEvent], is_wanted: fn(Kind) -> bool) -> (Vec<PackNeed>, Vec<Need>) {
    let mut packs: Vec<PackNeed> = Vec::new();
    let mut find = |event: &StoredEvent| {
        if !is_wanted(event.core.kind) {
            return Err(ReadError::LeftOut { seq: event.seq() });
        }
        let (_, range) = place(event)?;
        let entry = event.pack.as_ref().expect("a payload with a place has a pack");
        // Events of one segment follow each other, so theirs are the last ones.
        let position = packs.iter().rposition(|((known, ..), ..)| Arc::ptr_eq(known, entry));
        let position = position.unwrap_or_else(|| {
            packs.push(((entry.clone(), event.segment, event.seq()), range.clone(), Vec::new()));
            packs.len() - 1
        });
        let (_, all, ids) = &mut packs[position];
        *all = all.start.min(range.start)..all.end.max(range.end);
        ids.extend(event.core.payload.key);
        Ok((position, range))
    };
    let needs = unit.iter().map(&mut find).collect();
    (packs, needs)
}

/// Returns the keys to ask for, by bucket: those of the packs that are there.
fn requests(packs: &[PackNeed], stretches: &[Stretch]) -> BTreeMap<Bucket, Vec<KeyRequest>> {
    let mut requests: BTreeMap<Bucket, Vec<KeyRequest>> = BTreeMap::new();
    let there = packs.iter().zip(stretches).filter(|(_, stretch)| stretch.bytes.is_ok());
    for (((pack, segment, _), _, ids), _) in there.filter(|((_, _, ids), _)| !ids.is_empty()) {
        let mut ids = ids.clone();
        ids.sort_unstable();
        ids.dedup();
        let wanted = ids.into_iter().map(|id| KeyRequest { id, segment: *segment });
        requests.entry(pack.bucket.clone()).or_default().extend(wanted);
    }
    requests
}

async fn find_keys(
    reader: &LedgerReader,
    requests: BTreeMap<Bucket, Vec<KeyRequest>>,
) -> Result<Keys, ReadError> {
    let mut keys = Keys::new();
    for (bucket, requests) in requests {
        let found = reader.keys().keys(&bucket, &requests).await?;
        let found = requests.into_iter().zip(found);
        keys.insert(bucket, found.filter_map(|(request, key)| Some((request, key?))).collect());
    }
    Ok(keys)
}

async fn read_stretch(
    reader: LedgerReader,
    (pack, segment, seq): Pack,
    range: Range<u64>,
) -> Result<Stretch, ReadError> {
    let name = pack.name(segment);
    let start = range.start;
    let bytes = match reader.pack_range(&name, &pack, range, seq).await {
        Err(ReadError::Store(error)) => return Err(ReadError::Store(error)),
        other => other,
    };
    Ok(Stretch { name, start, bytes })
}

fn open_in(
    ledger: LedgerId,
    event: &StoredEvent,
    stretches: &[Stretch],
    keys: &Keys,
    (stretch, range): (usize, Range<u64>),
) -> Result<Opened, ReadError> {
    let stretch = &stretches[stretch];
    let bytes = stretch.bytes.as_ref().map_err(|error| for_event(error, event.seq()))?;
    let key = match (event.core.payload.key, &event.pack) {
        (Some(id), Some(pack)) => {
            let request = KeyRequest { id, segment: event.segment };
            let key = keys.get(&pack.bucket).and_then(|keys| keys.get(&request));
            Some(key.ok_or(ReadError::NoKey { seq: event.seq() })?)
        }
        _ => None,
    };
    let position = |at: u64| usize::try_from(at - stretch.start).expect("the stretch is in memory");
    let stored = &bytes[position(range.start)..position(range.end)];
    with_codec(|codec| open(codec, ledger, event, &stretch.name, stored, key))
}

/// Says for this event what is wrong with its pack.
fn for_event(error: &ReadError, seq: Seq) -> ReadError {
    match error.clone() {
        ReadError::Disposed { object, .. } => ReadError::Disposed { seq, object },
        ReadError::Damaged { object, source, .. } => ReadError::Damaged { object, seq: Some(seq), source },
        other => other,
    }
}
