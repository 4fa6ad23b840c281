//! Subject keys in memory: bounded, and found again through the store.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::Arc;

use lru::LruCache;
use piperoll_format::{
    Bucket, Kek, KeyBinding, KeyId, KeyObject, LinkSecret, ObjectName, ObjectType, Segment, SubjectKey,
};

use crate::components::Entropy;
use crate::error::EngineError;
use crate::ledger::LedgerStore;
use crate::state::State;

/// Keys kept in memory; a key is 32 bytes, an entry about 150.
const KEYS_MAX: NonZeroUsize = NonZeroUsize::new(50_000).expect("not zero");

/// Makes, finds and forgets subject keys.
pub(crate) struct Keyring {
    pub(crate) kek: Kek,
    pub(crate) secret: LinkSecret,
    cache: LruCache<KeyId, Arc<SubjectKey>>,
}

impl std::fmt::Debug for Keyring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Keyring({} cached)", self.cache.len())
    }
}

/// Keys that a batch makes; they exist when its segment does.
#[derive(Debug, Default)]
pub(crate) struct NewKeys {
    by_id: HashMap<KeyId, (Bucket, Arc<SubjectKey>)>,
}

impl Keyring {
    pub(crate) fn new(kek: Kek) -> Self {
        let secret = kek.link_secret();
        Self { kek, secret, cache: LruCache::new(KEYS_MAX) }
    }

    /// Returns the key of a subject in a bucket, and makes it when there is none.
    pub(crate) async fn obtain(
        &mut self,
        places: (&LedgerStore, &State),
        new: &mut NewKeys,
        entropy: &mut dyn Entropy,
        (subject, bucket): (&str, &Bucket),
    ) -> Result<(KeyId, Arc<SubjectKey>), EngineError> {
        let id = self.secret.key_id(subject, bucket, 0);
        if let Some((_, key)) = new.by_id.get(&id) {
            return Ok((id, key.clone()));
        }
        if let Some(key) = self.find(places, bucket, id).await? {
            return Ok((id, key));
        }
        let mut bytes = [0; 32];
        entropy.fill(&mut bytes);
        let key = Arc::new(SubjectKey::new(bytes));
        let _ = new.by_id.insert(id, (bucket.clone(), key.clone()));
        Ok((id, key))
    }

    /// Returns a committed key, or `None` when there is none.
    pub(crate) async fn find(
        &mut self,
        (store, state): (&LedgerStore, &State),
        bucket: &Bucket,
        id: KeyId,
    ) -> Result<Option<Arc<SubjectKey>>, EngineError> {
        if let Some(key) = self.cache.get(&id) {
            return Ok(Some(key.clone()));
        }
        let Some(number) = state.key_segment(id)? else { return Ok(None) };
        let damaged = |error| {
            EngineError::fatal_from("a segment or key object is damaged; run `piperoll verify`", error)
        };
        let bytes = store.get(&ObjectName::Segment(number)).await.map_err(EngineError::unavailable)?;
        let segment = Segment::decode(&bytes).map_err(damaged)?;
        let entry = segment.objects.iter().find(|o| o.object == ObjectType::Keys && o.bucket == *bucket);
        let Some(entry) = entry else { return Ok(None) };
        let bytes = match store.get(&entry.name(number)).await {
            Ok(bytes) => bytes,
            Err(error) if error.is_not_found() => return Ok(None),
            Err(error) => return Err(EngineError::unavailable(error)),
        };
        let object = KeyObject::decode(&bytes).map_err(damaged)?;
        for (key, wrapped) in &object.keys {
            let binding = KeyBinding { ledger: store.ledger, bucket, key: *key };
            let unwrapped = self.kek.unwrap(wrapped, &binding).map_err(damaged)?;
            let _ = self.cache.put(*key, Arc::new(unwrapped));
        }
        Ok(self.cache.get(&id).cloned())
    }

    /// Wraps the keys of a batch, one object for each bucket, in the order of the buckets.
    pub(crate) fn wrap(
        &self,
        store: &LedgerStore,
        new: &NewKeys,
        entropy: &mut dyn Entropy,
    ) -> Vec<KeyObject> {
        let mut ids: Vec<(&Bucket, KeyId)> =
            new.by_id.iter().map(|(id, (bucket, _))| (bucket, *id)).collect();
        ids.sort();
        let mut objects: Vec<KeyObject> = Vec::new();
        for (bucket, id) in ids {
            let mut nonce = [0; 12];
            entropy.fill(&mut nonce);
            let binding = KeyBinding { ledger: store.ledger, bucket, key: id };
            let wrapped = self.kek.wrap(&new.by_id[&id].1, nonce, &binding);
            match objects.last_mut() {
                Some(object) if object.bucket == *bucket => object.keys.push((id, wrapped)),
                _ => objects.push(KeyObject {
                    ledger: store.ledger,
                    bucket: bucket.clone(),
                    kek: self.kek.id(),
                    keys: vec![(id, wrapped)],
                }),
            }
        }
        objects
    }

    /// Keeps the keys of a committed batch.
    pub(crate) fn adopt(&mut self, new: NewKeys) {
        for (id, (_, key)) in new.by_id {
            let _ = self.cache.put(id, key);
        }
    }

    /// Drops keys that were destroyed.
    pub(crate) fn forget(&mut self, keys: &[KeyId]) {
        for key in keys {
            let _ = self.cache.pop(key);
        }
    }
}
