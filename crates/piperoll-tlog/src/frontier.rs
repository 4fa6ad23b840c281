//! The right frontier of a growing tree: what is needed to append leaves and to know the root.
//!
//! A tree of size n is the concatenation of perfect subtrees, one for each bit set in n, largest first.
//! The frontier keeps only their roots, at most 64 hashes; it cannot prove anything about older leaves.

use crate::hash::{NodeHash, empty_root, node_hash};

/// Roots that a frontier can have at most: one for each bit of the size.
const ROOTS_MAX: usize = u64::BITS as usize;

/// The size given to [`Frontier::from_parts`] needs another number of subtree roots.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected} subtree roots for tree size {size}, found {found}")]
pub struct FrontierError {
    /// Tree size in leaves.
    pub size: u64,
    /// Roots that this size has.
    pub expected: usize,
    /// Roots that were given.
    pub found: usize,
}

/// A compact range from leaf 0: the roots of the perfect subtrees of a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    roots: Vec<NodeHash>,
}

impl Frontier {
    /// Creates the frontier of the empty tree.
    pub fn new() -> Self {
        // All the room that appending can ever need: `append` allocates nothing.
        Self { size: 0, roots: Vec::with_capacity(ROOTS_MAX) }
    }

    /// Restores a frontier from its size and its subtree roots, largest first.
    ///
    /// The roots themselves cannot be checked here: compare [`Self::root`] with a checkpoint.
    /// Fails if the number of roots does not fit the size.
    pub fn from_parts(size: u64, roots: Vec<NodeHash>) -> Result<Self, FrontierError> {
        let (expected, found) = (size.count_ones() as usize, roots.len());
        if found != expected {
            return Err(FrontierError { size, expected, found });
        }
        let mut frontier = Self::new();
        frontier.size = size;
        frontier.roots.extend(roots);
        Ok(frontier)
    }

    /// Appends one leaf hash; on average this is one node hash, and never an allocation.
    pub fn append(&mut self, leaf: NodeHash) {
        let mut node = leaf;
        // Each trailing one bit of the size is a perfect subtree that the new leaf completes.
        for _ in 0..self.size.trailing_ones() {
            let left = self.roots.pop().expect("there is one root for each bit set in the size");
            node = node_hash(&left, &node);
        }
        self.roots.push(node);
        self.size = self.size.checked_add(1).expect("no tree reaches 2^64 leaves");
    }

    /// Returns the RFC 6962 root of the tree.
    pub fn root(&self) -> NodeHash {
        let folded = self.roots.iter().rev().copied().reduce(|right, left| node_hash(&left, &right));
        folded.unwrap_or_else(empty_root)
    }

    /// Returns the number of leaves.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Returns the roots of the perfect subtrees, largest first.
    pub fn hashes(&self) -> &[NodeHash] {
        &self.roots
    }
}

impl Default for Frontier {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::disallowed_methods, reason = "tests may unwrap")]

    use super::*;
    use crate::testing::{leaves, recursive_root};

    #[test]
    fn root_equals_the_recursive_definition_for_every_size_up_to_300() {
        let leaves = leaves(300);
        let mut frontier = Frontier::new();
        assert_eq!(frontier.root(), empty_root());
        for (count, leaf) in leaves.iter().enumerate() {
            frontier.append(*leaf);
            assert_eq!(frontier.root(), recursive_root(&leaves[..=count]));
            assert_eq!(frontier.size(), count as u64 + 1);
        }
    }

    #[test]
    fn restored_frontier_continues_like_the_original() {
        let leaves = leaves(70);
        for cut in 0..leaves.len() {
            let mut original = Frontier::new();
            leaves[..cut].iter().for_each(|leaf| original.append(*leaf));
            let mut restored = Frontier::from_parts(cut as u64, original.hashes().to_vec()).unwrap();
            leaves[cut..].iter().for_each(|leaf| restored.append(*leaf));
            assert_eq!(restored.root(), recursive_root(&leaves));
        }
    }

    #[test]
    fn wrong_number_of_roots_is_refused() {
        let error = Frontier::from_parts(5, leaves(3)).unwrap_err();
        assert_eq!(error, FrontierError { size: 5, expected: 2, found: 3 });
        assert_eq!(error.to_string(), "expected 2 subtree roots for tree size 5, found 3");
    }

    #[test]
    fn appending_never_allocates() {
        let mut frontier = Frontier::from_parts(u64::MAX >> 1, leaves(63)).unwrap();
        let before = frontier.hashes().as_ptr();
        frontier.append(leaves(1)[0]);
        assert_eq!(frontier.hashes().len(), 1);
        assert_eq!(frontier.hashes().as_ptr(), before);
    }
}
