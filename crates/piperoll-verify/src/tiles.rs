//! Tiles and entry bundles of the tree (C2SP `tlog-tiles`), for proofs and for the log API.
//!
//! Full tiles are taken from the derived objects where they exist; everything else is computed from the segments.
//! Derived objects are not locked, so a tile is as trustworthy as the proof that was verified with it.

use std::ops::Range;
use std::sync::Arc;

use futures::{FutureExt as _, StreamExt as _, TryStreamExt as _, future::BoxFuture, stream};
use piperoll_format::{ObjectName, Seq};
use piperoll_tlog::hash::{NodeHash, leaf_hash};
use piperoll_tlog::tile::bundle::{Bundle, encode_bundle};
use piperoll_tlog::tile::hashes::TileHashes;
use piperoll_tlog::tile::{TILE_HEIGHT, TILE_WIDTH, Tile};

use crate::error::ReadError;
use crate::reader::{LedgerReader, PARALLEL_READS};

/// Tiles that a reader keeps; a full one takes 16 KiB.
pub(crate) const TILES_MAX: usize = 1_024;

/// Where full tiles may come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TileSource {
    /// From derived objects if they have the right size, otherwise from segments.
    Any,
    /// From segments only.
    Segments,
}

impl LedgerReader {
    /// Returns the bytes of a tile, as wide as asked for.
    ///
    /// # Errors
    /// [`ReadError::NoTile`] when the ledger has no such tile (yet), otherwise those of [`Self::segment`].
    pub async fn tile(&self, tile: Tile) -> Result<Vec<u8>, ReadError> {
        self.require(tile, tile.path()).await?;
        let hashes = self.tile_hashes(tile, TileSource::Any).await?;
        Ok(hashes.hashes()[..usize::from(tile.width())].iter().flat_map(|hash| hash.0).collect())
    }

    /// Returns the bytes of an entry bundle, as wide as asked for: the cores with their lengths.
    ///
    /// # Errors
    /// [`ReadError::NoTile`] when the ledger has no such bundle (yet), otherwise those of [`Self::segment`].
    pub async fn bundle(&self, bundle: Bundle) -> Result<Vec<u8>, ReadError> {
        self.require(bundle.tile(), bundle.path()).await?;
        let start = bundle.index() * u64::from(TILE_WIDTH);
        let mut entries: Vec<Vec<u8>> = Vec::with_capacity(usize::from(bundle.width()));
        self.for_each_core(start..start + u64::from(bundle.width()), |core| entries.push(core.to_vec()))
            .await?;
        Ok(encode_bundle(&entries).expect("a bundle has 1 to 256 entries, and a core fits one"))
    }

    /// Returns the bytes of the tile or entry bundle with a C2SP path, such as `tile/0/000.p/5`.
    ///
    /// # Errors
    /// [`ReadError::NoTile`] when the path is none or the ledger has no such tile (yet), otherwise those of
    /// [`Self::segment`].
    pub async fn tile_at(&self, path: &str) -> Result<Vec<u8>, ReadError> {
        match (Tile::parse_path(path), Bundle::parse_path(path)) {
            (Ok(tile), _) => self.tile(tile).await,
            (_, Ok(bundle)) => self.bundle(bundle).await,
            _ => Err(ReadError::NoTile { tile: path.to_owned(), size: self.size() }),
        }
    }

    /// Checks that the ledger has all nodes of a tile.
    async fn require(&self, tile: Tile, path: String) -> Result<(), ReadError> {
        let shift = u32::from(tile.level()) * u32::from(TILE_HEIGHT);
        let first = tile.index().checked_mul(u64::from(TILE_WIDTH));
        let end = first.and_then(|first| first.checked_add(u64::from(tile.width())));
        let reached = |size: u64| end.is_some_and(|end| end <= size.checked_shr(shift).unwrap_or(0));
        if !reached(self.size()) {
            self.refresh().await?;
        }
        if reached(self.size()) { Ok(()) } else { Err(ReadError::NoTile { tile: path, size: self.size() }) }
    }

    /// Returns the hashes of a tile that the ledger has, possibly more than asked for.
    pub(crate) fn tile_hashes(
        &self,
        tile: Tile,
        source: TileSource,
    ) -> BoxFuture<'_, Result<Arc<TileHashes>, ReadError>> {
        async move {
            let known = self.known_tile(tile);
            if let Some(hashes) = known.as_ref().filter(|hashes| hashes.width() >= tile.width()) {
                return Ok(hashes.clone());
            }
            let stored = if source == TileSource::Any { self.stored_tile(tile).await? } else { None };
            let hashes = match stored {
                Some(hashes) => hashes,
                None => {
                    let known = known.map_or_else(Vec::new, |hashes| hashes.hashes().to_vec());
                    let nodes = self.nodes(tile, known, source).await?;
                    TileHashes::new(nodes).expect("a tile has 1 to 256 nodes")
                }
            };
            let hashes = Arc::new(hashes);
            self.keep_tile(tile, hashes.clone());
            Ok(hashes)
        }
        .boxed()
    }

    async fn stored_tile(&self, tile: Tile) -> Result<Option<TileHashes>, ReadError> {
        if tile.is_partial() {
            return Ok(None);
        }
        match self.get(&ObjectName::Tile(tile.path())).await {
            Ok(bytes) => Ok(TileHashes::from_bytes(&bytes, tile.width()).ok()),
            Err(ReadError::Missing { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Computes the nodes of a tile that are not known yet.
    async fn nodes(
        &self,
        tile: Tile,
        mut nodes: Vec<NodeHash>,
        source: TileSource,
    ) -> Result<Vec<NodeHash>, ReadError> {
        let start = tile.index() * u64::from(TILE_WIDTH);
        let missing = start + nodes.len() as u64..start + u64::from(tile.width());
        if tile.level() == 0 {
            self.for_each_core(missing, |core| nodes.push(leaf_hash(core))).await?;
            return Ok(nodes);
        }
        let below: Vec<_> = missing
            .map(|index| {
                Tile::new(tile.level() - 1, index, TILE_WIDTH).expect("full tiles exist on every level")
            })
            .map(|tile| self.tile_hashes(tile, source))
            .collect();
        let below: Vec<_> = stream::iter(below).buffered(PARALLEL_READS).try_collect().await?;
        let root = |hashes: Arc<TileHashes>| hashes.node(TILE_HEIGHT, 0).expect("a full tile has a root");
        nodes.extend(below.into_iter().map(root));
        Ok(nodes)
    }

    /// Calls `each` with the encoded cores of a range that the ledger has, in order.
    async fn for_each_core(
        &self,
        range: Range<u64>,
        mut each: impl FnMut(&[u8]) + Send,
    ) -> Result<(), ReadError> {
        let mut next = range.start;
        while next < range.end {
            let number = self.locate(Seq(next)).await?;
            let segment = self.segment(number).await?;
            for seq in next..range.end.min(segment.end_seq().0) {
                let core =
                    segment.core_bytes(Seq(seq)).ok_or(ReadError::NoEvent { seq: Seq(seq), size: next })?;
                each(core);
            }
            // A damaged first seq must not make this loop endless.
            next = segment.end_seq().0.max(next + 1);
        }
        Ok(())
    }
}
