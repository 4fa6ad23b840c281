//! Paths, layout, bundles and the nodes in a tile.

#![expect(clippy::disallowed_methods, reason = "tests may unwrap")]

use proptest::prelude::*;

use super::bundle::{Bundle, decode_bundle, encode_bundle};
use super::hashes::TileHashes;
use super::layout::{LevelTiles, tiles, tiles_added};
use super::*;
use crate::testing::{FUZZ_ITERATIONS, MemoryTree, hostile_bytes, leaves};

fn path_of(level: u8, index: u64, width: u16) -> String {
    Tile::new(level, index, width).unwrap().path()
}

#[test]
fn paths_are_those_of_the_specification() {
    assert_eq!(path_of(0, 1_234_067, 8), "tile/0/x001/x234/067.p/8");
    assert_eq!(path_of(63, 0, 256), "tile/63/000");
    assert_eq!(path_of(2, 1_000, 255), "tile/2/x001/000.p/255");
    assert_eq!(path_of(0, u64::MAX, 256), "tile/0/x018/x446/x744/x073/x709/x551/615");
    assert_eq!(Bundle::new(1_234_067, 256).unwrap().path(), "tile/entries/x001/x234/067");
}

#[test]
fn other_spellings_of_paths_are_refused() {
    for path in [
        "",
        "tile",
        "tile/0",
        "tile/0/",
        "tile/00/000",
        "tile/64/000",
        "tile/256/000",
        "tile/-1/000",
        "tile/0/0",
        "tile/0/0000",
        "tile/0/x000/001",
        "tile/0/001/002",
        "tile/0/x001",
        "tile/0/x001/x002",
        "/tile/0/001",
        "tile/0/001/",
        "tile/0/001.p/0",
        "tile/0/001.p/256",
        "tile/0/001.p/08",
        "tile/0/001.p/",
        "tile/0/001.p",
        "tile/0/001.p/8.p/8",
        "tile/0/+01",
        "tile/0/xx01",
        "tile/entries/000",
        "tile/data/000",
        "TILE/0/000",
        "tile/0/x018/x446/x744/x073/x709/x551/616",
        "tile/0/x001/x000/x000/x000/x000/x000/x000/x000/000",
    ] {
        assert_eq!(Tile::parse_path(path), Err(TileError::Path { path: path.to_owned() }));
    }
    assert!(Bundle::parse_path("tile/0/000").is_err());
    assert!(Tile::new(64, 0, 1).is_err());
    assert!(Tile::new(0, 0, 0).is_err());
    assert!(Bundle::new(0, 257).is_err());
}

#[test]
fn layout_is_that_of_the_specification() {
    let level = |size, level| {
        let tiles = LevelTiles::new(size, level);
        (tiles.full_tiles, tiles.partial_width)
    };
    assert_eq!((level(70_000, 0), level(70_000, 1), level(70_000, 2)), ((273, 112), (1, 17), (0, 1)));
    assert_eq!((level(256, 0), level(256, 1), level(256, 2)), ((1, 0), (0, 1), (0, 0)));
    assert_eq!(level(u64::MAX, 7), (0, 255));
    assert_eq!((level(u64::MAX, 8), level(u64::MAX, 63)), ((0, 0), (0, 0)));
    assert_eq!(tiles(70_000).count(), 274 + 2 + 1);
    assert_eq!(tiles(0).count(), 0);
}

#[test]
fn added_tiles_are_the_difference_of_both_trees() {
    for (old, new) in
        [(0, 1), (1, 1), (5, 5), (255, 256), (256, 257), (300, 70_000), (65_536, 65_536), (9, 2)]
    {
        let before: Vec<Tile> = tiles(old).collect();
        let expected: Vec<Tile> = if old > new {
            tiles_added(old, new).collect()
        } else {
            tiles(new).filter(|tile| !before.contains(tile)).collect()
        };
        assert_eq!(tiles_added(old, new).collect::<Vec<_>>(), expected, "{old} {new}");
    }
}

#[test]
fn bundle_reads_back_and_broken_ones_are_refused() {
    let entries = [&b"one"[..], b"", &[7; 65_535]];
    let bytes = encode_bundle(&entries).unwrap();
    assert_eq!(decode_bundle(&bytes).unwrap(), entries);
    let cut = TileError::Truncated { offset: 9, expected_bytes: 65_535, found_bytes: 65_534 };
    assert_eq!(decode_bundle(&bytes[..bytes.len() - 1]), Err(cut));
    let cut = TileError::Truncated { offset: 5, expected_bytes: 2, found_bytes: 1 };
    assert_eq!(decode_bundle(&bytes[..6]), Err(cut));
    assert_eq!(decode_bundle(&[]), Err(TileError::EntryCount { found: 0 }));
    assert_eq!(decode_bundle(&[0; 2 * 256]).unwrap().len(), 256);
    assert_eq!(decode_bundle(&[0; 2 * 257]), Err(TileError::EntryCount { found: 257 }));
    assert_eq!(encode_bundle::<&[u8]>(&[]), Err(TileError::EntryCount { found: 0 }));
    let long = TileError::EntryLength { position: 0, found_bytes: 65_536 };
    assert_eq!(encode_bundle(&[vec![0; 65_536]]), Err(long));
}

#[test]
fn tile_knows_all_nodes_of_every_width() {
    for width in 1..=TILE_WIDTH {
        let leaves = leaves(u64::from(width));
        let tree = MemoryTree::new(leaves.clone());
        let tile = TileHashes::new(leaves.clone()).unwrap();
        for height in 0..=TILE_HEIGHT {
            for position in 0..width >> height {
                assert_eq!(tile.node(height, position), Some(tree.get(height, u64::from(position))));
            }
            assert_eq!(tile.node(height, width >> height), None);
        }
        assert_eq!(tile.node(9, 0), None);
        assert_eq!(tile.node(u8::MAX, 0), None);
        assert_eq!(tile.hashes(), leaves);
        assert_eq!(TileHashes::from_bytes(&tile.to_bytes(), width).unwrap(), tile);
    }
    assert!(TileHashes::new(vec![]).is_err());
    assert!(TileHashes::new(leaves(257)).is_err());
    assert!(TileHashes::from_bytes(&[0; 33], 1).is_err());
    assert!(TileHashes::from_bytes(&[0; 32], 2).is_err());
    assert!(TileHashes::from_bytes(&[], 0).is_err());
}

/// Harness: any bytes are refused or write back unchanged, without a panic.
fn what_parses_as_path_or_bundle_writes_back(bytes: &[u8]) {
    let path = String::from_utf8_lossy(bytes);
    if let Ok(tile) = Tile::parse_path(&path) {
        assert_eq!(tile.path(), path);
    }
    if let Ok(bundle) = Bundle::parse_path(&path) {
        assert_eq!(bundle.path(), path);
    }
    if let Ok(entries) = decode_bundle(bytes) {
        assert_eq!(encode_bundle(&entries).unwrap(), bytes);
    }
}

#[test]
fn fuzz_tile_path_and_bundle() {
    bolero::check!().with_iterations(FUZZ_ITERATIONS).for_each(what_parses_as_path_or_bundle_writes_back);
}

proptest! {
    #[test]
    fn any_coordinates_read_back(level in 0..=LEVEL_MAX, index: u64, width in 1..=TILE_WIDTH) {
        let (tile, bundle) = (Tile::new(level, index, width).unwrap(), Bundle::new(index, width).unwrap());
        prop_assert_eq!(Tile::parse_path(&tile.path()), Ok(tile));
        prop_assert_eq!(Bundle::parse_path(&bundle.path()), Ok(bundle));
    }

    #[test]
    fn what_parses_as_a_path_writes_back(path in hostile_bytes(
        vec!["tile/0/x001/x234/067.p/8".into(), "tile/63/000".into(), "tile/entries/x001/000.p/255".into()],
        &["tile/", "entries/", "0", "1", "63/", "/", "x", "000", "001", "x001/", "x999/", ".p/", "255", "256"],
    )) {
        what_parses_as_path_or_bundle_writes_back(&path);
    }

    #[test]
    fn what_parses_as_a_bundle_writes_back(bytes in prop::collection::vec(0_u8..3, 0..600)) {
        what_parses_as_path_or_bundle_writes_back(&bytes);
    }
}
