//! The hashes in one tile together with all inner nodes that follow from them.
//!
//! Computing the inner nodes once makes every further proof through the tile a matter of lookups.

use crate::hash::{HASH_BYTES, NodeHash, node_hash};
use crate::tile::{TILE_BYTES_MAX, TILE_HEIGHT, TILE_WIDTH, TileError};

/// A tile's hashes and their perfect subtrees up to the height of the tile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TileHashes {
    width: u16,
    /// Row by row: the tile's hashes, then their parents, up to a single root if the tile is full.
    nodes: Vec<NodeHash>,
    /// Where the row of each height starts in `nodes`, and the end of the last row.
    row_starts: [u16; TILE_HEIGHT as usize + 2],
}

impl TileHashes {
    /// Takes the hashes of a tile, 1..=256 of them, and computes the nodes above.
    pub fn new(hashes: Vec<NodeHash>) -> Result<Self, TileError> {
        let width = u16::try_from(hashes.len()).ok().filter(|width| (1..=TILE_WIDTH).contains(width));
        let width =
            width.ok_or(TileError::Width { expected: TILE_WIDTH, found_bytes: hashes.len() * HASH_BYTES })?;
        let mut nodes = hashes;
        nodes.reserve_exact(usize::from(width));
        let mut row_starts = [0; TILE_HEIGHT as usize + 2];
        for height in 0..=TILE_HEIGHT {
            let start = usize::from(row_starts[usize::from(height)]);
            let end = start + usize::from(width >> height);
            row_starts[usize::from(height) + 1] = end as u16;
            for left in (start..end).step_by(2).filter(|left| left + 1 < end) {
                nodes.push(node_hash(&nodes[left], &nodes[left + 1]));
            }
        }
        Ok(Self { width, nodes, row_starts })
    }

    /// Reads the bytes of a tile with `width` hashes; the length must fit exactly.
    pub fn from_bytes(bytes: &[u8], width: u16) -> Result<Self, TileError> {
        let error = TileError::Width { expected: width, found_bytes: bytes.len() };
        if bytes.len() > TILE_BYTES_MAX || bytes.len() != usize::from(width) * HASH_BYTES {
            return Err(error);
        }
        let (hashes, _) = bytes.as_chunks::<HASH_BYTES>();
        Self::new(hashes.iter().copied().map(NodeHash).collect())
    }

    /// Returns the bytes of the tile.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.hashes().iter().flat_map(|hash| hash.0).collect()
    }

    /// Returns the number of hashes in the tile, 1..=256.
    pub fn width(&self) -> u16 {
        self.width
    }

    /// Returns the hashes in the tile, without the nodes above.
    pub fn hashes(&self) -> &[NodeHash] {
        &self.nodes[..usize::from(self.width)]
    }

    /// Returns the root of the 2^`height` hashes from `position` × 2^`height`, if the tile has all of them.
    ///
    /// Height 8 is the root of a full tile, the hash that stands for it one tile level higher.
    pub fn node(&self, height: u8, position: u16) -> Option<NodeHash> {
        let row = self.row_starts.get(usize::from(height)..usize::from(height) + 2)?;
        let row = &self.nodes[usize::from(row[0])..usize::from(row[1])];
        row.get(usize::from(position)).copied()
    }
}
