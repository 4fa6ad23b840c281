//! What the tests of several modules share: leaves, the recursive definition of the root, broken inputs.

use std::convert::Infallible;
use std::path::PathBuf;

use ed25519_dalek::SigningKey;
use proptest::prelude::*;

use crate::hash::{NodeHash, empty_root, leaf_hash, node_hash};
use crate::note::key::NoteSigner;
use crate::proof::build::HashReader;

/// Returns `count` different leaf hashes.
pub(crate) fn leaves(count: u64) -> Vec<NodeHash> {
    (0..count).map(|number| leaf_hash(&number.to_be_bytes())).collect()
}

/// RFC 6962 section 2.1, word by word.
pub(crate) fn recursive_root(leaves: &[NodeHash]) -> NodeHash {
    match leaves {
        [] => empty_root(),
        [leaf] => *leaf,
        _ => {
            let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
            node_hash(&recursive_root(left), &recursive_root(right))
        }
    }
}

/// All perfect subtrees over some leaves, row by row.
pub(crate) struct MemoryTree {
    rows: Vec<Vec<NodeHash>>,
}

impl MemoryTree {
    pub(crate) fn new(leaves: Vec<NodeHash>) -> Self {
        let mut rows = vec![leaves];
        while let Some(row) = rows.last().filter(|row| row.len() > 1) {
            rows.push(row.chunks_exact(2).map(|pair| node_hash(&pair[0], &pair[1])).collect());
        }
        Self { rows }
    }

    pub(crate) fn get(&self, level: u8, index: u64) -> NodeHash {
        self.rows[usize::from(level)][index as usize]
    }
}

impl HashReader for MemoryTree {
    type Error = Infallible;

    fn node(&mut self, level: u8, index: u64) -> Result<NodeHash, Infallible> {
        Ok(self.get(level, index))
    }
}

/// Returns a signer with a fixed key.
pub(crate) fn signer(name: &str, seed: u8) -> NoteSigner {
    NoteSigner::new(name, SigningKey::from_bytes(&[seed; 32])).expect("the name is valid")
}

/// Returns a path in the shared folder, or nothing where that folder is not given.
pub(crate) fn shared(path: &str) -> Option<PathBuf> {
    std::env::var_os("PIPEROLL_SHARED").map(|folder| PathBuf::from(folder).join(path))
}

/// Iterations of a bolero harness in a plain `cargo test`; `cargo bolero test` runs it without this bound.
pub(crate) const FUZZ_ITERATIONS: usize = 20_000;

/// Inputs for a parser: any bytes, tokens of its language in any order, and valid texts with a few edits.
///
/// Random bytes alone hardly get past the first check, edits of valid texts reach all of them.
pub(crate) fn hostile_bytes(
    valid: Vec<String>,
    tokens: &'static [&'static str],
) -> impl Strategy<Value = Vec<u8>> {
    let edit = (any::<prop::sample::Index>(), 0_usize..4, any::<u8>(), prop::sample::select(tokens));
    let edited =
        (prop::sample::select(valid), prop::collection::vec(edit, 0..4)).prop_map(|(text, edits)| {
            let mut bytes = text.into_bytes();
            for (place, kind, byte, token) in edits {
                let place = place.index(bytes.len() + 1);
                match kind {
                    0 => bytes.truncate(place),
                    1 => bytes.splice(place..place, token.bytes()).for_each(drop),
                    2 => bytes.splice(place..(place + 1).min(bytes.len()), [byte]).for_each(drop),
                    _ => bytes.splice(place..(place + 1).min(bytes.len()), []).for_each(drop),
                }
            }
            bytes
        });
    let shuffled = prop::collection::vec(prop::sample::select(tokens), 0..24);
    prop_oneof![
        1 => prop::collection::vec(any::<u8>(), 0..200),
        2 => shuffled.prop_map(|parts| parts.concat().into_bytes()),
        4 => edited,
    ]
}
