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

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests may unwrap")]
mod tests {
    use super::*;

    fn bucket(class: &str, label: &str) -> Bucket {
        Bucket::new(class.parse().unwrap(), label).unwrap()
    }

    fn keys(numbers: std::ops::Range<u8>) -> impl Iterator<Item = NamedKey> {
        numbers.map(|n| (KeyId([n; 16]), Arc::new(SubjectKey::new([n; 32]))))
    }

    fn who(n: usize) -> Pseudonym {
        Pseudonym((n as u128).to_be_bytes())
    }

    fn give(spares: &mut Spares, bucket: &Bucket, n: usize) -> Option<KeyId> {
        spares.give(bucket, who(n)).map(|(id, _)| id)
    }

    #[test]
    fn spare_is_of_one_subject_until_it_is_used_and_of_nobody_else_ever() {
        let (mut spares, month) = (Spares::default(), bucket("a", "2026-11"));
        assert_eq!(give(&mut spares, &month, 1), None);
        spares.add(&month, keys(0..3));
        let first = give(&mut spares, &month, 1).unwrap();
        assert_eq!(give(&mut spares, &month, 1), Some(first), "the batch failed and comes again");
        let second = give(&mut spares, &month, 2).unwrap();
        spares.used(&month, who(1));
        let third = give(&mut spares, &month, 3).unwrap();
        assert!(first != second && second != third && first != third);
        assert_eq!(give(&mut spares, &month, 4), None);
    }

    #[test]
    fn bucket_has_its_own_spares_and_loses_them_when_its_period_is_over() {
        let (mut spares, november, december) =
            (Spares::default(), bucket("a", "2026-11"), bucket("a", "2026-12"));
        spares.add(&november, keys(0..2));
        spares.add(&bucket("b", "2026-11"), keys(2..3));
        assert_eq!(give(&mut spares, &bucket("b", "2026-11"), 1), Some(KeyId([2; 16])));
        assert_eq!(give(&mut spares, &december, 1), None);
        assert_eq!(give(&mut spares, &november, 1), None, "time does not go back");
        spares.add(&december, keys(0..2));
        spares.forget(&december);
        assert_eq!(give(&mut spares, &december, 1), None);
    }

    #[test]
    fn spares_grow_with_the_subjects_and_are_bounded() {
        let (mut spares, month) = (Spares::default(), bucket("a", "2026-11"));
        let mut made = Vec::new();
        let mut free = 0;
        for n in 0..5_000 {
            if free == 0 {
                free = spares.wanted(&month, 1);
                made.push(free);
            } else {
                free -= 1;
            }
            spares.used(&month, who(n));
        }
        assert_eq!(made, [0, 1, 3, 7, 15, 31, 63, 127, 255, 511, 1_023, 1_024, 1_024, 1_024]);
        assert_eq!(spares.wanted(&bucket("a", "2026-12"), 64), 63, "another bucket begins anew");
        assert_eq!(spares.wanted(&month, 4_096), SPARES_MAX);
    }

    #[test]
    fn reservations_for_failed_batches_are_bounded() {
        let (mut spares, month) = (Spares::default(), bucket("a", "2026-11"));
        for n in 0..GIVEN_MAX + 10 {
            spares.add(&month, keys(0..1));
            assert!(give(&mut spares, &month, n).is_some());
        }
        assert!(spares.shelves[month.class()].given.len() <= GIVEN_MAX);
        assert_eq!(give(&mut spares, &month, 0), None, "forgotten, and not given to another");
    }
}
