//! Opening a ledger: the same code after a clean stop, a crash and a lost race.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use piperoll_format::{
    Bucket, ChainHash, Codec, DisposalOrder, EventCore, Genesis, KeyId, Kind, ObjectDigest, ObjectEntry,
    ObjectName, Segment, SegmentNo, Seq, Timestamp, chain_hash,
};
use piperoll_store::StoreError;
use piperoll_tlog::checkpoint::Checkpoint;
use piperoll_tlog::frontier::Frontier;
use piperoll_tlog::hash::{NodeHash, leaf_hash};
use piperoll_tlog::note::key::VerifierKey;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::components::Recovering;
use crate::error::EngineError;
use crate::keyring::Keyring;
use crate::ledger::{LedgerStore, Tail};
use crate::read::{read_event, stored_keys};
use crate::state::{Addition, State};

/// Segments that are read ahead while local state is made again; the largest take about 2 MB each.
const SEGMENTS_AHEAD: usize = 16;

/// Events that are added to local state in one step, unless the last segment has more: sorted, the more there are, the
/// more fall on each page.
const EVENTS_AT_ONCE: usize = 32_768;

/// Events after which local state is flushed, so that a crash does not begin anew.
const DURABLE_EVERY: usize = 1_000_000;

/// The ledger's end as found in the store, and the checkpoint over it, if there is an event.
#[derive(Debug)]
pub(crate) struct Recovered {
    pub(crate) tail: Tail,
    pub(crate) checkpoint: Option<String>,
}

/// Says which object the ledger cannot be opened for, and what is wrong with it.
fn damaged(name: &ObjectName, error: impl std::error::Error + Send + Sync + 'static) -> EngineError {
    EngineError::fatal_from(format!("object `{name}` is damaged: {error}; run `piperoll verify`"), error)
}

/// Says what a segment should have been.
fn contradicts(number: SegmentNo, expected: &str, found: &str) -> EngineError {
    let name = ObjectName::Segment(number);
    EngineError::fatal(format!(
        "object `{name}` is damaged: expected {expected}, found {found}; run `piperoll verify`"
    ))
}

/// Reads the newest segment as it was committed, whatever lies over it: what comes next attaches to it.
async fn read_last(store: &LedgerStore, number: SegmentNo) -> Result<Bytes, EngineError> {
    let key = store.key(&ObjectName::Segment(number));
    let is_shadowed = store.store.head(&key).await.map_err(EngineError::unavailable)?.shadowed.is_some();
    if !is_shadowed {
        let bytes = store.store.get(&key).await.map_err(EngineError::unavailable)?;
        if decode_segment(number, &bytes).is_ok() {
            return Ok(bytes);
        }
    }
    read_original(store, number).await
}

async fn read_original(store: &LedgerStore, number: SegmentNo) -> Result<Bytes, EngineError> {
    let key = store.key(&ObjectName::Segment(number));
    store.store.get_original(&key).await.map_err(EngineError::unavailable)
}

fn decode_segment(number: SegmentNo, bytes: &Bytes) -> Result<Segment<'_>, EngineError> {
    let size = bytes.len();
    let segment = Segment::decode(bytes).map_err(|error| {
        let name = ObjectName::Segment(number);
        let reason = format!(
            "object `{name}` is damaged: expected a segment, found {size} bytes that are none ({error}); run \
             `piperoll verify`"
        );
        EngineError::fatal_from(reason, error)
    })?;
    if segment.number == number {
        return Ok(segment);
    }
    Err(contradicts(number, &format!("segment {number}"), &format!("segment {}", segment.number)))
}

/// Reads the genesis object.
pub(crate) async fn read_genesis(store: &LedgerStore) -> Result<(Genesis, Vec<u8>), EngineError> {
    let bytes = store.get(&ObjectName::Genesis).await.map_err(|error| match error {
        StoreError::NotFound { .. } => {
            EngineError::fatal("the store has no such ledger; create it with `piperoll init`")
        }
        error => EngineError::unavailable(error),
    })?;
    let genesis = Genesis::decode(&bytes).map_err(|error| damaged(&ObjectName::Genesis, error))?;
    if genesis.ledger != store.ledger {
        return Err(EngineError::fatal("the genesis object is of another ledger"));
    }
    Ok((genesis, bytes.to_vec()))
}

/// Brings the local state up to the newest segment and returns the ledger's end.
pub(crate) async fn recover(
    store: &LedgerStore,
    state: &Arc<State>,
    keyring: &mut Keyring,
    key: &VerifierKey,
    recovering: &watch::Sender<Recovering>,
) -> Result<Recovered, EngineError> {
    let (_, genesis) = read_genesis(store).await?;
    let cursor = state.cursor()?;
    let end = find_end(store, cursor).await?;
    replay((store, state), keyring, cursor..end, recovering).await?;
    let Some(last) = end.0.checked_sub(1).map(SegmentNo) else {
        let tail = Tail {
            segment: SegmentNo(0),
            seq: Seq(0),
            chain: chain_hash(&genesis),
            previous: ObjectDigest::of(&genesis),
            frontier: Frontier::new(),
            recorded_at: Timestamp(0),
        };
        return Ok(Recovered { tail, checkpoint: None });
    };
    let bytes = read_last(store, last).await?;
    let segment = decode_segment(last, &bytes)?;
    let tail = tail_after(store, &segment, &bytes)?;
    let checkpoint = Checkpoint::open(segment.checkpoint.as_bytes(), std::slice::from_ref(key))
        .map_err(|error| damaged(&ObjectName::Segment(last), error))?;
    let (size, root) = (tail.frontier.size(), tail.frontier.root());
    if checkpoint.size != size || checkpoint.root != root {
        let expected = format!("a checkpoint over {size} events with root {root}");
        let found = format!("one over {} with root {}", checkpoint.size, checkpoint.root);
        return Err(contradicts(last, &expected, &found));
    }
    Ok(Recovered { tail, checkpoint: Some(segment.checkpoint.to_owned()) })
}

/// Finds the first number without a segment: exponential, then binary search from the cursor.
async fn find_end(store: &LedgerStore, cursor: SegmentNo) -> Result<SegmentNo, EngineError> {
    let has = async |number: u64| {
        store.has(&ObjectName::Segment(SegmentNo(number))).await.map_err(EngineError::unavailable)
    };
    if cursor.0 > 0 && !has(cursor.0 - 1).await? {
        let name = ObjectName::Segment(SegmentNo(cursor.0 - 1));
        return Err(EngineError::fatal(format!(
            "the store ends before what this machine has committed: expected object `{name}`, found none; run \
             `piperoll verify`"
        )));
    }
    let (mut low, mut step) = (cursor.0, 1);
    while has(low + step - 1).await? {
        low += step;
        step *= 2;
    }
    // All numbers below `low` exist, `low + step - 1` does not.
    let mut high = low + step - 1;
    while low < high {
        let middle = low + (high - low) / 2;
        if has(middle).await? {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    Ok(SegmentNo(low))
}

/// A segment that is read before its turn, as far as local state wants to know it.
struct ReadAhead {
    number: SegmentNo,
    first_seq: Seq,
    cores: Vec<EventCore>,
    objects: Vec<ObjectEntry>,
    /// The ids of the keys in its key objects.
    keys: Vec<(Bucket, Vec<KeyId>)>,
    chain: ChainHash,
}

impl ReadAhead {
    fn of(number: SegmentNo, bytes: &Bytes) -> Result<Self, EngineError> {
        let segment = decode_segment(number, bytes)?;
        let cores = segment.cores.iter().map(|core| EventCore::decode(core)).collect::<Result<_, _>>();
        Ok(Self {
            number,
            first_seq: segment.first_seq,
            cores: cores.map_err(|error| damaged(&ObjectName::Segment(number), error))?,
            objects: segment.objects,
            keys: Vec::new(),
            chain: segment.chain_head,
        })
    }

    fn addition(&self) -> Addition<'_> {
        Addition {
            number: self.number,
            first_seq: self.first_seq,
            cores: &self.cores,
            objects: &self.objects,
            keys: &self.keys,
            chain: self.chain,
        }
    }

    fn orders(&self) -> impl Iterator<Item = Seq> {
        self.cores.iter().filter(|core| core.kind == Kind::DisposalOrdered).map(|core| core.seq)
    }
}

async fn read_ahead(store: LedgerStore, number: SegmentNo) -> Result<ReadAhead, EngineError> {
    let bytes = store.get(&ObjectName::Segment(number)).await.map_err(EngineError::unavailable)?;
    let mut read = match ReadAhead::of(number, &bytes) {
        Ok(read) => read,
        Err(_) => ReadAhead::of(number, &read_original(&store, number).await?)?,
    };
    read.keys = stored_keys(&store, number, &read.objects).await?;
    Ok(read)
}

/// Adds segments to local state: while one batch of them is added, the next one is read.
async fn replay(
    (store, state): (&LedgerStore, &Arc<State>),
    keyring: &mut Keyring,
    numbers: Range<SegmentNo>,
    recovering: &watch::Sender<Recovering>,
) -> Result<(), EngineError> {
    let total = numbers.end.0;
    let reads = (numbers.start.0..total).map(|number| read_ahead(store.clone(), SegmentNo(number)));
    let mut reads = stream::iter(reads).buffered(SEGMENTS_AHEAD);
    let (mut batch, mut adding, mut not_durable) = (Batch::default(), Adding::default(), 0);
    while let Some(read) = reads.try_next().await? {
        let (done, orders) = (read.number.next().0, read.orders().collect::<Vec<_>>());
        batch.push(read);
        if batch.events < EVENTS_AT_ONCE && orders.is_empty() && done < total {
            continue;
        }
        not_durable += batch.events;
        let durable = done == total || not_durable >= DURABLE_EVERY;
        not_durable = if durable { 0 } else { not_durable };
        adding.add(state, std::mem::take(&mut batch), durable).await?;
        if done == total || !orders.is_empty() {
            adding.finish().await?;
        }
        for seq in orders {
            forget_disposed((store, state), keyring, seq).await?;
        }
        let _ = recovering.send_replace(Recovering { done, total });
    }
    let _ = recovering.send_replace(Recovering { done: total, total });
    Ok(())
}

/// Segments that are added to local state together.
#[derive(Default)]
struct Batch {
    segments: Vec<ReadAhead>,
    events: usize,
}

impl Batch {
    fn push(&mut self, read: ReadAhead) {
        self.events += read.cores.len();
        self.segments.push(read);
    }
}

/// The batch that is being added to local state.
#[derive(Default)]
struct Adding(Option<JoinHandle<Result<(), EngineError>>>);

impl Adding {
    /// Adds a batch behind the one before: a large one on a thread of its own, a small one at once.
    async fn add(&mut self, state: &Arc<State>, batch: Batch, durable: bool) -> Result<(), EngineError> {
        self.finish().await?;
        let Batch { segments, events } = batch;
        let state = state.clone();
        let add = move || {
            let additions: Vec<Addition<'_>> = segments.iter().map(ReadAhead::addition).collect();
            state.add(&additions, durable)
        };
        if events < EVENTS_AT_ONCE {
            return add();
        }
        self.0 = Some(tokio::task::spawn_blocking(add));
        Ok(())
    }

    /// Waits for the batch.
    async fn finish(&mut self) -> Result<(), EngineError> {
        let Some(adding) = self.0.take() else { return Ok(()) };
        adding
            .await
            .map_err(|error| EngineError::fatal_from("adding to local state was interrupted", error))?
    }
}

/// Takes out of the inventory what an order named and what is really gone; the rest is still to be deleted.
async fn forget_disposed(
    (store, state): (&LedgerStore, &State),
    keyring: &mut Keyring,
    seq: Seq,
) -> Result<(), EngineError> {
    let event = read_event((store, state), keyring, &mut Codec::default(), seq).await?;
    let unreadable = || {
        EngineError::fatal(format!("the disposal order in event {seq} cannot be read; run `piperoll verify`"))
    };
    let document = event.as_ref().and_then(|event| event.payload.parts.first()).ok_or_else(unreadable)?;
    let order = DisposalOrder::decode(document).map_err(|error| unreadable_order(seq, error))?;
    keyring.forget(&order.bucket);
    let (mut gone, listed) = (Vec::new(), order.objects.len());
    for (name, _) in order.objects {
        let object = ObjectName::parse(&name).map_err(|error| unreadable_order(seq, error))?;
        if !store.has(&object).await.map_err(EngineError::unavailable)? {
            gone.push(name);
        }
    }
    state.forget(&gone, Some(&order.bucket).filter(|_| gone.len() == listed))
}

fn unreadable_order(seq: Seq, error: impl std::error::Error + Send + Sync + 'static) -> EngineError {
    let reason = format!("the disposal order in event {seq} cannot be read: {error}; run `piperoll verify`");
    EngineError::fatal_from(reason, error)
}

fn tail_after(store: &LedgerStore, segment: &Segment<'_>, bytes: &[u8]) -> Result<Tail, EngineError> {
    let number = segment.number;
    let hashes = segment.frontier.iter().map(|hash| NodeHash(*hash)).collect();
    let mut frontier = Frontier::from_parts(segment.first_seq.0, hashes)
        .map_err(|error| damaged(&ObjectName::Segment(number), error))?;
    segment.cores.iter().for_each(|core| frontier.append(leaf_hash(core)));
    let last = segment.cores.last().map(|core| (EventCore::decode(core), chain_hash(core)));
    let (core, chain) = last.ok_or_else(|| contradicts(number, "events", "none"))?;
    let core = core.map_err(|error| damaged(&ObjectName::Segment(number), error))?;
    if segment.ledger != store.ledger {
        let (expected, found) = (format!("ledger {}", store.ledger), format!("ledger {}", segment.ledger));
        return Err(contradicts(number, &expected, &found));
    }
    if chain != segment.chain_head {
        let (expected, found) = (format!("chain head {}", segment.chain_head), chain.to_string());
        return Err(contradicts(number, &expected, &found));
    }
    Ok(Tail {
        segment: segment.number.next(),
        seq: segment.end_seq(),
        chain,
        previous: ObjectDigest::of(bytes),
        frontier,
        recorded_at: core.recorded_at,
    })
}
