//! Where the keys of payloads come from.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use futures::future::BoxFuture;
use futures::{FutureExt as _, StreamExt as _, TryStreamExt as _, stream};
use lru::LruCache;
use piperoll_format::{
    Bucket, Kek, KekId, KeyBinding, KeyId, KeyObject, LedgerId, ObjectEntry, ObjectName, ObjectType, Segment,
    SegmentNo, SubjectKey,
};
use piperoll_store::{ObjectKey, ObjectMeta, WormStore};
use tokio::sync::Mutex;

use crate::error::{Damage, ReadError};
use crate::reader;

/// Keys kept in memory; about 150 bytes each.
const KEYS_MAX: usize = 200_000;

/// Objects asked for in one listing.
const PAGE: usize = 1_000;

/// Key objects read at the same time.
const PARALLEL_READS: usize = 16;

/// Segments that are asked for their key objects before all key objects are listed.
const NAMED_MAX: usize = 8;

/// A key that is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct KeyRequest {
    /// Its name, from the core.
    pub id: KeyId,
    /// The segment of the event: the key is in this segment's key object or an earlier one's.
    pub segment: SegmentNo,
}

/// Gives the keys of subjects in a bucket.
#[async_trait]
pub trait KeySource: Send + Sync + fmt::Debug {
    /// Returns a key for each request, in their order; `None` where there is none (any more).
    ///
    /// # Errors
    /// [`ReadError`] when keys could not be read; a key that is not there is no error.
    async fn keys(
        &self,
        bucket: &Bucket,
        requests: &[KeyRequest],
    ) -> Result<Vec<Option<SubjectKey>>, ReadError>;

    /// Forgets every key of a bucket: after its disposal or an erasure in it.
    async fn forget_bucket(&self, bucket: &Bucket);
}

/// No keys at all: for whoever verifies without being allowed to read.
#[derive(Clone, Copy, Debug)]
pub struct NoKeys;

#[async_trait]
impl KeySource for NoKeys {
    async fn keys(&self, _: &Bucket, requests: &[KeyRequest]) -> Result<Vec<Option<SubjectKey>>, ReadError> {
        Ok(vec![None; requests.len()])
    }

    async fn forget_bucket(&self, _: &Bucket) {}
}

/// Keys from the ledger's own key objects, unwrapped with its key-encryption key.
///
/// Reads each key object once and keeps the keys of the buckets used last.
#[derive(Clone)]
pub struct StoreKeys {
    shared: Arc<Shared>,
}

struct Shared {
    store: Arc<dyn WormStore>,
    ledger: LedgerId,
    kek: Kek,
    /// Locked only inside tasks of its own: a reader's future that holds or awaits the lock, and is not polled
    /// because its owner waits for something else, would stop everybody.
    buckets: Mutex<LruCache<Bucket, BucketKeys>>,
}

/// The keys of one bucket, as far as its key objects were read.
#[derive(Default)]
struct BucketKeys {
    /// Where the next listing starts: before the key objects of the newest segment that any was read of. A commit that
    /// failed leaves one under the number that the next commit takes, and the names of both have no order.
    after: Option<ObjectKey>,
    /// The key objects behind that which were read.
    newest: HashSet<ObjectKey>,
    /// Each with the segment of its key object. No two commits name one key, so it does not matter whether a segment
    /// names the object.
    keys: HashMap<KeyId, (SegmentNo, SubjectKey)>,
    /// A key object that another key-encryption key wrapped.
    under_other_kek: Option<(ObjectName, KekId)>,
}

impl fmt::Debug for StoreKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreKeys").field("ledger", &self.shared.ledger).finish_non_exhaustive()
    }
}

impl StoreKeys {
    /// Reads keys of `ledger` from `store`.
    #[must_use]
    pub fn new(store: Arc<dyn WormStore>, ledger: LedgerId, kek: Kek) -> Self {
        Self { shared: Arc::new(Shared { store, ledger, kek, buckets: Mutex::new(LruCache::unbounded()) }) }
    }

    /// Runs `work` in a task of its own, which goes on whatever becomes of the caller.
    async fn detached<T: Send + 'static>(
        &self,
        work: impl FnOnce(Arc<Shared>) -> BoxFuture<'static, T>,
    ) -> T {
        match tokio::spawn(work(self.shared.clone())).await {
            Ok(done) => done,
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            // The runtime is going down, and the caller with it.
            Err(_) => std::future::pending().await,
        }
    }
}

impl Shared {
    /// Reads the key objects of a bucket that were not read before.
    async fn load(&self, bucket: &Bucket, keys: &mut BucketKeys) -> Result<(), ReadError> {
        let ledger = self.ledger;
        let prefix = format!("{ledger}/keys/{bucket}/");
        loop {
            let page = self.store.list(&prefix, keys.after.as_ref(), PAGE).await.map_err(ReadError::store)?;
            let is_last = page.len() < PAGE;
            let last = page.last().map(|meta| meta.key.clone());
            let new = page.into_iter().filter(|meta| !keys.newest.contains(&meta.key));
            let reads: Vec<_> = new.map(|meta| self.read(meta)).collect();
            let mut objects = stream::iter(reads).buffered(PARALLEL_READS);
            while let Some((at, found)) = objects.try_next().await? {
                if let Some((name, object)) = found {
                    if object.kek != self.kek.id() {
                        keys.under_other_kek = Some((name, object.kek));
                    } else {
                        self.add(bucket, keys, &name, &object);
                    }
                }
                let _new = keys.newest.insert(at);
            }
            let Some(last) = last else { return Ok(()) };
            if is_last {
                keys.start_before(&last);
                return Ok(());
            }
            keys.after = Some(last);
        }
    }

    /// Reads one key object. What is not one is skipped here and reported by the verifier.
    async fn read(
        &self,
        meta: ObjectMeta,
    ) -> Result<(ObjectKey, Option<(ObjectName, KeyObject)>), ReadError> {
        let (at, is_shadowed) = (meta.key, meta.shadowed.is_some());
        let text = at.as_str().split_once('/').map_or("", |(_, name)| name);
        let Ok(name) = ObjectName::parse(text) else { return Ok((at, None)) };
        let read = if is_shadowed { self.store.get_original(&at).await } else { self.store.get(&at).await };
        let bytes = match read {
            Ok(bytes) => bytes,
            Err(error) if error.is_not_found() => return Ok((at, None)),
            Err(error) => return Err(ReadError::store(error)),
        };
        // One damaged object must not hide the keys in all others.
        let Ok(object) = KeyObject::decode(&bytes) else { return Ok((at, None)) };
        Ok((at, Some((name, object))))
    }

    fn add(&self, bucket: &Bucket, keys: &mut BucketKeys, name: &ObjectName, object: &KeyObject) {
        let ObjectName::Keys { segment, .. } = name else { return };
        for (id, wrapped) in &object.keys {
            let binding = KeyBinding { ledger: self.ledger, bucket, key: *id };
            let Ok(key) = self.kek.unwrap(wrapped, &binding) else { continue };
            let known = keys.keys.entry(*id).or_insert((*segment, key));
            known.0 = known.0.min(*segment);
        }
    }

    /// Reads the key objects of a bucket that `segments` name and that were not read before: what an event needs and no
    /// earlier key object has is in that of its own segment, and a listing costs more than two reads.
    async fn load_named(
        &self,
        bucket: &Bucket,
        keys: &mut BucketKeys,
        segments: &BTreeSet<SegmentNo>,
    ) -> Result<(), ReadError> {
        for number in segments {
            let named = self.objects_of(*number).await?;
            let is_wanted =
                |entry: &&ObjectEntry| entry.object == ObjectType::Keys && entry.bucket == *bucket;
            let Some(entry) = named.iter().find(is_wanted) else { continue };
            let name = entry.name(*number);
            let at = reader::key(self.ledger, &name);
            if keys.newest.contains(&at) {
                continue;
            }
            let bytes = match self.store.get(&at).await {
                Ok(bytes) => bytes,
                Err(error) if error.is_not_found() => continue,
                Err(error) => return Err(ReadError::store(error)),
            };
            // What lies over it, or is under another key, is left to the listing.
            let Ok(object) = KeyObject::decode(&bytes) else { continue };
            if object.kek == self.kek.id() {
                self.add(bucket, keys, &name, &object);
                let _new = keys.newest.insert(at);
            }
        }
        Ok(())
    }

    /// Returns the objects that a segment names; none if it is not there.
    async fn objects_of(&self, number: SegmentNo) -> Result<Vec<ObjectEntry>, ReadError> {
        let at = reader::key(self.ledger, &ObjectName::Segment(number));
        let mut bytes = match self.store.get(&at).await {
            Ok(bytes) => bytes,
            Err(error) if error.is_not_found() => return Ok(Vec::new()),
            Err(error) => return Err(ReadError::store(error)),
        };
        if Segment::decode(&bytes).is_err() {
            // Somebody may have put other bytes over it.
            bytes = self.store.get_original(&at).await.map_err(ReadError::store)?;
        }
        let segment = Segment::decode(&bytes)
            .map_err(|error| ReadError::damaged(ObjectName::Segment(number), None, error))?;
        Ok(segment.objects)
    }
}

#[async_trait]
impl KeySource for StoreKeys {
    async fn keys(
        &self,
        bucket: &Bucket,
        requests: &[KeyRequest],
    ) -> Result<Vec<Option<SubjectKey>>, ReadError> {
        let (bucket, requests) = (bucket.clone(), requests.to_vec());
        self.detached(|shared| async move { shared.find(&bucket, &requests).await }.boxed()).await
    }

    async fn forget_bucket(&self, bucket: &Bucket) {
        let bucket = bucket.clone();
        let forget = |shared: Arc<Shared>| {
            async move {
                drop(shared.buckets.lock().await.pop(&bucket));
            }
            .boxed()
        };
        self.detached(forget).await;
    }
}

impl Shared {
    async fn find(
        &self,
        bucket: &Bucket,
        requests: &[KeyRequest],
    ) -> Result<Vec<Option<SubjectKey>>, ReadError> {
        let mut buckets = self.buckets.lock().await;
        let keys = buckets.get_or_insert_mut(bucket.clone(), BucketKeys::default);
        let missing = keys.missing(requests);
        if !missing.is_empty() && missing.len() <= NAMED_MAX && keys.after.is_some() {
            self.load_named(bucket, keys, &missing).await?;
        }
        if !keys.missing(requests).is_empty() {
            self.load(bucket, keys).await?;
            keys.check_kek(self.kek.id())?;
        }
        let found = requests.iter().map(|request| keys.find(*request).cloned()).collect();
        let mut kept: usize = buckets.iter().map(|(_, keys)| keys.keys.len()).sum();
        while kept > KEYS_MAX && buckets.len() > 1 {
            kept -= buckets.pop_lru().map_or(kept, |(_, keys)| keys.keys.len());
        }
        Ok(found)
    }
}

impl BucketKeys {
    /// Lets the next listing start before the key objects of the segment that `last` is of.
    fn start_before(&mut self, last: &ObjectKey) {
        let start = last.as_str().rsplit_once('-').and_then(|(start, _)| ObjectKey::new(start).ok());
        let Some(start) = start else { return self.after = Some(last.clone()) };
        self.newest.retain(|read| *read > start);
        self.after = Some(start);
    }

    /// A bucket with nothing but foreign keys means that the caller has the wrong key-encryption key.
    fn check_kek(&self, kek: KekId) -> Result<(), ReadError> {
        let Some((name, other)) = self.under_other_kek.as_ref().filter(|_| self.keys.is_empty()) else {
            return Ok(());
        };
        let (expected, found) = (format!("keys under {kek}"), format!("keys under {other}"));
        Err(ReadError::damaged(name, None, Damage::Place { expected, found }))
    }

    /// Returns the segments of the requests for which there is no key yet.
    fn missing(&self, requests: &[KeyRequest]) -> BTreeSet<SegmentNo> {
        let missing = requests.iter().filter(|request| self.find(**request).is_none());
        missing.map(|request| request.segment).collect()
    }

    /// Returns the key of that name, if the event's commit could know it.
    fn find(&self, request: KeyRequest) -> Option<&SubjectKey> {
        self.keys.get(&request.id).filter(|(segment, _)| *segment <= request.segment).map(|(_, key)| key)
    }
}
