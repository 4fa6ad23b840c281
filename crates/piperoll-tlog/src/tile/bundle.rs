//! Entry bundles: the entries under one level 0 tile.
//!
//! ```text
//! bundle = 1..=256 × ( uint16 big-endian length || entry )
//! ```

use crate::tile::{TILE_WIDTH, Tile, TileError, format_position, parse_position};

/// Bytes of the largest entry that a bundle can hold.
pub const ENTRY_BYTES_MAX: usize = u16::MAX as usize;

/// Bytes of the length before each entry.
const LENGTH_BYTES: usize = 2;

/// Coordinates of an entry bundle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bundle {
    index: u64,
    width: u16,
}

impl Bundle {
    /// Creates coordinates; `width` is the number of entries, 256 for a full bundle.
    pub fn new(index: u64, width: u16) -> Result<Self, TileError> {
        Tile::new(0, index, width).map(|_| Self { index, width })
    }

    /// Returns the position of the bundle.
    pub fn index(self) -> u64 {
        self.index
    }

    /// Returns the number of entries, 1..=256.
    pub fn width(self) -> u16 {
        self.width
    }

    /// Returns the level 0 tile with the leaf hashes of these entries.
    pub fn tile(self) -> Tile {
        Tile { level: 0, index: self.index, width: self.width }
    }

    /// Returns the path below the log's prefix, for example `tile/entries/x001/x234/067.p/8`.
    pub fn path(self) -> String {
        format!("tile/entries/{}", format_position(self.index, self.width))
    }

    /// Reads a path as [`Self::path`] writes it; every other spelling is refused.
    pub fn parse_path(path: &str) -> Result<Self, TileError> {
        let parse = || {
            let (index, width) = parse_position(path.strip_prefix("tile/entries/")?)?;
            Self::new(index, width).ok()
        };
        parse().ok_or_else(|| TileError::Path { path: path.to_owned() })
    }
}

/// Writes the entries of a bundle; fails on no entry, on more than 256 and on one that is too long.
pub fn encode_bundle<E: AsRef<[u8]>>(entries: &[E]) -> Result<Vec<u8>, TileError> {
    check_count(entries.len())?;
    let mut bytes = Vec::new();
    for (position, entry) in entries.iter().enumerate() {
        let entry = entry.as_ref();
        let length = u16::try_from(entry.len())
            .map_err(|_| TileError::EntryLength { position, found_bytes: entry.len() })?;
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.extend_from_slice(entry);
    }
    Ok(bytes)
}

/// Reads the entries of a bundle; the bytes must end with the last entry.
pub fn decode_bundle(bytes: &[u8]) -> Result<Vec<&[u8]>, TileError> {
    let mut entries = Vec::new();
    let mut offset = 0;
    while offset < bytes.len() {
        check_count(entries.len() + 1)?;
        let length = take(bytes, &mut offset, LENGTH_BYTES)?;
        let length = usize::from(u16::from_be_bytes([length[0], length[1]]));
        entries.push(take(bytes, &mut offset, length)?);
    }
    check_count(entries.len())?;
    Ok(entries)
}

fn check_count(found: usize) -> Result<(), TileError> {
    if (1..=usize::from(TILE_WIDTH)).contains(&found) { Ok(()) } else { Err(TileError::EntryCount { found }) }
}

fn take<'a>(bytes: &'a [u8], offset: &mut usize, expected_bytes: usize) -> Result<&'a [u8], TileError> {
    let rest = &bytes[*offset..];
    let taken = rest.get(..expected_bytes).ok_or(TileError::Truncated {
        offset: *offset,
        expected_bytes,
        found_bytes: rest.len(),
    })?;
    *offset += expected_bytes;
    Ok(taken)
}
