//! Evidence: an event with the proof that it is in the tree of a signed checkpoint.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use ed25519_dalek::Signature;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use piperoll_format::{DecodeError, EventCore, Seq, WriterKeyId, commitment, signed_bytes};
use piperoll_tlog::checkpoint::{Checkpoint, CheckpointError};
use piperoll_tlog::hash::NodeHash;
use piperoll_tlog::note::Note;
use piperoll_tlog::note::key::VerifierKey;
use piperoll_tlog::proof::build::{BuildError, consistency_proof, inclusion_proof};
use piperoll_tlog::proof::{ProofError, verify_inclusion};
use piperoll_tlog::tile::hashes::TileHashes;
use piperoll_tlog::tile::reader::{TileReadError, TileReader};
use piperoll_tlog::tile::{TILE_WIDTH, Tile};
use piperoll_tlog::tlog_proof::TlogProof;
use thiserror::Error;

use crate::error::ReadError;
use crate::payload::{Opened, ReadEvent};
use crate::pool::compute;
use crate::reader::{LedgerReader, PARALLEL_READS};
use crate::segment::StoredEvent;
use crate::tiles::TileSource;

/// An event, its payload and everything that shows that it is in the log. Proven before it is returned; whoever
/// receives it checks it again with [`Evidence::verify`] and keys of their own.
#[derive(Clone, Debug)]
pub struct Evidence {
    /// The event.
    pub event: StoredEvent,
    /// Its payload, or why there is none; the proof holds either way.
    pub payload: Result<Opened, ReadError>,
    /// The sibling hashes from the leaf to the root.
    pub proof: Vec<NodeHash>,
    /// The signed checkpoint that the proof leads to: a C2SP note.
    pub checkpoint: Arc<str>,
}

/// Why evidence does not hold.
#[derive(Clone, Debug, Error)]
pub enum EvidenceError {
    /// The core's bytes are no core.
    #[error("event core is not valid")]
    Core(#[from] DecodeError),
    /// The decoded core says something else than its bytes.
    #[error("expected the core that the bytes of event {seq} encode, found another")]
    OtherCore {
        /// The event, as the decoded core says.
        seq: Seq,
    },
    /// None of the keys is the one that is said to have signed the event.
    #[error("expected a known key to have signed event {seq}, found key id {writer}")]
    UnknownWriter {
        /// The event.
        seq: Seq,
        /// The key id in the core.
        writer: WriterKeyId,
    },
    /// The event's signature does not fit.
    #[error("signature of event {seq} does not fit its core")]
    Signature {
        /// The event.
        seq: Seq,
    },
    /// The payload is not the one that the core commits to.
    #[error("payload of event {seq} does not meet its commitment")]
    Commitment {
        /// The event.
        seq: Seq,
    },
    /// The checkpoint is not accepted.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The proof does not lead to the checkpoint's root.
    #[error(transparent)]
    Proof(#[from] ProofError),
}

impl Evidence {
    /// Checks everything from scratch: the event's signature, the payload's commitment if there is a payload, the
    /// checkpoint's signature and the inclusion proof. Returns the checkpoint.
    ///
    /// # Errors
    /// [`EvidenceError`] for the first thing that does not hold.
    pub fn verify(&self, vkeys: &[VerifierKey]) -> Result<Checkpoint, EvidenceError> {
        let seq = self.event.seq();
        if EventCore::decode(&self.event.core_bytes)? != self.event.core {
            return Err(EvidenceError::OtherCore { seq });
        }
        let checkpoint = Checkpoint::open(self.checkpoint.as_bytes(), vkeys)?;
        let writer = self.event.core.writer;
        let is_writer =
            |key: &&VerifierKey| key.id().0 == writer.0 && key.name().as_str() == checkpoint.origin;
        let key = vkeys.iter().find(is_writer).ok_or(EvidenceError::UnknownWriter { seq, writer })?;
        let signature = Signature::from_bytes(&self.event.signature);
        key.public_key()
            .verify_strict(&signed_bytes(&self.event.core_bytes), &signature)
            .map_err(|_| EvidenceError::Signature { seq })?;
        if let Ok(opened) = &self.payload
            && commitment(&opened.salt, &opened.bytes) != self.event.core.payload.commitment
        {
            return Err(EvidenceError::Commitment { seq });
        }
        verify_inclusion(seq.0, checkpoint.size, self.event.leaf_hash(), &self.proof, checkpoint.root)?;
        Ok(checkpoint)
    }

    /// Returns the proof as a C2SP `.tlog-proof`, for tools that know nothing of this archive.
    ///
    /// # Errors
    /// [`CheckpointError`] when the checkpoint is no note.
    pub fn tlog_proof(&self) -> Result<TlogProof, CheckpointError> {
        let checkpoint = Note::parse(self.checkpoint.as_bytes())?;
        Ok(TlogProof { extra: None, index: self.event.seq().0, hashes: self.proof.clone(), checkpoint })
    }
}

/// Proves events under one checkpoint.
#[derive(Clone, Debug)]
pub struct Prover {
    reader: LedgerReader,
    note: Arc<str>,
    checkpoint: Checkpoint,
}

impl Prover {
    /// Takes a signed checkpoint of the ledger, of any size that it ever had; the key in genesis must have signed.
    ///
    /// # Errors
    /// [`ReadError::Checkpoint`].
    pub fn new(reader: &LedgerReader, note: &str) -> Result<Self, ReadError> {
        let vkeys = std::slice::from_ref(reader.vkey());
        let checkpoint = Checkpoint::open(note.as_bytes(), vkeys).map_err(ReadError::Checkpoint)?;
        Ok(Self { reader: reader.clone(), note: note.into(), checkpoint })
    }

    /// Takes the checkpoint of the newest segment that the reader knows.
    ///
    /// # Errors
    /// [`ReadError::NoEvent`] for a ledger without segments, [`ReadError::Checkpoint`], those of
    /// [`LedgerReader::segment`].
    pub async fn newest(reader: &LedgerReader) -> Result<Self, ReadError> {
        let head = reader.head().ok_or(ReadError::NoEvent { seq: Seq(0), size: 0 })?;
        Self::new(reader, reader.segment(head.segment).await?.checkpoint())
    }

    /// Returns the checkpoint.
    #[must_use]
    pub const fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// Returns the signed note of the checkpoint.
    #[must_use]
    pub fn note(&self) -> &str {
        &self.note
    }

    /// Reads an event with its payload and proves it.
    ///
    /// # Errors
    /// Those of [`LedgerReader::event`]; [`ReadError::NoEvent`] behind the checkpoint; [`ReadError::Unproven`].
    pub async fn prove(&self, seq: Seq) -> Result<Evidence, ReadError> {
        let read = self.reader.read(seq).await?;
        let mut evidence = self.prove_read(vec![read]).await?;
        Ok(evidence.pop().expect("one event gives one evidence"))
    }

    /// Reads events with their payloads in parallel and proves them, in the order asked for: for a page of hits.
    ///
    /// # Errors
    /// The first of those of [`Self::prove`].
    pub async fn prove_many(&self, seqs: &[Seq]) -> Result<Vec<Evidence>, ReadError> {
        let reads: Result<Vec<_>, _> = self.reader.payload_many(seqs).await.into_iter().collect();
        self.prove_read(reads?).await
    }

    /// Proves events that were read, such as a batch of [`LedgerReader::stream`]; cheapest in `seq` order.
    ///
    /// # Errors
    /// [`ReadError::NoEvent`] behind the checkpoint; [`ReadError::Unproven`]; those of [`LedgerReader::segment`].
    pub async fn prove_read(&self, reads: Vec<ReadEvent>) -> Result<Vec<Evidence>, ReadError> {
        let leaves: Vec<_> = reads.iter().map(|read| read.event.clone()).collect();
        let proofs = self.proofs(leaves).await?;
        let evidence = reads.into_iter().zip(proofs).map(|(ReadEvent { event, payload }, proof)| Evidence {
            event,
            payload,
            proof,
            checkpoint: self.note.clone(),
        });
        Ok(evidence.collect())
    }

    /// Returns the proof that the tree of an older checkpoint is a prefix of this one's.
    ///
    /// It is not verified here: the reader does not know the older root.
    ///
    /// # Errors
    /// [`ReadError::NoEvent`] when the older size is 0 or greater, those of [`LedgerReader::segment`].
    pub async fn consistency(&self, old_size: u64) -> Result<Vec<NodeHash>, ReadError> {
        let mut tiles = HashMap::new();
        loop {
            let fetch = |tile: Tile| tiles.get(&tile).cloned().ok_or(tile);
            let mut reader = TileReader::new(self.checkpoint.size, fetch);
            match outcome(consistency_proof(old_size, self.checkpoint.size, &mut reader)) {
                Built::Proof(proof) => return Ok(proof),
                Built::Needs(tile) => {
                    let hashes = self.reader.tile_hashes(tile, TileSource::Segments).await?;
                    tiles.insert(tile, hashes);
                }
                Built::Impossible => {
                    return Err(ReadError::NoEvent { seq: Seq(old_size), size: self.checkpoint.size });
                }
            }
        }
    }

    async fn proofs(&self, events: Vec<StoredEvent>) -> Result<Vec<Vec<NodeHash>>, ReadError> {
        let events = Arc::new(events);
        match self.proofs_from(events.clone(), TileSource::Any).await {
            // A derived tile is wrong. Nothing of it may stay in memory.
            Err(ReadError::Unproven { .. }) => {
                self.reader.forget_tiles();
                self.proofs_from(events, TileSource::Segments).await
            }
            other => other,
        }
    }

    async fn proofs_from(
        &self,
        events: Arc<Vec<StoredEvent>>,
        source: TileSource,
    ) -> Result<Vec<Vec<NodeHash>>, ReadError> {
        let size = self.checkpoint.size;
        if let Some(event) = events.iter().find(|event| event.seq().0 >= size) {
            return Err(ReadError::NoEvent { seq: event.seq(), size });
        }
        let mut work = Work { events, proofs: Vec::new(), tiles: HashMap::new() };
        for (tile, hashes) in self.leaf_tiles(&work.events, source).await? {
            work.tiles.insert(tile, hashes);
        }
        loop {
            let root = self.checkpoint.root;
            let (back, step) = compute(move || {
                let step = work.advance(size, root);
                (work, step)
            })
            .await;
            work = back;
            match step? {
                None => return Ok(work.proofs),
                Some(tile) => {
                    let hashes = self.reader.tile_hashes(tile, source).await?;
                    work.tiles.insert(tile, hashes);
                }
            }
        }
    }

    /// Reads the tiles of the leaves in parallel; those above are few and come one by one.
    async fn leaf_tiles(
        &self,
        events: &[StoredEvent],
        source: TileSource,
    ) -> Result<Vec<(Tile, Arc<TileHashes>)>, ReadError> {
        let width = u64::from(TILE_WIDTH);
        let indices: BTreeSet<u64> = events.iter().map(|event| event.seq().0 / width).collect();
        let tile = |index: u64| {
            let nodes = (self.checkpoint.size - index * width).min(width);
            let nodes = u16::try_from(nodes).expect("at most the width of a tile");
            Tile::new(0, index, nodes).expect("level 0 exists and the width is between 1 and 256")
        };
        let reads: Vec<_> = indices.into_iter().map(tile).map(|tile| self.leaf_tile(tile, source)).collect();
        stream::iter(reads).buffered(PARALLEL_READS).try_collect().await
    }

    async fn leaf_tile(&self, tile: Tile, source: TileSource) -> Result<(Tile, Arc<TileHashes>), ReadError> {
        Ok((tile, self.reader.tile_hashes(tile, source).await?))
    }
}

/// Proofs in the making.
struct Work {
    events: Arc<Vec<StoredEvent>>,
    proofs: Vec<Vec<NodeHash>>,
    tiles: HashMap<Tile, Arc<TileHashes>>,
}

impl Work {
    /// Builds and verifies proofs until one needs a tile that is not there; returns that tile.
    fn advance(&mut self, size: u64, root: NodeHash) -> Result<Option<Tile>, ReadError> {
        let fetch = |tile: Tile| self.tiles.get(&tile).cloned().ok_or(tile);
        let mut reader = TileReader::new(size, fetch);
        for event in &self.events[self.proofs.len()..] {
            let seq = event.seq();
            let proof = match outcome(inclusion_proof(seq.0, size, &mut reader)) {
                Built::Proof(proof) => proof,
                Built::Needs(tile) => return Ok(Some(tile)),
                Built::Impossible => return Err(ReadError::NoEvent { seq, size }),
            };
            verify_inclusion(seq.0, size, event.leaf_hash(), &proof, root)
                .map_err(|source| ReadError::Unproven { seq, size, source })?;
            self.proofs.push(proof);
        }
        Ok(None)
    }
}

enum Built {
    Proof(Vec<NodeHash>),
    Needs(Tile),
    Impossible,
}

fn outcome(built: Result<Vec<NodeHash>, BuildError<TileReadError<Tile>>>) -> Built {
    match built {
        Ok(proof) => Built::Proof(proof),
        Err(BuildError::Read(TileReadError::Fetch { tile, .. })) => Built::Needs(tile),
        Err(BuildError::Request(_) | BuildError::Read(TileReadError::Tile(_))) => Built::Impossible,
    }
}
