//! Reading of tree nodes out of tiles.
//!
//! A reader is for one tree size, because the right edge of the tree is in partial tiles of that size.

use std::sync::Arc;

use crate::hash::{HASH_BYTES, NodeHash};
use crate::proof::build::HashReader;
use crate::tile::hashes::TileHashes;
use crate::tile::layout::{LEVELS, LevelTiles};
use crate::tile::{TILE_HEIGHT, Tile, TileError};

#[cfg(test)]
mod tests;

/// Why a node could not be read from tiles.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TileReadError<E> {
    /// The tile could not be fetched.
    #[error("tile `{}` could not be fetched", tile.path())]
    Fetch {
        /// Tile asked for.
        tile: Tile,
        /// What the fetching closure said.
        #[source]
        source: E,
    },
    /// The request or the fetched tile does not fit the tree.
    #[error(transparent)]
    Tile(#[from] TileError),
}

type FetchedTile = (Tile, Arc<TileHashes>);

/// Reads the nodes of a tree with a fixed size through a closure that fetches tiles.
///
/// The closure may answer with a wider tile than asked for, for example the full one after a partial tile
/// was removed. It may keep the tiles in a cache; the reader itself remembers two tiles for each level.
/// Fetched hashes are not authenticated here.
#[derive(Debug)]
pub struct TileReader<F> {
    size: u64,
    fetch: F,
    /// The full tile used last on each level: proofs of neighbouring leaves go through the same ones.
    recent_full: [Option<FetchedTile>; LEVELS],
    /// The partial tile of each level: almost every proof needs the right edge too, and in one slot the two
    /// would push each other out.
    partial: [Option<FetchedTile>; LEVELS],
}

impl<F, E> TileReader<F>
where
    F: FnMut(Tile) -> Result<Arc<TileHashes>, E>,
{
    /// Creates a reader for the tree with `size` leaves.
    pub fn new(size: u64, fetch: F) -> Self {
        Self { size, fetch, recent_full: Default::default(), partial: Default::default() }
    }

    fn tile(&mut self, tile: Tile) -> Result<&TileHashes, TileReadError<E>> {
        let slots = if tile.is_partial() { &mut self.partial } else { &mut self.recent_full };
        let slot = &mut slots[usize::from(tile.level())];
        if slot.as_ref().is_none_or(|(known, _)| *known != tile) {
            let hashes = (self.fetch)(tile).map_err(|source| TileReadError::Fetch { tile, source })?;
            if hashes.width() < tile.width() {
                let found_bytes = hashes.hashes().len() * HASH_BYTES;
                return Err(TileError::Width { expected: tile.width(), found_bytes }.into());
            }
            *slot = Some((tile, hashes));
        }
        let (_, hashes) = slot.as_ref().expect("the tile was just put there");
        Ok(hashes)
    }
}

impl<F, E> HashReader for TileReader<F>
where
    F: FnMut(Tile) -> Result<Arc<TileHashes>, E>,
{
    type Error = TileReadError<E>;

    fn node(&mut self, level: u8, index: u64) -> Result<NodeHash, Self::Error> {
        let out_of_range = TileError::NodeOutOfRange { size: self.size, level, index };
        // A node is there when all its leaves are; this also bounds the level to that of a u64 size.
        if index >= self.size.checked_shr(u32::from(level)).unwrap_or(0) {
            return Err(out_of_range.into());
        }
        let height = level % TILE_HEIGHT;
        let position_bits = TILE_HEIGHT - height;
        let tiles = LevelTiles::new(self.size, level / TILE_HEIGHT);
        let tile = tiles.tile(index >> position_bits).ok_or_else(|| out_of_range.clone())?;
        let position = (index & ((1 << position_bits) - 1)) as u16;
        let node = self.tile(tile)?.node(height, position);
        node.ok_or_else(|| out_of_range.into())
    }
}
