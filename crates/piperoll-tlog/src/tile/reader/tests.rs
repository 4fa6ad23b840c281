//! Roots and proofs that are read through tiles, made here and by another implementation.

#![expect(clippy::disallowed_methods, reason = "tests may unwrap")]

use std::collections::HashMap;
use std::fs;

use super::*;
use crate::checkpoint::Checkpoint;
use crate::frontier::Frontier;
use crate::hash::{empty_root, leaf_hash};
use crate::note::key::VerifierKey;
use crate::proof::build::{BuildError, consistency_proof, inclusion_proof, root};
use crate::proof::{verify_consistency, verify_inclusion};
use crate::testing::{MemoryTree, leaves, recursive_root, shared};
use crate::tile::TILE_WIDTH;
use crate::tile::bundle::{Bundle, decode_bundle};
use crate::tile::layout::tiles;

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
fn proofs_in_a_row_fetch_every_tile_once() {
    let size = 1_000;
    let tree = MemoryTree::new(leaves(size));
    let stored = stored_tiles(&tree, size);
    let mut fetched = Vec::new();
    let mut reader = TileReader::new(size, |tile| {
        fetched.push(tile);
        stored.get(&tile).cloned().ok_or("no such tile")
    });
    (0..size).for_each(|index| drop(inclusion_proof(index, size, &mut reader).unwrap()));
    fetched.sort();
    assert_eq!(fetched, tiles(size).collect::<Vec<_>>());
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
