//! Subject keys in memory: bounded, and found again through the store.

use std::collections::{BTreeMap, HashMap};
use std::num::NonZeroUsize;
use std::sync::Arc;

use lru::LruCache;
use piperoll_format::{
    Bucket, Kek, KeyBinding, KeyId, KeyObject, LinkSecret, NONCE_LEN, Pseudonym, SubjectKey,
};

use crate::components::Entropy;
use crate::error::EngineError;
use crate::ledger::LedgerStore;
use crate::spare::{NamedKey, Spares};
use crate::state::{Known, State};

/// Keys kept in memory; a key is 32 bytes, an entry about 150.
const KEYS_MAX: NonZeroUsize = NonZeroUsize::new(50_000).expect("not zero");

/// Makes, finds and forgets subject keys.
pub(crate) struct Keyring {
    pub(crate) kek: Kek,
    pub(crate) secret: LinkSecret,
    keys: LruCache<KeyId, Kept>,
    /// Which key a subject has.
    subjects: LruCache<Pseudonym, KeyId>,
    spares: Spares,
}

/// A key in memory, with the bucket that it goes with.
struct Kept {
    bucket: Arc<Bucket>,
    key: Arc<SubjectKey>,
}

impl std::fmt::Debug for Keyring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Keyring({} cached, {:?})", self.keys.len(), self.spares)
    }
}

/// The key of a subject.
#[derive(Clone, Debug)]
pub(crate) struct Obtained {
    pub(crate) id: KeyId,
    pub(crate) key: Arc<SubjectKey>,
    /// The subject's pseudonym, when this is the first event that has the key.
    pub(crate) first_use: Option<Pseudonym>,
}

/// Keys that subjects get in a batch; they have them when its segment exists.
#[derive(Debug, Default)]
pub(crate) struct NewKeys {
    by_subject: HashMap<Pseudonym, NewKey>,
    /// What the key objects of the batch hold besides.
    spares: Vec<(Bucket, Vec<NamedKey>)>,
}

#[derive(Debug)]
struct NewKey {
    bucket: Bucket,
    key: NamedKey,
    /// Whether it is not in the store yet.
    is_made: bool,
}

impl Keyring {
    pub(crate) fn new(kek: Kek) -> Self {
        let secret = kek.link_secret();
        let (keys, subjects) = (LruCache::new(KEYS_MAX), LruCache::new(KEYS_MAX));
        Self { kek, secret, keys, subjects, spares: Spares::default() }
    }

    /// Returns the key of a subject in a bucket. Whoever has none gets a spare, or one that is made for the batch.
    pub(crate) async fn obtain(
        &mut self,
        (places, known): ((&LedgerStore, &State), &Known),
        new: &mut NewKeys,
        entropy: &mut dyn Entropy,
        (subject, bucket): (&str, &Bucket),
    ) -> Result<Obtained, EngineError> {
        let mut generation = 0;
        loop {
            let pseudonym = self.secret.pseudonym(subject, bucket, generation);
            if let Some(NewKey { key: (id, key), .. }) = new.by_subject.get(&pseudonym) {
                return Ok(Obtained { id: *id, key: key.clone(), first_use: None });
            }
            let Some(id) = self.key_of(known, bucket, pseudonym)? else {
                let (id, key) = self.assign(new, entropy, bucket, pseudonym);
                return Ok(Obtained { id, key, first_use: Some(pseudonym) });
            };
            if let Some(key) = self.find(places, bucket, id).await? {
                return Ok(Obtained { id, key, first_use: None });
            }
            // The key was destroyed.
            generation += 1;
        }
    }

    /// Returns which key a subject got in an earlier commit.
    fn key_of(
        &mut self,
        known: &Known,
        bucket: &Bucket,
        pseudonym: Pseudonym,
    ) -> Result<Option<KeyId>, EngineError> {
        if let Some(id) = self.subjects.get(&pseudonym) {
            return Ok(Some(*id));
        }
        let found = known.key_of(bucket, pseudonym)?;
        if let Some(id) = found {
            let _ = self.subjects.put(pseudonym, id);
        }
        Ok(found)
    }

    fn assign(
        &mut self,
        new: &mut NewKeys,
        entropy: &mut dyn Entropy,
        bucket: &Bucket,
        pseudonym: Pseudonym,
    ) -> NamedKey {
        let spare = self.spares.give(bucket, pseudonym);
        let is_made = spare.is_none();
        let key = spare.unwrap_or_else(|| draw(entropy));
        let entry = NewKey { bucket: bucket.clone(), key: key.clone(), is_made };
        let _ = new.by_subject.insert(pseudonym, entry);
        key
    }

    /// Returns a committed key, or `None` when there is none.
    pub(crate) async fn find(
        &mut self,
        (store, state): (&LedgerStore, &State),
        bucket: &Bucket,
        id: KeyId,
    ) -> Result<Option<Arc<SubjectKey>>, EngineError> {
        if let Some(kept) = self.keys.get(&id) {
            return Ok(Some(kept.key.clone()));
        }
        let Some(name) = state.key_object(bucket, id)? else { return Ok(None) };
        let bytes = match store.get(&name).await {
            Ok(bytes) => bytes,
            Err(error) if error.is_not_found() => return Ok(None),
            Err(error) => return Err(EngineError::unavailable(error)),
        };
        let damaged =
            |error| EngineError::fatal_from("a key object is damaged; run `piperoll verify`", error);
        let object = KeyObject::decode(&bytes).map_err(damaged)?;
        let shared = Arc::new(bucket.clone());
        for (id, wrapped) in &object.keys {
            let binding = KeyBinding { ledger: store.ledger, bucket, key: *id };
            let key = Arc::new(self.kek.unwrap(wrapped, &binding).map_err(damaged)?);
            let _ = self.keys.put(*id, Kept { bucket: shared.clone(), key });
        }
        Ok(self.keys.get(&id).map(|kept| kept.key.clone()))
    }

    /// Wraps the keys that were made for a batch, with spares, in one object for each bucket, in the order of the
    /// buckets.
    pub(crate) fn wrap(
        &self,
        store: &LedgerStore,
        new: &mut NewKeys,
        entropy: &mut dyn Entropy,
    ) -> Vec<KeyObject> {
        let mut made: BTreeMap<&Bucket, Vec<NamedKey>> = BTreeMap::new();
        for NewKey { bucket, key, .. } in new.by_subject.values().filter(|key| key.is_made) {
            made.entry(bucket).or_default().push(key.clone());
        }
        let mut objects = Vec::with_capacity(made.len());
        for (bucket, mut keys) in made {
            let wanted = self.spares.wanted(bucket, keys.len());
            let spares: Vec<NamedKey> = (0..wanted).map(|_| draw(entropy)).collect();
            keys.extend_from_slice(&spares);
            keys.sort_unstable_by_key(|(id, _)| *id);
            let mut nonces = vec![[0; NONCE_LEN]; keys.len()];
            entropy.fill(nonces.as_flattened_mut());
            let wrap = |((id, key), nonce): (&NamedKey, [u8; NONCE_LEN])| {
                let binding = KeyBinding { ledger: store.ledger, bucket, key: *id };
                (*id, self.kek.wrap(key, nonce, &binding))
            };
            objects.push(KeyObject {
                ledger: store.ledger,
                bucket: bucket.clone(),
                kek: self.kek.id(),
                keys: keys.iter().zip(nonces).map(wrap).collect(),
            });
            new.spares.push((bucket.clone(), spares));
        }
        objects
    }

    /// Keeps the keys of a committed batch.
    pub(crate) fn adopt(&mut self, new: NewKeys) {
        let mut shared: Option<Arc<Bucket>> = None;
        for (pseudonym, NewKey { bucket, key: (id, key), .. }) in new.by_subject {
            self.spares.used(&bucket, pseudonym);
            let bucket = match shared.take().filter(|shared| **shared == bucket) {
                Some(shared) => shared,
                None => Arc::new(bucket),
            };
            shared = Some(bucket.clone());
            let _ = self.subjects.put(pseudonym, id);
            let _ = self.keys.put(id, Kept { bucket, key });
        }
        for (bucket, spares) in new.spares {
            self.spares.add(&bucket, spares.into_iter());
        }
    }

    /// Drops the keys of a bucket that was disposed of.
    pub(crate) fn forget(&mut self, bucket: &Bucket) {
        self.spares.forget(bucket);
        let of_bucket = self.keys.iter().filter(|(_, kept)| *kept.bucket == *bucket);
        let ids: Vec<KeyId> = of_bucket.map(|(id, _)| *id).collect();
        for id in ids {
            let _ = self.keys.pop(&id);
        }
    }
}

/// Makes a key.
fn draw(entropy: &mut dyn Entropy) -> NamedKey {
    let (mut id, mut key) = ([0; KeyId::LEN], [0; 32]);
    entropy.fill(&mut id);
    entropy.fill(&mut key);
    (KeyId(id), Arc::new(SubjectKey::new(key)))
}
