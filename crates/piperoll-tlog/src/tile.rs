//! Tiles and entry bundles of C2SP `tlog-tiles`: coordinates and paths.
//!
//! A tile at level L with index N holds up to 256 nodes, each the root of 256^L leaves, starting at node
//! 256 × N. A full tile is 8,192 bytes; a partial one exists only at the right edge of a tree.
//!
//! ```text
//! tile/<L>/<N>[.p/<W>]        tile/entries/<N>[.p/<W>]
//! L  0..=63, decimal          N  groups of three digits, all but the last with an x: x001/x234/067
//! W  1..=255, decimal, only for partial tiles
//! ```
//! [`hashes`] is what is in a tile, [`bundle`] what is in an entry bundle, [`layout`] which tiles a tree has,
//! and [`reader`] builds proofs on top of them. Nothing here fetches anything.

pub mod bundle;

pub mod hashes;

pub mod layout;

pub mod reader;

use crate::encoding;
use crate::hash::HASH_BYTES;

#[cfg(test)]
mod tests;

/// Nodes in a full tile and entries in a full bundle.
pub const TILE_WIDTH: u16 = 256;

/// Levels of the Merkle tree that one tile spans.
pub const TILE_HEIGHT: u8 = 8;

/// Highest tile level that a path can name; trees of `u64` size need only levels 0 to 7.
pub const LEVEL_MAX: u8 = 63;

/// Bytes of a full tile.
pub const TILE_BYTES_MAX: usize = TILE_WIDTH as usize * HASH_BYTES;

/// Why bytes, coordinates or a path are not a tile or an entry bundle.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TileError {
    /// The coordinates name no tile.
    #[error("expected tile level 0..=63 and width 1..=256, found level {level} and width {width}")]
    Coordinates {
        /// Level that was given.
        level: u8,
        /// Width that was given.
        width: u16,
    },
    /// The path is not the one spelling of a tile or bundle.
    #[error("expected a tile path like tile/0/x001/234 or tile/0/000.p/8, found `{path}`")]
    Path {
        /// Path that was given.
        path: String,
    },
    /// The tile has another number of hashes than it must have.
    #[error("expected {expected} hashes in the tile, found {found_bytes} bytes")]
    Width {
        /// Hashes that the tile must have.
        expected: u16,
        /// Bytes that were given or kept.
        found_bytes: usize,
    },
    /// The bundle has no entry or too many.
    #[error("expected 1..=256 entries in the bundle, found {found} or more")]
    EntryCount {
        /// Entries found until reading stopped.
        found: usize,
    },
    /// An entry is too long for its length field of two bytes.
    #[error("expected an entry of at most 65535 bytes at position {position}, found {found_bytes}")]
    EntryLength {
        /// Position in the bundle.
        position: usize,
        /// Bytes of the entry.
        found_bytes: usize,
    },
    /// The bundle ends inside an entry or its length.
    #[error("expected {expected_bytes} more bytes at offset {offset} of the bundle, found {found_bytes}")]
    Truncated {
        /// Where the missing bytes should start.
        offset: usize,
        /// Bytes that should follow.
        expected_bytes: usize,
        /// Bytes that do follow.
        found_bytes: usize,
    },
    /// The tree of this size has no such perfect subtree.
    #[error("expected a perfect subtree below tree size {size}, found level {level} index {index}")]
    NodeOutOfRange {
        /// Tree size in leaves.
        size: u64,
        /// Level of the node asked for.
        level: u8,
        /// Index of the node asked for.
        index: u64,
    },
}

/// Coordinates of a Merkle tree tile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tile {
    level: u8,
    index: u64,
    width: u16,
}

impl Tile {
    /// Creates coordinates; `width` is the number of hashes, 256 for a full tile.
    pub fn new(level: u8, index: u64, width: u16) -> Result<Self, TileError> {
        if level > LEVEL_MAX || width == 0 || width > TILE_WIDTH {
            return Err(TileError::Coordinates { level, width });
        }
        Ok(Self { level, index, width })
    }

    /// Returns the tile level; level 0 has the leaf hashes.
    pub fn level(self) -> u8 {
        self.level
    }

    /// Returns the position of the tile in its level.
    pub fn index(self) -> u64 {
        self.index
    }

    /// Returns the number of hashes in the tile, 1..=256.
    pub fn width(self) -> u16 {
        self.width
    }

    /// Tells whether the tile has fewer than 256 hashes.
    pub fn is_partial(self) -> bool {
        self.width < TILE_WIDTH
    }

    /// Returns the path below the log's prefix, for example `tile/0/x001/x234/067.p/8`.
    pub fn path(self) -> String {
        format!("tile/{}/{}", self.level, format_position(self.index, self.width))
    }

    /// Reads a path as [`Self::path`] writes it; every other spelling is refused.
    pub fn parse_path(path: &str) -> Result<Self, TileError> {
        let parse = || {
            let (level, position) = path.strip_prefix("tile/")?.split_once('/')?;
            let level = u8::try_from(encoding::parse_decimal(level)?).ok()?;
            let (index, width) = parse_position(position)?;
            Self::new(level, index, width).ok()
        };
        parse().ok_or_else(|| TileError::Path { path: path.to_owned() })
    }
}

/// Writes `<N>[.p/<W>]`.
fn format_position(index: u64, width: u16) -> String {
    let mut path = format!("{:03}", index % 1000);
    let mut rest = index / 1000;
    while rest > 0 {
        path = format!("x{:03}/{path}", rest % 1000);
        rest /= 1000;
    }
    if width < TILE_WIDTH {
        path.push_str(&format!(".p/{width}"));
    }
    path
}

/// Reads `<N>[.p/<W>]` in the one spelling that [`format_position`] writes.
fn parse_position(text: &str) -> Option<(u64, u16)> {
    let (groups, width) = match text.split_once(".p/") {
        Some((groups, width)) => (groups, u16::try_from(encoding::parse_decimal(width)?).ok()?),
        None => (text, TILE_WIDTH),
    };
    let mut index = 0_u64;
    for group in groups.split('/') {
        let digits = group.strip_prefix('x').unwrap_or(group);
        if digits.len() != 3 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        index = index.checked_mul(1000)?.checked_add(digits.parse().ok()?)?;
    }
    // One comparison refuses everything else: a missing or extra x, leading zero groups, a width of 256.
    (format_position(index, width) == text).then_some((index, width))
}
