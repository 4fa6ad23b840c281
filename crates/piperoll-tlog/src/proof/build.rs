//! Construction of proofs and roots from stored nodes (RFC 6962 sections 2.1.1 and 2.1.2).
//!
//! Nodes come from a [`HashReader`], whatever it reads from; the result is as trustworthy as the reader.

use crate::hash::{NodeHash, empty_root, node_hash};
use crate::proof::ProofError;

/// Gives access to the roots of perfect subtrees.
pub trait HashReader {
    /// Why a node could not be read.
    type Error;

    /// Returns the root of the perfect subtree of 2^`level` leaves that starts at leaf `index` × 2^`level`.
    fn node(&mut self, level: u8, index: u64) -> Result<NodeHash, Self::Error>;
}

/// Why a proof could not be built.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BuildError<E> {
    /// No such proof exists: the request is wrong.
    #[error(transparent)]
    Request(#[from] ProofError),
    /// A node could not be read.
    #[error("tree node could not be read")]
    Read(#[source] E),
}

/// Builds the inclusion proof of the leaf at `index` in the tree with `size` leaves, leaf sibling first.
pub fn inclusion_proof<R: HashReader>(
    index: u64,
    size: u64,
    reader: &mut R,
) -> Result<Vec<NodeHash>, BuildError<R::Error>> {
    if index >= size {
        return Err(ProofError::IndexOutOfRange { index, size }.into());
    }
    let (mut start, mut end) = (0, size);
    let mut proof = Vec::new();
    while end - start > 1 {
        let middle = start + split_point(end - start);
        if index < middle {
            proof.push(range_root(middle, end, reader).map_err(BuildError::Read)?);
            end = middle;
        } else {
            proof.push(range_root(start, middle, reader).map_err(BuildError::Read)?);
            start = middle;
        }
    }
    proof.reverse();
    Ok(proof)
}

/// Builds the proof that the tree with `old_size` leaves is a prefix of the one with `new_size` leaves.
///
/// Equal sizes give the empty proof; fails like [`crate::proof::verify_consistency`] for other sizes
/// that cannot be proven.
pub fn consistency_proof<R: HashReader>(
    old_size: u64,
    new_size: u64,
    reader: &mut R,
) -> Result<Vec<NodeHash>, BuildError<R::Error>> {
    if old_size > new_size {
        return Err(ProofError::SizesReversed { old_size, new_size }.into());
    }
    if old_size == 0 && new_size > 0 {
        return Err(ProofError::EmptyTree { new_size }.into());
    }
    let (mut start, mut end) = (0, new_size);
    let mut proof = Vec::new();
    while end > old_size {
        let middle = start + split_point(end - start);
        if old_size <= middle {
            proof.push(range_root(middle, end, reader).map_err(BuildError::Read)?);
            end = middle;
        } else {
            proof.push(range_root(start, middle, reader).map_err(BuildError::Read)?);
            start = middle;
        }
    }
    // If the old tree is a perfect left subtree, the verifier has its root already.
    if start > 0 {
        proof.push(range_root(start, end, reader).map_err(BuildError::Read)?);
    }
    proof.reverse();
    Ok(proof)
}

/// Returns the root of the tree with `size` leaves.
pub fn root<R: HashReader>(size: u64, reader: &mut R) -> Result<NodeHash, R::Error> {
    if size == 0 { Ok(empty_root()) } else { range_root(0, size, reader) }
}

/// Returns the largest power of two below `count`, which must be at least 2.
fn split_point(count: u64) -> u64 {
    1 << (count - 1).ilog2()
}

/// Returns the RFC 6962 root over the leaves `start..end` of a non-empty subtree of a tree.
fn range_root<R: HashReader>(start: u64, end: u64, reader: &mut R) -> Result<NodeHash, R::Error> {
    // Perfect subtrees from the right, smallest first, so that folding needs no memory.
    let (mut edge, mut root) = (end, None);
    while edge > start {
        let level = (edge - start).trailing_zeros();
        edge -= 1 << level;
        let left = reader.node(level as u8, edge >> level)?;
        root = Some(root.map_or(left, |right| node_hash(&left, &right)));
    }
    Ok(root.expect("callers ask for at least one leaf"))
}
