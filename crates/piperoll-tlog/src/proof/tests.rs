//! Exhaustive proofs for every tree size up to 300, and the published RFC 6962 vectors.
//!
//! Proofs are built from a plain in-memory tree and checked; then everything a proof binds is changed
//! one at a time, and each change must be noticed.

#![expect(clippy::disallowed_methods, reason = "tests may unwrap")]

use std::fs;
use std::path::Path;

use proptest::prelude::*;
use serde_json::Value;

use super::build::{BuildError, consistency_proof, inclusion_proof, root};
use super::*;
use crate::encoding::decode_base64;
use crate::hash::leaf_hash;
use crate::testing::{MemoryTree, leaves, recursive_root, shared};

const SIZE_MAX: u64 = 300;

fn roots(leaves: &[NodeHash]) -> Vec<NodeHash> {
    (0..=leaves.len()).map(|size| recursive_root(&leaves[..size])).collect()
}

fn flipped(hash: NodeHash, bit: usize) -> NodeHash {
    let mut bytes = hash.0;
    bytes[bit / 8 % 32] ^= 1 << (bit % 8);
    NodeHash(bytes)
}

#[test]
fn every_leaf_of_every_size_is_proven() {
    let leaves = leaves(SIZE_MAX);
    let (roots, mut tree) = (roots(&leaves), MemoryTree::new(leaves.clone()));
    for size in 1..=SIZE_MAX {
        assert_eq!(root(size, &mut tree).unwrap(), roots[size as usize]);
        for index in 0..size {
            let proof = inclusion_proof(index, size, &mut tree).unwrap();
            let leaf = leaves[index as usize];
            assert_eq!(verify_inclusion(index, size, leaf, &proof, roots[size as usize]), Ok(()));
        }
    }
}

#[test]
fn every_pair_of_sizes_is_consistent() {
    let leaves = leaves(SIZE_MAX);
    let (roots, mut tree) = (roots(&leaves), MemoryTree::new(leaves));
    for new in 1..=SIZE_MAX {
        for old in 1..=new {
            let proof = consistency_proof(old, new, &mut tree).unwrap();
            let (old_root, new_root) = (roots[old as usize], roots[new as usize]);
            assert_eq!(verify_consistency(old, old_root, new, new_root, &proof), Ok(()), "{old} {new}");
        }
    }
}

#[test]
fn changed_inclusion_proof_is_refused_for_every_leaf_of_small_sizes() {
    let leaves = leaves(70);
    let (roots, mut tree) = (roots(&leaves), MemoryTree::new(leaves.clone()));
    for size in 1..=40_u64 {
        for index in 0..size {
            let (leaf, root) = (leaves[index as usize], roots[size as usize]);
            let proof = inclusion_proof(index, size, &mut tree).unwrap();
            let bit = (size * 41 + index) as usize;
            let refused = |index, size, leaf, proof: &[NodeHash], root| {
                assert!(verify_inclusion(index, size, leaf, proof, root).is_err());
            };
            refused(index, size, flipped(leaf, bit), &proof, root);
            refused(index, size, leaf, &proof, flipped(root, bit));
            refused(index, size, leaf, &proof, roots[size as usize + 1]);
            (0..70)
                .filter(|other| *other != index)
                .for_each(|other| refused(other, size, leaf, &proof, root));
            for position in 0..proof.len() {
                let mut changed = proof.clone();
                changed[position] = flipped(changed[position], bit);
                refused(index, size, leaf, &changed, root);
                changed.remove(position);
                refused(index, size, leaf, &changed, root);
            }
            refused(index, size, leaf, &[&proof[..], &[root]].concat(), root);
            refused(index, size, leaf, &[&[leaf], &proof[..]].concat(), root);
        }
    }
}

#[test]
fn changed_consistency_proof_is_refused_for_every_pair_of_small_sizes() {
    let leaves = leaves(42);
    let (roots, mut tree) = (roots(&leaves), MemoryTree::new(leaves));
    for new in 1..=40_u64 {
        for old in 1..=new {
            let (old_root, new_root) = (roots[old as usize], roots[new as usize]);
            let proof = consistency_proof(old, new, &mut tree).unwrap();
            let bit = (new * 41 + old) as usize;
            let refused = |old, old_root, new, new_root, proof: &[NodeHash]| {
                assert!(verify_consistency(old, old_root, new, new_root, proof).is_err(), "{old} {new}");
            };
            refused(old, flipped(old_root, bit), new, new_root, &proof);
            refused(old, old_root, new, flipped(new_root, bit), &proof);
            refused(old - 1, old_root, new, new_root, &proof);
            refused(old, old_root, new, roots[new as usize + 1], &proof);
            refused(old, roots[old as usize - 1], new, new_root, &proof);
            for position in 0..proof.len() {
                let mut changed = proof.clone();
                changed[position] = flipped(changed[position], bit);
                refused(old, old_root, new, new_root, &changed);
                changed.remove(position);
                refused(old, old_root, new, new_root, &changed);
            }
            refused(old, old_root, new, new_root, &[&proof[..], &[new_root]].concat());
            refused(old, old_root, new, new_root, &[&[old_root], &proof[..]].concat());
        }
    }
}

#[test]
fn requests_that_cannot_be_proven_are_refused_alike_by_builder_and_verifier() {
    let mut tree = MemoryTree::new(leaves(4));
    let hash = empty_root();
    let beyond = ProofError::IndexOutOfRange { index: 4, size: 4 };
    assert_eq!(inclusion_proof(4, 4, &mut tree), Err(BuildError::Request(beyond.clone())));
    assert_eq!(verify_inclusion(4, 4, hash, &[], hash), Err(beyond));
    let reversed = ProofError::SizesReversed { old_size: 3, new_size: 2 };
    assert_eq!(consistency_proof(3, 2, &mut tree), Err(BuildError::Request(reversed.clone())));
    assert_eq!(verify_consistency(3, hash, 2, hash, &[]), Err(reversed));
    let empty = ProofError::EmptyTree { new_size: 2 };
    assert_eq!(consistency_proof(0, 2, &mut tree), Err(BuildError::Request(empty.clone())));
    assert_eq!(verify_consistency(0, hash, 2, hash, &[]), Err(empty));
    assert_eq!(consistency_proof(0, 0, &mut tree), Ok(vec![]));
    assert_eq!(verify_consistency(0, hash, 0, hash, &[]), Ok(()));
    let wrong = flipped(hash, 0);
    assert!(verify_consistency(0, wrong, 0, wrong, &[]).is_err());
}

proptest! {
    #[test]
    fn huge_sizes_and_any_length_never_panic(
        (first, second) in (any::<u64>(), any::<u64>()),
        length in 0_usize..130,
    ) {
        let hash = empty_root();
        let proof = vec![hash; length];
        prop_assert!(verify_inclusion(first, second, hash, &proof, hash).is_err());
        let equal_and_empty = first == second && length == 0;
        prop_assert_eq!(verify_consistency(first, hash, second, hash, &proof).is_ok(), equal_and_empty);
    }
}

/// Reads a field of a vector; a hash of another length than 32 bytes has no place in our types.
///
/// Only the placeholders that say "don't care" are replaced by a hash of their own text.
fn hash_field(vector: &Value, field: &str) -> Option<NodeHash> {
    let text = vector[field].as_str().unwrap();
    let bytes = decode_base64(text).unwrap();
    if bytes.starts_with(b"don't care") { Some(leaf_hash(&bytes)) } else { NodeHash::from_base64(text) }
}

fn proof_field(vector: &Value) -> Option<Vec<NodeHash>> {
    let Some(hashes) = vector["proof"].as_array() else { return Some(Vec::new()) };
    hashes.iter().map(|hash| NodeHash::from_base64(hash.as_str().unwrap())).collect()
}

fn inclusion_vector_holds(vector: &Value) -> bool {
    let (index, size) = (vector["leafIdx"].as_u64().unwrap(), vector["treeSize"].as_u64().unwrap());
    let parts = (hash_field(vector, "leafHash"), proof_field(vector), hash_field(vector, "root"));
    let (Some(leaf), Some(proof), Some(root)) = parts else { return false };
    verify_inclusion(index, size, leaf, &proof, root).is_ok()
}

fn consistency_vector_holds(vector: &Value) -> bool {
    let (old, new) = (vector["size1"].as_u64().unwrap(), vector["size2"].as_u64().unwrap());
    let parts = (hash_field(vector, "root1"), proof_field(vector), hash_field(vector, "root2"));
    let (Some(old_root), Some(proof), Some(new_root)) = parts else { return false };
    verify_consistency(old, old_root, new, new_root, &proof).is_ok()
}

/// Returns the number of vectors and how many of them must be refused.
fn check_vectors(folder: &Path, holds: fn(&Value) -> bool) -> (usize, usize) {
    let (mut all, mut refused) = (0, 0);
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            let inner = check_vectors(&path, holds);
            (all, refused) = (all + inner.0, refused + inner.1);
            continue;
        }
        let vector: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        let must_fail = vector["wantErr"].as_bool().unwrap();
        assert_eq!(holds(&vector), !must_fail, "{}", path.display());
        (all, refused) = (all + 1, refused + usize::from(must_fail));
    }
    (all, refused)
}

#[test]
fn published_vectors_hold() {
    let Some(folder) = shared("vectors/rfc6962-proofs") else { return };
    let inclusion = check_vectors(&folder.join("inclusion"), inclusion_vector_holds);
    let consistency = check_vectors(&folder.join("consistency"), consistency_vector_holds);
    assert_eq!((inclusion.0 + consistency.0, inclusion.1 + consistency.1), (196, 184));
}
