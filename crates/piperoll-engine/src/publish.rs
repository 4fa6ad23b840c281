//! Publishing full tiles and the checkpoint (DESIGN.md section 5, step 6): derived, repeatable, never awaited.

use std::sync::Arc;

use bytes::Bytes;
use piperoll_format::{ObjectName, Segment, Seq};
use piperoll_tlog::hash::{NodeHash, leaf_hash};
use piperoll_tlog::tile::hashes::TileHashes;
use piperoll_tlog::tile::{TILE_WIDTH, Tile};
use tokio::sync::{mpsc, watch};

use crate::error::EngineError;
use crate::ledger::{Head, LedgerStore};
use crate::state::State;

/// Tiles waiting to be written. When the store is slower than this, further ones are left out: readers compute a
/// missing tile from the segments.
const WAITING_TILES_MAX: usize = 1_024;

/// The least pause between two writes of the checkpoint object.
const CHECKPOINT_PAUSE: std::time::Duration = std::time::Duration::from_millis(500);

/// The right edge of the tiles: for each level the hashes of the tile that is not full yet.
#[derive(Clone, Debug, Default)]
struct Edge {
    size: u64,
    levels: Vec<Vec<NodeHash>>,
}

impl Edge {
    /// Adds a leaf and calls `full` with each tile that it completes.
    fn append(&mut self, leaf: NodeHash, full: &mut impl FnMut(Tile, &TileHashes)) {
        self.size += 1;
        let mut hash = leaf;
        let mut level = 0_u8;
        loop {
            if self.levels.len() == usize::from(level) {
                self.levels.push(Vec::with_capacity(usize::from(TILE_WIDTH)));
            }
            let hashes = &mut self.levels[usize::from(level)];
            hashes.push(hash);
            if hashes.len() < usize::from(TILE_WIDTH) {
                return;
            }
            let hashes = TileHashes::new(std::mem::take(hashes)).expect("256 hashes are a full tile");
            let index = (self.size >> (8 * (u32::from(level) + 1))) - 1;
            full(Tile::new(level, index, TILE_WIDTH).expect("a tile inside the tree"), &hashes);
            hash = hashes.node(8, 0).expect("a full tile has a root");
            level += 1;
        }
    }
}

/// The writer's end of publishing.
#[derive(Debug)]
pub(crate) struct Publisher {
    edge: Edge,
    tiles: mpsc::Sender<(String, Bytes)>,
}

impl Publisher {
    /// Starts publishing in the background until the writer is dropped.
    pub(crate) fn start(
        store: LedgerStore,
        head: watch::Receiver<Head>,
    ) -> (Self, tokio::task::JoinHandle<()>) {
        let (tiles, waiting) = mpsc::channel(WAITING_TILES_MAX);
        let task = tokio::spawn(publish(store, waiting, head));
        (Self { edge: Edge::default(), tiles }, task)
    }

    /// Makes the edge for a tree of `size` events again, writing the tiles that turn out to be missing.
    pub(crate) async fn reload(
        &mut self,
        store: &LedgerStore,
        state: &State,
        size: Seq,
    ) -> Result<(), EngineError> {
        let source = TileSource { store, state };
        let mut edge = Edge { size: size.0, levels: Vec::new() };
        let mut nodes = size.0;
        let mut level = 0_u8;
        while nodes > 0 {
            let first = nodes / u64::from(TILE_WIDTH) * u64::from(TILE_WIDTH);
            edge.levels.push(source.nodes(level, first, nodes).await?);
            nodes /= u64::from(TILE_WIDTH);
            level += 1;
        }
        self.edge = edge;
        Ok(())
    }

    /// Takes the leaves of a commit.
    pub(crate) fn append(&mut self, leaves: &[NodeHash]) {
        for leaf in leaves {
            self.edge.append(*leaf, &mut |tile, hashes| {
                // A full channel means a slow store; the tile can be computed from the segments.
                drop(self.tiles.try_send((tile.path(), hashes.to_bytes().into())));
            });
        }
    }
}

/// Reads nodes of the tree from tiles, and from segments where a tile is missing.
struct TileSource<'a> {
    store: &'a LedgerStore,
    state: &'a State,
}

impl TileSource<'_> {
    /// Returns the nodes `first..end` of a tile level.
    async fn nodes(&self, level: u8, first: u64, end: u64) -> Result<Vec<NodeHash>, EngineError> {
        if level == 0 {
            return self.leaves(first, end).await;
        }
        let mut nodes = Vec::new();
        for index in first..end {
            nodes.push(Box::pin(self.full_tile(level - 1, index)).await?);
        }
        Ok(nodes)
    }

    /// Returns the root of a full tile, which is written when it was missing.
    async fn full_tile(&self, level: u8, index: u64) -> Result<NodeHash, EngineError> {
        let tile = Tile::new(level, index, TILE_WIDTH)
            .map_err(|error| EngineError::fatal_from("the tree is larger than tiles can be", error))?;
        let name = ObjectName::Tile(tile.path());
        let found = self.store.get(&name).await.ok();
        let hashes = match found.and_then(|bytes| TileHashes::from_bytes(&bytes, TILE_WIDTH).ok()) {
            Some(hashes) => hashes,
            None => {
                let first = index * u64::from(TILE_WIDTH);
                let nodes = self.nodes(level, first, first + u64::from(TILE_WIDTH)).await?;
                let hashes = TileHashes::new(nodes)
                    .map_err(|error| EngineError::fatal_from("a tile has the wrong width", error))?;
                // Publishing is repeatable and never fails anything; the next start tries again.
                drop(self.store.store.put_derived(&self.store.key(&name), hashes.to_bytes().into()).await);
                hashes
            }
        };
        hashes.node(8, 0).ok_or_else(|| EngineError::fatal("a full tile has no root"))
    }

    async fn leaves(&self, first: u64, end: u64) -> Result<Vec<NodeHash>, EngineError> {
        let damaged = |error| EngineError::fatal_from("a segment is damaged; run `piperoll verify`", error);
        let mut leaves = Vec::new();
        let mut seq = first;
        while seq < end {
            let number = self.state.segment_of(Seq(seq))?;
            let number = number.ok_or_else(|| EngineError::fatal("the local state misses a segment"))?;
            let bytes =
                self.store.get(&ObjectName::Segment(number)).await.map_err(EngineError::unavailable)?;
            let segment = Segment::decode(&bytes).map_err(damaged)?;
            let skip = usize::try_from(seq - segment.first_seq.0).unwrap_or(usize::MAX);
            let before = leaves.len();
            let wanted = usize::try_from(end - seq).unwrap_or(usize::MAX);
            leaves.extend(segment.cores.iter().skip(skip).take(wanted).map(|core| leaf_hash(core)));
            if leaves.len() == before {
                return Err(EngineError::fatal(
                    "the local state names the wrong segment; delete it and start again",
                ));
            }
            seq = first + leaves.len() as u64;
        }
        Ok(leaves)
    }
}

async fn publish(
    store: LedgerStore,
    mut tiles: mpsc::Receiver<(String, Bytes)>,
    mut head: watch::Receiver<Head>,
) {
    let checkpoints = async {
        let mut published: Arc<str> = "".into();
        loop {
            let newest = head.borrow_and_update().checkpoint.clone();
            if newest == published {
                if head.changed().await.is_err() {
                    break;
                }
                continue;
            }
            put(&store, ObjectName::Checkpoint, Bytes::copy_from_slice(newest.as_bytes())).await;
            published = newest;
            // Many commits share one write of the checkpoint; the pause ends early when the writer stops.
            let stopped = async { while head.changed().await.is_ok() {} };
            if tokio::time::timeout(CHECKPOINT_PAUSE, stopped).await.is_ok() {
                break;
            }
        }
        let last = head.borrow().checkpoint.clone();
        if last != published {
            put(&store, ObjectName::Checkpoint, Bytes::copy_from_slice(last.as_bytes())).await;
        }
    };
    let tiles = async {
        while let Some((path, bytes)) = tiles.recv().await {
            put(&store, ObjectName::Tile(path), bytes).await;
        }
    };
    tokio::join!(checkpoints, tiles);
}

async fn put(store: &LedgerStore, name: ObjectName, bytes: Bytes) {
    if let Err(error) = store.store.put_derived(&store.key(&name), bytes).await {
        tracing::warn!(%error, "publishing failed; it will be repeated");
    }
}

#[cfg(test)]
mod tests {
    use piperoll_tlog::frontier::Frontier;

    use super::*;

    #[test]
    fn full_tiles_come_out_with_the_roots_of_the_tree() {
        let mut edge = Edge::default();
        let mut tiles = Vec::new();
        let mut frontier = Frontier::new();
        for leaf in 0..65_536_u32 {
            let hash = leaf_hash(&leaf.to_be_bytes());
            frontier.append(hash);
            edge.append(hash, &mut |tile, hashes| tiles.push((tile.path(), hashes.node(8, 0))));
        }
        assert_eq!(tiles.len(), 257);
        assert_eq!(tiles[0].0, "tile/0/000");
        assert_eq!(tiles[255].0, "tile/0/255");
        assert_eq!(tiles[256], ("tile/1/000".to_owned(), Some(frontier.root())));
    }
}
