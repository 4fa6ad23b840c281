//! Paths, layout, bundles, and proofs that are read through tiles.

#![expect(clippy::disallowed_methods, reason = "tests may unwrap")]

use std::collections::HashMap;
use std::fs;
use std::sync::Arc;

use proptest::prelude::*;

use super::bundle::{Bundle, decode_bundle, encode_bundle};
use super::hashes::TileHashes;
use super::layout::{LevelTiles, tiles, tiles_added};
use super::reader::{TileReadError, TileReader};
use super::*;
use crate::checkpoint::Checkpoint;
use crate::frontier::Frontier;
use crate::hash::{NodeHash, empty_root, leaf_hash};
use crate::note::key::VerifierKey;
use crate::proof::build::{BuildError, HashReader as _, consistency_proof, inclusion_proof, root};
use crate::proof::{verify_consistency, verify_inclusion};
use crate::testing::{MemoryTree, hostile_bytes, leaves, recursive_root, shared};

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

/// All tiles of a tree, as a log would store them.
fn stored_tiles(tree: &MemoryTree, size: u64) -> HashMap<Tile, Arc<TileHashes>> {
    let stored = tiles(size).map(|tile| {
        let first = tile.index() * u64::from(TILE_WIDTH);
        let nodes = first..first + u64::from(tile.width());
        let hashes = nodes.map(|node| tree.get(tile.level() * TILE_HEIGHT, node)).collect();
        (tile, Arc::new(TileHashes::new(hashes).unwrap()))
    });
    stored.collect()
}

/// The root at every size, from the empty tree to all leaves.
fn growing_roots(leaves: &[NodeHash]) -> Vec<NodeHash> {
    let mut frontier = Frontier::new();
    let appended = leaves.iter().map(|leaf| {
        frontier.append(*leaf);
        frontier.root()
    });
    [empty_root()].into_iter().chain(appended).collect()
}

#[test]
fn proofs_through_tiles_equal_those_from_memory() {
    let leaves = leaves(66_000);
    let roots = growing_roots(&leaves);
    let mut tree = MemoryTree::new(leaves.clone());
    for size in [1, 2, 255, 256, 257, 511, 512, 700, 65_535, 65_536, 65_537, 66_000] {
        let stored = stored_tiles(&tree, size);
        let mut fetched = 0;
        let mut reader = TileReader::new(size, |tile| {
            fetched += 1;
            stored.get(&tile).cloned().ok_or("no such tile")
        });
        let expected_root = roots[size as usize];
        assert_eq!(root(size, &mut reader).unwrap(), expected_root);
        for index in (0..size).step_by(size.isqrt() as usize).chain([size - 1]) {
            let proof = inclusion_proof(index, size, &mut reader).unwrap();
            verify_inclusion(index, size, leaves[index as usize], &proof, expected_root).unwrap();
            let old = index + 1;
            let proof = consistency_proof(old, size, &mut reader).unwrap();
            assert_eq!(proof, consistency_proof(old, size, &mut tree).unwrap());
            let old_root = roots[old as usize];
            verify_consistency(old, old_root, size, expected_root, &proof).unwrap();
        }
        assert!(fetched > 0);
    }
}

#[test]
fn neighbouring_proofs_fetch_a_tile_once() {
    let tree = MemoryTree::new(leaves(256));
    let stored = stored_tiles(&tree, 256);
    let mut fetched = Vec::new();
    let mut reader = TileReader::new(256, |tile| {
        fetched.push(tile);
        stored.get(&tile).cloned().ok_or("no such tile")
    });
    (0..256).for_each(|index| drop(inclusion_proof(index, 256, &mut reader).unwrap()));
    assert_eq!(fetched, [Tile::new(0, 0, 256).unwrap()]);
}

#[test]
fn reader_refuses_missing_nodes_and_short_tiles_and_takes_full_ones() {
    let full = Arc::new(TileHashes::new(leaves(256)).unwrap());
    let mut reader = TileReader::new(10, |_| Ok::<_, &str>(full.clone()));
    let tree = MemoryTree::new(leaves(256));
    assert_eq!(reader.node(3, 0).unwrap(), tree.get(3, 0));
    for (level, index) in [(0, 10), (3, 1), (4, 0), (64, 0), (255, 0), (0, u64::MAX)] {
        let missing = TileError::NodeOutOfRange { size: 10, level, index };
        assert_eq!(reader.node(level, index), Err(TileReadError::Tile(missing)));
    }
    let short = Arc::new(TileHashes::new(leaves(9)).unwrap());
    let mut reader = TileReader::new(10, |_| Ok::<_, &str>(short.clone()));
    let width = TileError::Width { expected: 10, found_bytes: 288 };
    assert_eq!(reader.node(0, 0), Err(TileReadError::Tile(width)));
    let mut reader = TileReader::new(10, |_| Err("gone"));
    let tile = Tile::new(0, 0, 10).unwrap();
    let gone = BuildError::Read(TileReadError::Fetch { tile, source: "gone" });
    assert_eq!(inclusion_proof(0, 10, &mut reader), Err(gone));
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
        let path = String::from_utf8_lossy(&path);
        if let Ok(tile) = Tile::parse_path(&path) {
            prop_assert_eq!(tile.path(), &*path);
        }
        if let Ok(bundle) = Bundle::parse_path(&path) {
            prop_assert_eq!(bundle.path(), &*path);
        }
    }

    #[test]
    fn what_parses_as_a_bundle_writes_back(bytes in prop::collection::vec(0_u8..3, 0..600)) {
        if let Ok(entries) = decode_bundle(&bytes) {
            prop_assert_eq!(encode_bundle(&entries).unwrap(), bytes);
        }
    }
}

#[test]
fn published_log_rebuilds_from_tiles_and_entries() {
    let Some(folder) = shared("vectors/tessera-log") else { return };
    let key = fs::read_to_string(folder.join("log.vkey")).unwrap();
    let keys = [VerifierKey::parse(key.trim_end()).unwrap()];
    let open =
        |name: &str| Checkpoint::open(&fs::read(folder.join("log").join(name)).unwrap(), &keys).unwrap();
    assert_eq!(open("checkpoint"), open("checkpoint.15"));
    assert_eq!(open("checkpoint.0").size, 0);
    for size in 1..=15 {
        let checkpoint = open(&format!("checkpoint.{size}"));
        assert_eq!((checkpoint.origin.as_str(), checkpoint.size), ("example.com/log/testdata", size));
        let bundle = Bundle::new(0, size as u16).unwrap();
        let bytes = fs::read(folder.join("log").join(bundle.path())).unwrap();
        let entries = decode_bundle(&bytes).unwrap();
        let hashes: Vec<NodeHash> = entries.iter().map(|entry| leaf_hash(entry)).collect();
        assert_eq!(recursive_root(&hashes), checkpoint.root);
        let mut reader = TileReader::new(size, |tile| {
            let bytes = fs::read(folder.join("log").join(tile.path())).unwrap();
            TileHashes::from_bytes(&bytes, tile.width()).map(Arc::new)
        });
        assert_eq!(root(size, &mut reader).unwrap(), checkpoint.root);
        for (index, leaf) in (0..).zip(&hashes) {
            let proof = inclusion_proof(index, size, &mut reader).unwrap();
            verify_inclusion(index, size, *leaf, &proof, checkpoint.root).unwrap();
        }
        for old in 1..size {
            let proof = consistency_proof(old, size, &mut reader).unwrap();
            let old = open(&format!("checkpoint.{old}"));
            verify_consistency(old.size, old.root, size, checkpoint.root, &proof).unwrap();
        }
    }
}
