//! Which tiles a tree of a given size has, and which are new when it grows.
//!
//! The count at level L is floor(size / 256^L) nodes: full tiles of 256 and, if a rest remains, one partial
//! tile. A level without nodes has no tile; a size of 0 has no tile at all.

use crate::tile::{TILE_HEIGHT, TILE_WIDTH, Tile};

/// Tile levels that a tree of `u64` size can have.
pub(crate) const LEVELS: usize = (u64::BITS / TILE_HEIGHT as u32) as usize;

/// The tiles of one level of a tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LevelTiles {
    /// Tile level.
    pub level: u8,
    /// Number of full tiles.
    pub full_tiles: u64,
    /// Hashes in the partial tile after them, 0 if there is none.
    pub partial_width: u16,
}

impl LevelTiles {
    /// Returns the tiles of `level` in the tree with `size` leaves.
    pub fn new(size: u64, level: u8) -> Self {
        let nodes = size.checked_shr(u32::from(level) * u32::from(TILE_HEIGHT)).unwrap_or(0);
        let partial_width = (nodes % u64::from(TILE_WIDTH)) as u16;
        Self { level, full_tiles: nodes / u64::from(TILE_WIDTH), partial_width }
    }

    /// Returns the tile at `index` as wide as the tree has it, or nothing beyond the right edge.
    pub fn tile(self, index: u64) -> Option<Tile> {
        let width = match index {
            _ if index < self.full_tiles => TILE_WIDTH,
            _ if index == self.full_tiles && self.partial_width > 0 => self.partial_width,
            _ => return None,
        };
        Some(Tile { level: self.level, index, width })
    }

    /// Returns the tiles from position `first` to the right edge.
    fn tiles_from(self, first: u64) -> impl Iterator<Item = Tile> {
        (first..=self.full_tiles).filter_map(move |index| self.tile(index))
    }
}

/// Returns the levels that have tiles in the tree with `size` leaves, lowest first.
pub fn levels(size: u64) -> impl Iterator<Item = LevelTiles> {
    (0..LEVELS as u8)
        .map(move |level| LevelTiles::new(size, level))
        .take_while(|tiles| tiles.full_tiles > 0 || tiles.partial_width > 0)
}

/// Returns every tile of the tree with `size` leaves, level by level.
pub fn tiles(size: u64) -> impl Iterator<Item = Tile> {
    tiles_added(0, size)
}

/// Returns the tiles of the tree with `new_size` leaves that the one with `old_size` leaves does not have.
///
/// These are what a writer must store before it publishes a checkpoint of `new_size`.
pub fn tiles_added(old_size: u64, new_size: u64) -> impl Iterator<Item = Tile> {
    levels(new_size).flat_map(move |new| {
        let old = LevelTiles::new(old_size, new.level);
        let old_partial = old.tile(old.full_tiles);
        new.tiles_from(old.full_tiles).filter(move |tile| Some(*tile) != old_partial)
    })
}
