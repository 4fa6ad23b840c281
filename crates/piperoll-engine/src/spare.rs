//! Spare keys: stored before anybody needs them, so that a commit with new subjects seldom writes a key object
//! (`schemas/decisions/0018-spare-keys.md`).
//!
//! Spares are known to the writer that made them, and from the commit on that names their key object. A spare that was
//! given to a subject is given to no other, also when the batch failed: its pack may be in the store, and who erases the
//! one subject must not leave it to the key of another.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use piperoll_format::{Bucket, Class, KeyId, Pseudonym, SubjectKey};

/// Most spares that are made at once; 76 bytes each in the store.
pub(crate) const SPARES_MAX: usize = 1_024;

/// Most keys that are remembered for subjects whose batch failed. Beyond, they stay unused for ever.
const GIVEN_MAX: usize = 4 * SPARES_MAX;

/// A key with its name.
pub(crate) type NamedKey = (KeyId, Arc<SubjectKey>);

/// The spare keys of the buckets that take payloads.
#[derive(Default)]
pub(crate) struct Spares {
    /// One bucket for each class: time does not go back, so the one before takes nothing any more.
    shelves: HashMap<Class, Shelf>,
}

struct Shelf {
    bucket: Bucket,
    free: Vec<NamedKey>,
    /// Given to subjects in a batch that is not committed, or not yet.
    given: HashMap<Pseudonym, NamedKey>,
    /// Subjects that got a key in the bucket from this writer.
    subjects: usize,
}

impl fmt::Debug for Spares {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Spares({} free)", self.shelves.values().map(|shelf| shelf.free.len()).sum::<usize>())
    }
}

impl Spares {
    /// Gives a spare to a subject; the same one again to the same subject until it is used.
    pub(crate) fn give(&mut self, bucket: &Bucket, pseudonym: Pseudonym) -> Option<NamedKey> {
        let shelf = self.shelf(bucket);
        if let Some(given) = shelf.given.get(&pseudonym) {
            return Some(given.clone());
        }
        let spare = shelf.free.pop()?;
        if shelf.given.len() >= GIVEN_MAX {
            shelf.given.clear();
        }
        let _ = shelf.given.insert(pseudonym, spare.clone());
        Some(spare)
    }

    /// Returns how many spares go into a key object that is written for `needed` subjects: as many as subjects came
    /// before, so that a quiet bucket wastes little and a busy one writes few objects.
    pub(crate) fn wanted(&self, bucket: &Bucket, needed: usize) -> usize {
        let shelf = self.shelves.get(bucket.class()).filter(|shelf| shelf.bucket == *bucket);
        let before = shelf.map_or(0, |shelf| shelf.subjects);
        (before + needed.saturating_sub(1)).min(SPARES_MAX)
    }

    /// Notes that a subject has got its key for good.
    pub(crate) fn used(&mut self, bucket: &Bucket, pseudonym: Pseudonym) {
        let shelf = self.shelf(bucket);
        let _ = shelf.given.remove(&pseudonym);
        shelf.subjects += 1;
    }

    /// Puts spares on their shelf; their segment is committed.
    pub(crate) fn add(&mut self, bucket: &Bucket, spares: impl Iterator<Item = NamedKey>) {
        self.shelf(bucket).free.extend(spares);
    }

    /// Drops the spares of a bucket that was disposed of.
    pub(crate) fn forget(&mut self, bucket: &Bucket) {
        self.shelves.retain(|_, shelf| shelf.bucket != *bucket);
    }

    /// Returns the shelf of a bucket, in the place of that of an earlier bucket of the class.
    fn shelf(&mut self, bucket: &Bucket) -> &mut Shelf {
        let new = || Shelf { bucket: bucket.clone(), free: Vec::new(), given: HashMap::new(), subjects: 0 };
        let shelf = self.shelves.entry(bucket.class().clone()).or_insert_with(new);
        if shelf.bucket != *bucket {
            *shelf = new();
        }
        shelf
    }
}
