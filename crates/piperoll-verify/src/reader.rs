//! Finding segments and events: the newest segment by its number, an event by its position.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use lru::LruCache;
use piperoll_format::{Genesis, LedgerId, ObjectName, SegmentNo, Seq, Timestamp};
use piperoll_store::{ObjectKey, WormStore};
use piperoll_tlog::note::key::{KeyName, VerifierKey};
use piperoll_tlog::tile::Tile;
use piperoll_tlog::tile::hashes::TileHashes;
use tokio::sync::OnceCell;

use crate::error::{Damage, ReadError};
use crate::keys::{KeySource, NoKeys};
use crate::segment::{HEADER_BYTES, SegmentData, StoredEvent, read_header};
use crate::tiles::TILES_MAX;

/// Bytes of decoded segments that a reader keeps.
const CACHE_BYTES_MAX: usize = 32 * 1024 * 1024;

/// Known starts of segments that a reader keeps; about 64 bytes each.
const STARTS_MAX: usize = 65_536;

/// Requests to the store that one read of many events has in flight.
pub(crate) const PARALLEL_READS: usize = 16;

/// The end of a ledger as far as the reader has looked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// The newest segment.
    pub segment: SegmentNo,
    /// Events in the ledger; the `seq` of the next one.
    pub size: u64,
    /// When the newest event was recorded.
    pub recorded_at: Timestamp,
}

/// Reads one ledger. Cheap to clone; clones share caches and the known head.
///
/// What it returns is decoded and in its place, and a payload meets its commitment; chain, signatures and tree are
/// checked by [`crate::verify`] and by the evidence of [`crate::prove`].
#[derive(Clone, Debug)]
pub struct LedgerReader {
    inner: Arc<Inner>,
    store: Arc<dyn WormStore>,
    keys: Arc<dyn KeySource>,
}

#[derive(Debug)]
struct Inner {
    ledger: LedgerId,
    genesis: Genesis,
    genesis_bytes: Bytes,
    vkey: VerifierKey,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    head: Option<Head>,
    segments: LruCache<SegmentNo, Arc<OnceCell<Arc<SegmentData>>>>,
    segments_weight: usize,
    /// First `seq` to segment number, of segments that were seen.
    starts: BTreeMap<u64, u64>,
    /// By level and index, as wide as they were ever needed.
    tiles: LruCache<(u8, u64), Arc<TileHashes>>,
}

/// Lists the ledgers in a store: the top-level prefixes that have a genesis object.
///
/// # Errors
/// [`ReadError::Store`].
pub async fn find_ledgers(store: &dyn WormStore) -> Result<Vec<LedgerId>, ReadError> {
    let mut found = Vec::new();
    for ledger in list_ledgers(store).await? {
        match store.head(&key(ledger, &ObjectName::Genesis)).await {
            Ok(_) => found.push(ledger),
            Err(error) if error.is_not_found() => {}
            Err(error) => return Err(ReadError::store(error)),
        }
    }
    Ok(found)
}

/// Lists the top-level prefixes that name a ledger, also those whose genesis object is gone.
///
/// # Errors
/// [`ReadError::Store`].
pub async fn list_ledgers(store: &dyn WormStore) -> Result<Vec<LedgerId>, ReadError> {
    let folders = store.folders("").await.map_err(ReadError::store)?;
    Ok(folders.iter().filter_map(|folder| folder.strip_suffix('/')?.parse().ok()).collect())
}

/// Returns the store key of an object.
pub(crate) fn key(ledger: LedgerId, name: &ObjectName) -> ObjectKey {
    ObjectKey::new(name.key(ledger)).expect("object names of the format are keys")
}

impl LedgerReader {
    /// Opens a ledger without keys: payloads in clear can be read, encrypted ones cannot.
    ///
    /// # Errors
    /// [`ReadError::NoLedger`] without a genesis object, [`ReadError::Damaged`] when it is not valid,
    /// [`ReadError::Store`].
    pub async fn open(store: Arc<dyn WormStore>, ledger: LedgerId) -> Result<Self, ReadError> {
        let name = ObjectName::Genesis;
        let mut genesis_bytes = match store.get(&key(ledger, &name)).await {
            Ok(bytes) => bytes,
            Err(error) if error.is_not_found() => return Err(ReadError::NoLedger { ledger }),
            Err(error) => return Err(ReadError::store(error)),
        };
        if !Genesis::decode(&genesis_bytes).is_ok_and(|genesis| genesis.ledger == ledger) {
            // Somebody may have put other bytes over it.
            genesis_bytes = store.get_original(&key(ledger, &name)).await.map_err(ReadError::store)?;
        }
        let genesis =
            Genesis::decode(&genesis_bytes).map_err(|error| ReadError::damaged(&name, None, error))?;
        if genesis.ledger != ledger {
            let (expected, found) = (format!("ledger {ledger}"), format!("ledger {}", genesis.ledger));
            return Err(ReadError::damaged(&name, None, Damage::Place { expected, found }));
        }
        let vkey = genesis_key(&genesis)
            .map_err(|error| ReadError::damaged(&name, None, Damage::PublicKey(error)))?;
        let state = State {
            head: None,
            segments: LruCache::unbounded(),
            segments_weight: 0,
            starts: BTreeMap::new(),
            tiles: LruCache::new(const { NonZeroUsize::new(TILES_MAX).expect("not zero") }),
        };
        let inner = Inner { ledger, genesis, genesis_bytes, vkey, state: Mutex::new(state) };
        let reader = Self { inner: Arc::new(inner), store, keys: Arc::new(NoKeys) };
        reader.refresh().await?;
        Ok(reader)
    }

    /// Returns a reader that opens payloads with `keys`; it shares everything else with this one.
    #[must_use]
    pub fn with_keys(&self, keys: Arc<dyn KeySource>) -> Self {
        Self { inner: self.inner.clone(), store: self.store.clone(), keys }
    }

    /// Returns a reader that reads through another view of the same store; it shares everything else with this one.
    #[must_use]
    pub fn through(&self, store: Arc<dyn WormStore>) -> Self {
        Self { inner: self.inner.clone(), store, keys: self.keys.clone() }
    }

    /// Takes the end of the ledger from whoever has just committed it, which saves looking for it. An end that is not
    /// behind the known one is ignored.
    pub fn advance(&self, head: Head) {
        let mut state = self.state();
        if state.head.is_none_or(|known| known.segment < head.segment) {
            state.head = Some(head);
        }
    }

    /// Returns the ledger's id.
    #[must_use]
    pub fn ledger(&self) -> LedgerId {
        self.inner.ledger
    }

    /// Returns the decoded genesis object.
    #[must_use]
    pub fn genesis(&self) -> &Genesis {
        &self.inner.genesis
    }

    /// Returns the encoded genesis object.
    #[must_use]
    pub fn genesis_bytes(&self) -> &Bytes {
        &self.inner.genesis_bytes
    }

    /// Returns the key in genesis, named by the origin. Who does not trust the store pins it from elsewhere.
    #[must_use]
    pub fn vkey(&self) -> &VerifierKey {
        &self.inner.vkey
    }

    /// Returns the store.
    #[must_use]
    pub fn store(&self) -> &Arc<dyn WormStore> {
        &self.store
    }

    /// Returns the source of keys.
    #[must_use]
    pub fn keys(&self) -> &Arc<dyn KeySource> {
        &self.keys
    }

    /// Returns the end of the ledger as of the last [`Self::refresh`]; `None` before the first commit.
    #[must_use]
    pub fn head(&self) -> Option<Head> {
        self.state().head
    }

    /// Returns the number of events as of the last [`Self::refresh`].
    #[must_use]
    pub fn size(&self) -> u64 {
        self.head().map_or(0, |head| head.size)
    }

    /// Looks for newer segments, and returns the end of the ledger.
    ///
    /// One question to the store when there is none; otherwise exponential, then binary search on the number.
    ///
    /// # Errors
    /// [`ReadError::Store`], [`ReadError::Damaged`].
    pub async fn refresh(&self) -> Result<Option<Head>, ReadError> {
        let known = self.head();
        // Numbers shifted by one, so that 0 stands for "no segment".
        let start = known.map_or(0, |head| head.segment.0 + 1);
        let (mut low, mut step) = (start, 1);
        while self.has_segment(SegmentNo(low + step - 1)).await? {
            (low, step) = (low + step, step * 2);
        }
        let mut high = low + step;
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            if self.has_segment(SegmentNo(middle - 1)).await? { low = middle } else { high = middle }
        }
        if low == start {
            return Ok(known);
        }
        let segment = self.segment(SegmentNo(low - 1)).await?;
        let size = segment.end_seq().0;
        let last = segment.event(Seq(size - 1))?;
        let head = Head { segment: segment.number(), size, recorded_at: last.core.recorded_at };
        self.advance(head);
        Ok(self.head())
    }

    async fn has_segment(&self, number: SegmentNo) -> Result<bool, ReadError> {
        if number > SegmentNo::MAX {
            return Ok(false);
        }
        match self.store.head(&self.key(&ObjectName::Segment(number))).await {
            Ok(_) => Ok(true),
            Err(error) if error.is_not_found() => Ok(false),
            Err(error) => Err(ReadError::store(error)),
        }
    }

    /// Returns a segment, from memory when it was read lately.
    ///
    /// # Errors
    /// [`ReadError::Missing`], [`ReadError::Damaged`], [`ReadError::Store`].
    pub async fn segment(&self, number: SegmentNo) -> Result<Arc<SegmentData>, ReadError> {
        // The cell lets concurrent readers of one segment read it once.
        let cell = self.state().segments.get_or_insert(number, Arc::default).clone();
        let mut is_new = false;
        let loaded = cell
            .get_or_try_init(|| async {
                is_new = true;
                self.load_segment(number).await
            })
            .await;
        let mut state = self.state();
        match loaded {
            Ok(segment) => {
                if is_new {
                    state.segments_weight += segment.weight();
                    state.shrink(number);
                }
                Ok(segment.clone())
            }
            Err(error) => {
                if state.segments.peek(&number).is_some_and(|cell| !cell.initialized()) {
                    state.segments.pop(&number);
                }
                Err(error)
            }
        }
    }

    /// Returns a segment without keeping it: for passes over the whole ledger.
    pub(crate) async fn segment_in_passing(&self, number: SegmentNo) -> Result<Arc<SegmentData>, ReadError> {
        let kept = self.state().segments.peek(&number).and_then(|cell| cell.get().cloned());
        match kept {
            Some(segment) => Ok(segment),
            None => self.load_segment(number).await,
        }
    }

    async fn load_segment(&self, number: SegmentNo) -> Result<Arc<SegmentData>, ReadError> {
        let name = ObjectName::Segment(number);
        let bytes = self.get(&name).await?;
        let segment = match SegmentData::decode(bytes, self.inner.ledger, number) {
            Ok(segment) => segment,
            // Somebody may have put other bytes over it.
            Err(_) => SegmentData::decode(self.get_original(&name).await?, self.inner.ledger, number)?,
        };
        let mut state = self.state();
        state.note_start(segment.first_seq(), number);
        // Where the next one begins, whether it is there or not.
        state.note_start(segment.end_seq(), SegmentNo(number.0 + 1));
        drop(state);
        Ok(Arc::new(segment))
    }

    /// Returns the number of the segment that holds an event.
    ///
    /// # Errors
    /// [`ReadError::NoEvent`] behind the end of the ledger, [`ReadError::Missing`], [`ReadError::Damaged`],
    /// [`ReadError::Store`].
    pub async fn locate(&self, seq: Seq) -> Result<SegmentNo, ReadError> {
        let mut head = self.head();
        if head.is_none_or(|head| seq.0 >= head.size) {
            head = self.refresh().await?;
        }
        let head =
            head.filter(|head| seq.0 < head.size).ok_or(ReadError::NoEvent { seq, size: self.size() })?;
        let (mut low, mut high) = self.state().around(seq, head);
        let mut steps = 0;
        while high.0 - low.0 > 1 {
            let middle = guess(seq, low, high, steps);
            let first = self.first_seq(SegmentNo(middle)).await?;
            if first <= seq {
                low = (middle, first.0);
            } else {
                high = (middle, first.0);
            }
            steps += 1;
        }
        Ok(SegmentNo(low.0))
    }

    async fn first_seq(&self, number: SegmentNo) -> Result<Seq, ReadError> {
        let name = ObjectName::Segment(number);
        let header = match self.store.get_range(&self.key(&name), 0..HEADER_BYTES).await {
            Ok(bytes) => bytes,
            Err(error) if error.is_not_found() => {
                return Err(ReadError::Missing { object: name.to_string() });
            }
            Err(error) => return Err(ReadError::store(error)),
        };
        let Ok(first) = read_header(&header, number) else {
            return Ok(self.load_segment(number).await?.first_seq());
        };
        self.state().note_start(first, number);
        Ok(first)
    }

    /// Returns an event without its payload.
    ///
    /// # Errors
    /// [`ReadError::NoEvent`], [`ReadError::Missing`], [`ReadError::Damaged`], [`ReadError::Store`].
    pub async fn event(&self, seq: Seq) -> Result<StoredEvent, ReadError> {
        let number = self.locate(seq).await?;
        self.segment(number).await?.event(seq)
    }

    /// Returns events without their payloads, in the order asked for, reading in parallel.
    ///
    /// # Errors
    /// The first of those of [`Self::event`].
    pub async fn events(&self, seqs: &[Seq]) -> Result<Vec<StoredEvent>, ReadError> {
        let reads = seqs.iter().map(|seq| self.event(*seq)).collect::<Vec<_>>();
        stream::iter(reads).buffered(PARALLEL_READS).try_collect().await
    }

    /// Reads an object that must be there.
    pub(crate) async fn get(&self, name: &ObjectName) -> Result<Bytes, ReadError> {
        match self.store.get(&self.key(name)).await {
            Ok(bytes) => Ok(bytes),
            Err(error) if error.is_not_found() => Err(ReadError::Missing { object: name.to_string() }),
            Err(error) => Err(ReadError::store(error)),
        }
    }

    /// Reads what was created under a name, whatever lies over it.
    pub(crate) async fn get_original(&self, name: &ObjectName) -> Result<Bytes, ReadError> {
        self.store.get_original(&self.key(name)).await.map_err(ReadError::store)
    }

    pub(crate) fn key(&self, name: &ObjectName) -> ObjectKey {
        key(self.inner.ledger, name)
    }

    pub(crate) fn known_tile(&self, tile: Tile) -> Option<Arc<TileHashes>> {
        self.state().tiles.get(&(tile.level(), tile.index())).cloned()
    }

    pub(crate) fn keep_tile(&self, tile: Tile, hashes: Arc<TileHashes>) {
        let mut state = self.state();
        let place = (tile.level(), tile.index());
        if state.tiles.peek(&place).is_none_or(|known| known.width() < hashes.width()) {
            state.tiles.put(place, hashes);
        }
    }

    /// Forgets all tiles, after a wrong one was found.
    pub(crate) fn forget_tiles(&self) {
        self.state().tiles.clear();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // The state is whole between statements; a panic elsewhere does not spoil it.
        self.inner.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the key in genesis under the name of the origin.
pub(crate) fn genesis_key(genesis: &Genesis) -> Result<VerifierKey, piperoll_tlog::note::NoteError> {
    use piperoll_tlog::note::NoteError;
    let key = ed25519_dalek::VerifyingKey::from_bytes(&genesis.public_key)
        .map_err(|_| NoteError::VerifierKey { expected: "a valid Ed25519 public key" })?;
    VerifierKey::new(KeyName::new(&genesis.origin)?, key)
}

/// Chooses the segment to look at next, between two (number, first `seq`) that enclose the event.
///
/// Segments of one ledger are often of similar size, so the first guesses interpolate; later ones halve.
fn guess(seq: Seq, low: (u64, u64), high: (u64, u64), steps: u32) -> u64 {
    const INTERPOLATIONS: u32 = 3;
    let numbers = high.0 - low.0;
    let events = high.1.saturating_sub(low.1);
    if steps >= INTERPOLATIONS || events == 0 {
        return low.0 + numbers / 2;
    }
    let share = u128::from(seq.0 - low.1) * u128::from(numbers) / u128::from(events);
    (low.0 + u64::try_from(share).unwrap_or(u64::MAX).min(numbers)).clamp(low.0 + 1, high.0 - 1)
}

impl State {
    /// Returns the nearest known segments (number, first `seq`) that enclose `seq`.
    fn around(&self, seq: Seq, head: Head) -> ((u64, u64), (u64, u64)) {
        let pair = |(first, number): (&u64, &u64)| (*number, *first);
        let low = self.starts.range(..=seq.0).next_back().map_or((0, 0), pair);
        let high = self.starts.range(seq.0 + 1..).next().map(pair);
        (low, high.unwrap_or((head.segment.0 + 1, head.size)))
    }

    fn note_start(&mut self, first: Seq, number: SegmentNo) {
        self.starts.insert(first.0, number.0);
        if self.starts.len() > STARTS_MAX {
            let mut keep = true;
            self.starts.retain(|_, _| {
                keep = !keep;
                keep
            });
        }
    }

    /// Forgets the segments that were not used for longest, but not the one just read.
    fn shrink(&mut self, newest: SegmentNo) {
        while self.segments_weight > CACHE_BYTES_MAX {
            let Some((number, cell)) = self.segments.pop_lru() else { return };
            if number == newest {
                self.segments.put(number, cell);
                return;
            }
            // An empty cell is being read; its reader adds no weight for a cell that is out of the cache.
            self.segments_weight -= cell.get().map_or(0, |segment| segment.weight());
        }
    }
}
