//! The log API, as a foreign tool reads it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use piperoll_tlog::checkpoint::Checkpoint;
use piperoll_tlog::hash::leaf_hash;
use piperoll_tlog::note::key::VerifierKey;
use piperoll_tlog::proof::build::inclusion_proof;
use piperoll_tlog::proof::verify_inclusion;
use piperoll_tlog::tile::bundle::decode_bundle;
use piperoll_tlog::tile::hashes::TileHashes;
use piperoll_tlog::tile::layout::tiles;
use piperoll_tlog::tile::reader::TileReader;
use piperoll_tlog::tlog_proof::TlogProof;

use super::*;

/// Goal: the tiles, bundles and the checkpoint are enough to prove every event, without anything else of ours.
#[tokio::test(flavor = "multi_thread")]
async fn every_event_is_proven_from_tiles_and_checkpoint() {
    let bench = Bench::new().await;
    let texts: Vec<(String, String)> =
        (0..300).map(|n| (format!("wamid.{n}"), format!("155501{n:05}"))).collect();
    let messages: Vec<_> = texts.iter().map(|(id, from)| (&**id, &**from, "hello")).collect();
    let _ = bench.capture(webhook(&messages)).await;
    let vkey = VerifierKey::parse(bench.read("/v1/ledger").await.ok()["vkey"].as_str().unwrap()).unwrap();
    let note = bench.get("/checkpoint").await;
    assert_eq!(note.header("content-type"), Some("text/plain; charset=utf-8"));
    let checkpoint = Checkpoint::open(&note.body, std::slice::from_ref(&vkey)).unwrap();
    assert_eq!(checkpoint.size, 302);

    let mut hashes = std::collections::HashMap::new();
    let mut leaves = Vec::new();
    for tile in tiles(checkpoint.size) {
        let answer = bench.get(&format!("/{}", tile.path())).await;
        assert_eq!(answer.header("content-type"), Some("application/octet-stream"));
        assert!(answer.header("cache-control").unwrap().contains("immutable"));
        let _ = hashes.insert(tile, Arc::new(TileHashes::from_bytes(&answer.body, tile.width()).unwrap()));
        if tile.level() == 0 {
            let path = format!("/{}", tile.path().replacen("tile/0/", "tile/entries/", 1));
            let bundle = bench.get(&path).await;
            leaves.extend(decode_bundle(&bundle.body).unwrap().into_iter().map(leaf_hash));
        }
    }
    assert_eq!(leaves.len(), 302);
    let fetch = |tile| hashes.get(&tile).cloned().ok_or("no such tile");
    let mut reader = TileReader::new(checkpoint.size, fetch);
    for (index, leaf) in (0..).zip(&leaves) {
        let proof = inclusion_proof(index, checkpoint.size, &mut reader).unwrap();
        verify_inclusion(index, checkpoint.size, *leaf, &proof, checkpoint.root).unwrap();
    }

    let file = bench.read("/v1/events/7/proof?format=tlog-proof").await;
    let proof = TlogProof::parse(&file.body).unwrap();
    let _ = proof.verify(leaves[7], std::slice::from_ref(&vkey)).unwrap();
    let proof = bench.read("/v1/events/7/proof").await.ok();
    assert_eq!(leaf_hash(&STANDARD.decode(proof["core"].as_str().unwrap()).unwrap()), leaves[7]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_tree_does_not_have_is_not_found() {
    let bench = Bench::new().await;
    let _ = bench.capture(webhook(&[("wamid.1", "15550100", "hello")])).await;
    assert_eq!(bench.get("/tile/0/000.p/1").await.status, StatusCode::OK);
    assert_eq!(bench.get("/tile/entries/000.p/2").await.status, StatusCode::OK);
    for path in [
        "0/000",
        "0/000.p/3",
        "0/001.p/1",
        "1/000.p/1",
        "0/0",
        "0/000.p/0",
        "entries/000",
        "entries/../0/000.p/1",
        "x",
        "64/000",
    ] {
        let _ = bench.get(&format!("/tile/{path}")).await.refused(404, "not-found");
    }
}
