//! What a pass found, counted and named.

use serde::{Deserialize, Serialize};

/// Objects that a pass lists by name for each side and each kind of trouble; further ones are only counted.
pub const NAMED_MAX: usize = 1_000;

/// What a pass found in one store.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tally {
    /// Objects that belong there, without those that were disposed of.
    pub objects: u64,
    /// Bytes that were read.
    pub bytes: u64,
    /// Objects that are as they were committed, also those that were made good.
    pub sound: u64,
    /// Objects that are gone because a disposal was ordered.
    pub disposed: u64,
    /// Objects with other bytes, and those that nobody can say the right bytes of.
    pub damaged: Vec<Problem>,
    /// How many they are.
    pub damaged_count: u64,
    /// Objects that are gone without an order.
    pub missing: Vec<Problem>,
    /// How many they are.
    pub missing_count: u64,
    /// Objects whose lock was shorter than recorded and could not be made longer.
    pub unlocked: Vec<Problem>,
    /// How many they are.
    pub unlocked_count: u64,
}

/// An object that is not as it should be and stays so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Problem {
    /// The object, without the ledger's prefix.
    pub object: String,
    /// What was found, and why it stays so.
    pub detail: String,
    /// The store that has a good copy, if one has: `primary` or `replica`.
    pub good_copy: Option<String>,
}

/// An object that was made good.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Repair {
    /// The object, without the ledger's prefix.
    pub object: String,
    /// The store that was repaired: `primary` or `replica`.
    pub store: String,
    /// The store that the bytes came from; the same one when only the lock was made longer.
    pub from: String,
    /// What was wrong: `missing`, `damaged` or `unlocked`.
    pub was: String,
    /// BLAKE3 digest of the object, in hexadecimal digits.
    pub digest: String,
}

impl Tally {
    pub(super) fn damaged(&mut self, problem: Problem) {
        self.damaged_count += 1;
        keep(&mut self.damaged, problem);
    }

    pub(super) fn missing(&mut self, problem: Problem) {
        self.missing_count += 1;
        keep(&mut self.missing, problem);
    }

    pub(super) fn unlocked(&mut self, problem: Problem) {
        self.unlocked_count += 1;
        keep(&mut self.unlocked, problem);
    }
}

fn keep(list: &mut Vec<Problem>, problem: Problem) {
    if list.len() < NAMED_MAX {
        list.push(problem);
    }
}
