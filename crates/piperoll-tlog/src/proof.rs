//! Checking of inclusion and consistency proofs (RFC 9162 sections 2.1.3.2 and 2.1.4.2).
//!
//! The checks are strict: a proof must have exactly the length that its sizes demand, so every tree,
//! leaf and position has one valid proof. [`build`] constructs proofs; nothing here reads tiles.

pub mod build;

use crate::hash::{NodeHash, empty_root, node_hash};

#[cfg(test)]
mod tests;

/// Why a proof does not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// The leaf position is not in the tree.
    #[error("expected a leaf index below tree size {size}, found {index}")]
    IndexOutOfRange {
        /// Leaf position asked for.
        index: u64,
        /// Tree size in leaves.
        size: u64,
    },
    /// The older tree is larger than the newer one.
    #[error("expected an old tree size of at most {new_size}, found {old_size}")]
    SizesReversed {
        /// Size that was given as the older one.
        old_size: u64,
        /// Size that was given as the newer one.
        new_size: u64,
    },
    /// Consistency with the empty tree was to be proven; every tree has it, so a proof shows nothing.
    #[error("expected an old tree with leaves, found the empty tree before size {new_size}")]
    EmptyTree {
        /// Size of the newer tree in leaves.
        new_size: u64,
    },
    /// The proof has too many or too few hashes for the sizes.
    #[error("expected {expected} hashes in the proof, found {found}")]
    Length {
        /// Hashes that the only valid proof has.
        expected: usize,
        /// Hashes that were given.
        found: usize,
    },
    /// The proof leads to another root.
    #[error("expected root {expected} at tree size {size}, found {found}")]
    RootMismatch {
        /// Tree size in leaves.
        size: u64,
        /// Root that was given.
        expected: NodeHash,
        /// Root that follows from the proof.
        found: NodeHash,
    },
}

/// Checks that `leaf` is at `index` of the tree with `size` leaves and this `root`.
///
/// `proof` lists the sibling hashes from the leaf to the root.
pub fn verify_inclusion(
    index: u64,
    size: u64,
    leaf: NodeHash,
    proof: &[NodeHash],
    root: NodeHash,
) -> Result<(), ProofError> {
    if index >= size {
        return Err(ProofError::IndexOutOfRange { index, size });
    }
    check_length(inclusion_length(index, size), proof)?;
    let (mut position, mut last) = (index, size - 1);
    let mut found = leaf;
    for sibling in proof {
        if is_right_child(position, last) {
            found = node_hash(sibling, &found);
            (position, last) = skip_missing_siblings(position, last);
        } else {
            found = node_hash(&found, sibling);
        }
        (position, last) = (position >> 1, last >> 1);
    }
    check_root(size, root, found)
}

/// Checks that the tree with `old_size` leaves is a prefix of the one with `new_size` leaves.
///
/// Equal sizes need equal roots and an empty proof. An empty old tree before a tree with leaves is refused
/// ([`ProofError::EmptyTree`]): whoever starts from nothing has to say so and not ask for a proof.
pub fn verify_consistency(
    old_size: u64,
    old_root: NodeHash,
    new_size: u64,
    new_root: NodeHash,
    proof: &[NodeHash],
) -> Result<(), ProofError> {
    if old_size > new_size {
        return Err(ProofError::SizesReversed { old_size, new_size });
    }
    if old_size == new_size {
        check_length(0, proof)?;
        if old_size == 0 {
            check_root(0, old_root, empty_root())?;
        }
        return check_root(new_size, new_root, old_root);
    }
    if old_size == 0 {
        return Err(ProofError::EmptyTree { new_size });
    }
    check_length(consistency_length(old_size, new_size), proof)?;
    let shift = (old_size - 1).trailing_ones();
    let (mut position, mut last) = ((old_size - 1) >> shift, (new_size - 1) >> shift);
    // A perfect old tree is itself the first node, and the proof leaves it out.
    let (first, path) = match proof.split_first() {
        Some((first, path)) if !old_size.is_power_of_two() => (*first, path),
        _ => (old_root, proof),
    };
    let (mut old_found, mut new_found) = (first, first);
    for sibling in path {
        if is_right_child(position, last) {
            old_found = node_hash(sibling, &old_found);
            new_found = node_hash(sibling, &new_found);
            (position, last) = skip_missing_siblings(position, last);
        } else {
            new_found = node_hash(&new_found, sibling);
        }
        (position, last) = (position >> 1, last >> 1);
    }
    check_root(old_size, old_root, old_found)?;
    check_root(new_size, new_root, new_found)
}

/// Tells whether the next sibling in a proof is to the left (RFC 9162: `LSB(fn)` set or `fn = sn`).
fn is_right_child(position: u64, last: u64) -> bool {
    position & 1 == 1 || position == last
}

/// Climbs the levels where a node on the right edge has no sibling and so moves up unchanged.
fn skip_missing_siblings(position: u64, last: u64) -> (u64, u64) {
    let levels = if position == 0 { 0 } else { position.trailing_zeros() };
    (position >> levels, last >> levels)
}

/// Returns the hashes in the only valid inclusion proof; `index` must be below `size`.
fn inclusion_length(index: u64, size: u64) -> usize {
    // Below the split of leaf and last leaf every level has a sibling, above it only left ones.
    let inner = u64::BITS - (index ^ (size - 1)).leading_zeros();
    let border = index.checked_shr(inner).unwrap_or(0).count_ones();
    (inner + border) as usize
}

/// Returns the hashes in the only valid consistency proof; needs `0 < old_size < new_size`.
fn consistency_length(old_size: u64, new_size: u64) -> usize {
    let from_leaf = inclusion_length(old_size - 1, new_size);
    let perfect_levels = old_size.trailing_zeros() as usize;
    let first_node = usize::from(!old_size.is_power_of_two());
    from_leaf - perfect_levels + first_node
}

fn check_length(expected: usize, proof: &[NodeHash]) -> Result<(), ProofError> {
    let found = proof.len();
    if found == expected { Ok(()) } else { Err(ProofError::Length { expected, found }) }
}

fn check_root(size: u64, expected: NodeHash, found: NodeHash) -> Result<(), ProofError> {
    if found == expected { Ok(()) } else { Err(ProofError::RootMismatch { size, expected, found }) }
}
