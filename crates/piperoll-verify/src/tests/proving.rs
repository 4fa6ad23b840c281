//! Proving: every event at every size, with and without tiles, right and wrong ones.

use std::sync::Arc;

use bytes::Bytes;
use futures::TryStreamExt as _;
use piperoll_format::{ObjectName, Seq};
use piperoll_store::WormStore;
use piperoll_tlog::checkpoint::Checkpoint;
use piperoll_tlog::hash::leaf_hash;
use piperoll_tlog::note::key::NoteSigner;
use piperoll_tlog::proof::verify_consistency;
use piperoll_tlog::tile::Tile;
use piperoll_tlog::tile::bundle::{Bundle, decode_bundle};
use piperoll_tlog::tile::hashes::TileHashes;
use piperoll_tlog::tile::layout::tiles;

use crate::prove::{EvidenceError, Prover};
use crate::testing::{ORIGIN, TestLedger, message};
use crate::{LedgerReader, ReadError};

async fn grown(sizes: &[u64]) -> (TestLedger, LedgerReader) {
    let mut built = TestLedger::new().await;
    for size in sizes {
        built.commit((0..*size).map(|i| message("wa:1", &format!("text {i}"))).collect()).await;
    }
    let store: Arc<dyn WormStore> = built.store.clone();
    let reader = LedgerReader::open(store, built.ledger).await.unwrap();
    (built, reader)
}

#[tokio::test]
async fn every_event_is_proven_under_every_checkpoint() {
    let (built, reader) = grown(&[1, 2, 4, 9, 30, 200, 50]).await;
    let vkeys = [built.signer().verifier_key().clone()];
    for note in &built.checkpoints {
        let prover = Prover::new(&reader, note).unwrap();
        let size = prover.checkpoint().size;
        let all: Vec<Seq> = (0..size).map(Seq).collect();
        for (seq, evidence) in all.iter().zip(prover.prove_many(&all).await.unwrap()) {
            assert_eq!(evidence.event.seq(), *seq);
            assert_eq!(evidence.verify(&vkeys).unwrap().size, size);
            let proof = evidence.tlog_proof().unwrap();
            assert!(proof.verify(evidence.event.leaf_hash(), &vkeys).is_ok());
        }
        let beyond = prover.prove(Seq(size)).await;
        assert!(matches!(beyond, Err(ReadError::NoEvent { .. })));
        for old in &built.checkpoints {
            let old = Checkpoint::open(old.as_bytes(), &vkeys).unwrap();
            if old.size <= size {
                let proof = prover.consistency(old.size).await.unwrap();
                verify_consistency(old.size, old.root, size, prover.checkpoint().root, &proof).unwrap();
            }
        }
    }
}

#[tokio::test]
async fn tiles_and_bundles_are_those_of_the_tree() {
    let (built, reader) = grown(&[255, 256, 3, 400]).await;
    let mut cores = Vec::new();
    for seq in 0..built.seq.0 {
        cores.push(reader.event(Seq(seq)).await.unwrap().core_bytes);
    }
    for size in [1, 255, 256, 257, 512, built.seq.0] {
        for tile in tiles(size) {
            let bytes = reader.tile(tile).await.unwrap();
            let hashes = TileHashes::from_bytes(&bytes, tile.width()).unwrap();
            let start = usize::try_from(tile.index()).unwrap() * 256;
            if tile.level() == 0 {
                let expected = cores[start..].iter().map(|core| leaf_hash(core));
                assert!(hashes.hashes().iter().copied().eq(expected.take(usize::from(tile.width()))));
                let bundle = reader.bundle(Bundle::new(tile.index(), tile.width()).unwrap()).await.unwrap();
                assert_eq!(decode_bundle(&bundle).unwrap(), cores[start..start + usize::from(tile.width())]);
            }
        }
    }
    for beyond in [Tile::new(0, 3, 256), Tile::new(1, 0, 4), Tile::new(2, 0, 1), Tile::new(63, u64::MAX, 1)] {
        assert!(matches!(reader.tile(beyond.unwrap()).await, Err(ReadError::NoTile { .. })));
    }
}

#[tokio::test]
async fn wrong_derived_tiles_are_not_believed() {
    let (built, reader) = grown(&[300, 300]).await;
    let tile = Tile::new(0, 1, 256).unwrap();
    let right = reader.tile(tile).await.unwrap();
    let name = built.key(&ObjectName::Tile(tile.path()));
    let mut wrong = right.clone();
    wrong[40] ^= 1;
    for stored in [right, wrong, vec![0; 8_191], Vec::new()] {
        built.store.put_derived(&name, Bytes::from(stored)).await.unwrap();
        let store: Arc<dyn WormStore> = built.store.clone();
        let cold = LedgerReader::open(store, built.ledger).await.unwrap();
        let prover = Prover::newest(&cold).await.unwrap();
        let mut proven = 0;
        let mut batches = cold.stream(Seq(0), Seq(u64::MAX));
        while let Some(batch) = batches.try_next().await.unwrap() {
            proven += prover.prove_read(batch).await.unwrap().len();
        }
        assert_eq!(proven as u64, built.seq.0);
    }
}

#[tokio::test]
async fn changed_evidence_does_not_verify() {
    let (built, reader) = grown(&[5]).await;
    let vkeys = [built.signer().verifier_key().clone()];
    let evidence = Prover::newest(&reader).await.unwrap().prove(Seq(0)).await.unwrap();
    let check = |change: &dyn Fn(&mut crate::prove::Evidence)| {
        let mut changed = evidence.clone();
        change(&mut changed);
        changed.verify(&vkeys).unwrap_err()
    };
    assert!(matches!(check(&|e| e.signature_flip()), EvidenceError::Signature { .. }));
    assert!(matches!(check(&|e| e.proof.reverse()), EvidenceError::Proof(_)));
    assert!(matches!(check(&|e| e.event.core.recorded_at.0 += 1), EvidenceError::OtherCore { .. }));
    assert!(matches!(
        check(&|e| e.payload.as_mut().unwrap().bytes[0] ^= 1),
        EvidenceError::Commitment { .. }
    ));
    assert!(matches!(check(&|e| e.event.core_bytes = Bytes::new()), EvidenceError::Core(_)));
    let stranger = NoteSigner::new(ORIGIN, ed25519_dalek::SigningKey::from_bytes(&[1; 32])).unwrap();
    assert!(matches!(evidence.verify(&[stranger.verifier_key().clone()]), Err(EvidenceError::Checkpoint(_))));
}

impl crate::prove::Evidence {
    fn signature_flip(&mut self) {
        self.event.signature[9] ^= 1;
    }
}
