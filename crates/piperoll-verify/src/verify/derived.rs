//! Derived objects: the checkpoint and the tiles, which anyone may have changed and anyone can make again.

use bytes::Bytes;
use piperoll_format::ObjectName;
use piperoll_tlog::checkpoint::Checkpoint;
use piperoll_tlog::hash::NodeHash;
use piperoll_tlog::note::key::VerifierKey;
use piperoll_tlog::tile::hashes::TileHashes;
use piperoll_tlog::tile::{TILE_HEIGHT, TILE_WIDTH, Tile};

use super::segment::open;
use crate::report::{Finding, FindingCode, Findings};

/// A checkpoint seen at another time or place, to be compared with the tree of the events.
#[derive(Debug)]
pub(super) struct Seen {
    /// Where it is from, as the report names it.
    pub(super) what: String,
    pub(super) checkpoint: Option<Checkpoint>,
    root: Option<NodeHash>,
}

impl Seen {
    /// Opens a checkpoint; one that no trusted key signed is a finding with this code.
    pub(super) fn open(
        what: &str,
        note: &str,
        vkeys: &[VerifierKey],
        origin: Option<&str>,
        code: FindingCode,
        findings: &mut Findings,
    ) -> Self {
        let (mut checkpoint, problem) = open(note, vkeys);
        if let Some(found) = problem.or_else(|| checkpoint.is_none().then(|| "no checkpoint".to_owned())) {
            findings.add(Finding::new(code, "a checkpoint of a trusted key", found).at(what));
            checkpoint = None;
        }
        if let (Some(found), Some(origin)) = (&checkpoint, origin)
            && found.origin != origin
        {
            findings.add(Finding::new(FindingCode::OriginMismatch, origin, &found.origin).at(what));
            checkpoint = None;
        }
        Self { what: what.to_owned(), checkpoint, root: None }
    }

    /// Returns the size at which the root is wanted.
    pub(super) fn size(&self) -> Option<u64> {
        self.checkpoint.as_ref().map(|checkpoint| checkpoint.size)
    }

    /// Takes the root of the events at its size.
    pub(super) fn found(&mut self, root: Option<NodeHash>) {
        self.root = self.root.or(root);
    }

    /// Compares with a ledger of `size` events. Returns whether that was possible.
    pub(super) fn finish(&self, size: u64, findings: &mut Findings) -> bool {
        let Some(seen) = &self.checkpoint else { return true };
        if seen.size > size {
            let (expected, found) = (format!("at least {} events", seen.size), format!("{size} events"));
            findings.add(Finding::new(FindingCode::RolledBack, expected, found).at(&self.what));
            return true;
        }
        match self.root {
            Some(root) if root != seen.root => {
                let expected = format!("root {} at size {}", seen.root.to_base64(), seen.size);
                let finding =
                    Finding::new(FindingCode::Forked, expected, format!("root {}", root.to_base64()));
                findings.add(finding.at(&self.what));
                true
            }
            Some(_) => true,
            None => seen.size == 0,
        }
    }
}

/// Computes the full tiles as the leaves come by.
#[derive(Debug, Default)]
pub(super) struct TileBuilder {
    levels: Vec<(u64, Vec<NodeHash>)>,
}

impl TileBuilder {
    /// Adds a leaf; returns the tiles that it completes, lowest first.
    pub(super) fn push(&mut self, leaf: NodeHash) -> Vec<(Tile, TileHashes)> {
        let mut completed = Vec::new();
        let mut node = leaf;
        for level in 0.. {
            if self.levels.len() == level {
                self.levels.push((0, Vec::with_capacity(usize::from(TILE_WIDTH))));
            }
            let (index, nodes) = &mut self.levels[level];
            nodes.push(node);
            if nodes.len() < usize::from(TILE_WIDTH) {
                break;
            }
            let level = u8::try_from(level).expect("a tree of 2^64 leaves has 8 tile levels");
            let tile = Tile::new(level, *index, TILE_WIDTH).expect("full tiles exist on every level");
            let hashes = TileHashes::new(std::mem::take(nodes)).expect("256 nodes are a full tile");
            *index += 1;
            node = hashes.node(TILE_HEIGHT, 0).expect("a full tile has a root");
            completed.push((tile, hashes));
        }
        completed
    }
}

/// Compares a stored tile with the computed one.
pub(super) fn check_tile(tile: Tile, stored: &Bytes, computed: &TileHashes) -> Option<Finding> {
    if stored[..] == computed.to_bytes()[..] {
        return None;
    }
    let finding = Finding::new(FindingCode::DerivedWrong, "the hashes of the events", "other bytes");
    Some(finding.at(ObjectName::Tile(tile.path())))
}
