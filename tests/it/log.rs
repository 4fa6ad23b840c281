//! Goal: the log API is enough for an outsider to recompute the root from the entries, and to see that the log only
//! grew. Method: a little client with a Merkle tree of its own, which uses nothing of ours but the note's signature.

use piperoll_tests::{Served, TestArchive, webhook};
use piperoll_tlog::checkpoint::Checkpoint;
use piperoll_tlog::note::key::VerifierKey;
use sha2::{Digest as _, Sha256};

const TILE: u64 = 256;

/// RFC 6962, section 2.1, as it is written there.
fn root(leaves: &[[u8; 32]]) -> [u8; 32] {
    match leaves {
        [] => Sha256::digest([]).into(),
        [leaf] => *leaf,
        _ => {
            let split = leaves.len().next_power_of_two() / 2;
            let (left, right) = leaves.split_at(split);
            Sha256::new()
                .chain_update([1])
                .chain_update(root(left))
                .chain_update(root(right))
                .finalize()
                .into()
        }
    }
}

/// C2SP tlog-tiles: groups of three digits, all but the last with `x`.
fn tile_path(index: u64, width: u64) -> String {
    let mut path = format!("{:03}", index % 1_000);
    let mut rest = index / 1_000;
    while rest > 0 {
        path = format!("x{:03}/{path}", rest % 1_000);
        rest /= 1_000;
    }
    if width == TILE { path } else { format!("{path}.p/{width}") }
}

/// Fetches every entry and every level-0 tile below `size`, and returns the leaf hashes.
async fn leaves(served: &Served<'_>, size: u64) -> Vec<[u8; 32]> {
    let mut leaves = Vec::new();
    for index in 0..size.div_ceil(TILE) {
        let width = (size - index * TILE).min(TILE);
        let path = tile_path(index, width);
        let entries = served.get(&format!("/tile/entries/{path}")).await;
        entries.is_status(200);
        let mut rest = &entries.body[..];
        let first = leaves.len();
        while let [high, low, tail @ ..] = rest {
            let (entry, tail) = tail.split_at(usize::from(u16::from_be_bytes([*high, *low])));
            leaves.push(Sha256::new().chain_update([0]).chain_update(entry).finalize().into());
            rest = tail;
        }
        let tile = served.get(&format!("/tile/0/{path}")).await;
        tile.is_status(200);
        assert_eq!(tile.body, leaves[first..].concat(), "the tile has the hashes of the entries");
    }
    leaves
}

async fn checkpoint(served: &Served<'_>) -> Checkpoint {
    let vkey = served.read("/v1/ledger").await.ok()["vkey"].as_str().unwrap().to_owned();
    let note = served.get("/checkpoint").await;
    note.is_status(200);
    Checkpoint::open(&note.body, &[VerifierKey::parse(&vkey).unwrap()]).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn outsider_recomputes_the_root_and_sees_that_the_log_only_grew() {
    let archive = TestArchive::in_directory().await;
    let served = archive.serve().await;
    let mut older: Option<Checkpoint> = None;
    for round in 0..4 {
        let ids: Vec<String> = (0..170).map(|n| format!("wamid.{round}.{n}")).collect();
        let messages: Vec<_> = ids.iter().map(|id| (&**id, "15550100", "hello")).collect();
        served.deliver(&webhook(&messages)).await.is_status(200);
        let newest = checkpoint(&served).await;
        let leaves = leaves(&served, newest.size).await;
        assert_eq!(leaves.len() as u64, newest.size);
        assert_eq!(root(&leaves), newest.root.0);
        if let Some(older) = older {
            let prefix = &leaves[..usize::try_from(older.size).unwrap()];
            assert_eq!(root(prefix), older.root.0, "the older tree is the beginning of the newer one");
        }
        older = Some(newest);
    }
    assert!(older.unwrap().size > 2 * TILE);
    served.check_everything().await;
}
