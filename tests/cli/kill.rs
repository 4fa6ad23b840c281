//! Goal: whatever moment the process dies at, nothing acknowledged is lost and nothing is stored twice.
//! Method: thirty servers one after another take signed webhooks over several connections and are killed with SIGKILL
//! at a random moment (from a fixed seed); what was not acknowledged, and some of what was, is sent again to the next.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use piperoll_format::{Kek, Kind, Seq};
use piperoll_store::{DirectoryStore, SystemClock, WormStore};
use piperoll_tests::{Connection, Running, command, piperoll, webhook};
use piperoll_verify::{LedgerReader, StoreKeys, find_ledgers};

const ROUNDS: u64 = 32;
const CONNECTIONS: usize = 4;

/// A server that gives fewer answers than the round wants in so long has failed.
const ANSWERS_WITHIN: Duration = Duration::from_secs(60);

/// A sequence that only looks random (`SplitMix64`).
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % end
    }
}

/// What senders know: ids with and without an acknowledgement.
#[derive(Debug, Default)]
struct Known {
    acknowledged: BTreeSet<String>,
    open: BTreeSet<String>,
    /// Answers of the server that runs now.
    answers: u64,
}

/// What all senders know together, and a bell for each answer.
#[derive(Debug, Default)]
struct Senders {
    known: Mutex<Known>,
    answered: Condvar,
}

fn body(id: &str) -> Vec<u8> {
    // Every third delivery has a second message, so that cut deliveries are interrupted, too.
    let second = format!("{id}.b");
    let first = (id, "15550100", "some words of a customer");
    match id.len() % 3 {
        0 => webhook(&[first, (&second, "15550101", "more words of another one")]),
        _ => webhook(&[first]),
    }
}

/// Sends ids until the connection breaks.
fn send(connection: &mut Connection, ids: impl Iterator<Item = String>, senders: &Senders) {
    for id in ids {
        senders.known.lock().unwrap().open.insert(id.clone());
        match connection.signed_post(&body(&id)) {
            Ok(200) => {
                let mut known = senders.known.lock().unwrap();
                known.open.remove(&id);
                known.acknowledged.insert(id);
                known.answers += 1;
                senders.answered.notify_all();
            }
            Ok(status) => panic!("expected 200 or a broken connection, found {status}"),
            Err(_) => return,
        }
    }
}

/// One life of a server.
fn live(home: &Path, round: u64, random: &mut Random, senders: &Senders) {
    let running = Running::start(home, "archive");
    let again: Vec<String> = {
        let mut known = senders.known.lock().unwrap();
        known.answers = 0;
        let every = known.acknowledged.len() / 20 + 1;
        known.open.iter().chain(known.acknowledged.iter().step_by(every)).cloned().collect()
    };
    // Some are killed before the first answer, some after several commits.
    let (enough, spins) = (random.below(again.len() as u64 + 60), random.below(20_000));
    std::thread::scope(|scope| {
        for sender in 0..CONNECTIONS {
            let again: Vec<String> = again.iter().skip(sender).step_by(CONNECTIONS).cloned().collect();
            let fresh = (0..100).map(move |n| format!("wamid.{round}.{sender}.{n}"));
            let running = &running;
            scope.spawn(move || {
                let Ok(mut connection) = running.connect() else { return };
                send(&mut connection, again.into_iter().chain(fresh), senders);
            });
        }
        let known = senders.known.lock().unwrap();
        let waiting = |known: &mut Known| known.answers < enough;
        let (known, waited) = senders.answered.wait_timeout_while(known, ANSWERS_WITHIN, waiting).unwrap();
        drop(known);
        assert!(!waited.timed_out(), "the server of round {round} answers");
        for _ in 0..spins {
            std::hint::spin_loop();
        }
        running.kill();
    });
}

/// Counts the events of every source id.
fn stored(home: &Path) -> BTreeMap<String, usize> {
    let runtime = tokio::runtime::Builder::new_multi_thread().build().unwrap();
    runtime.block_on(async {
        let store: Arc<dyn WormStore> = Arc::new(
            DirectoryStore::open_read_only(&home.join("archive/store"), Arc::new(SystemClock)).unwrap(),
        );
        let ledger = find_ledgers(&*store).await.unwrap()[0];
        let kek = Kek::new(read_kek(home));
        let keys = Arc::new(StoreKeys::new(store.clone(), ledger, kek));
        let reader = LedgerReader::open(store, ledger).await.unwrap().with_keys(keys);
        let mut counts = BTreeMap::new();
        for seq in (0..reader.refresh().await.unwrap().unwrap().size).map(Seq) {
            let read = reader.read(seq).await.unwrap();
            if read.event.core.kind == Kind::WhatsappMessage {
                let id = read.payload.unwrap().payload.facts.source_id.unwrap();
                *counts.entry(id.split_once('/').unwrap().1.to_owned()).or_insert(0) += 1;
            }
        }
        counts
    })
}

fn read_kek(home: &Path) -> [u8; 32] {
    let text = std::fs::read_to_string(home.join("archive/secrets/kek")).unwrap();
    let digits = text.lines().nth(1).unwrap().as_bytes();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(byte).collect::<Vec<u8>>().try_into().unwrap()
}

#[test]
fn nothing_acknowledged_is_lost_or_stored_twice_when_the_process_is_killed() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    assert!(command(piperoll(), home).args(["init", "--json"]).output().unwrap().status.success());
    let senders = Senders::default();
    let mut random = Random(2);
    for round in 0..ROUNDS {
        live(home, round, &mut random, &senders);
    }
    let running = Running::start(home, "archive");
    let open: Vec<String> = senders.known.lock().unwrap().open.iter().cloned().collect();
    send(&mut running.connect().unwrap(), open.into_iter(), &senders);
    assert!(running.stop().success());

    let known = senders.known.lock().unwrap();
    assert!(
        known.open.is_empty() && known.acknowledged.len() > 200,
        "{} were sent",
        known.acknowledged.len()
    );
    let mut expected = BTreeMap::new();
    for id in &known.acknowledged {
        expected.insert(id.clone(), 1);
        if id.len() % 3 == 0 {
            expected.insert(format!("{id}.b"), 1);
        }
    }
    assert_eq!(stored(home), expected, "every message is there exactly once");
    let verified = command(piperoll(), home).args(["verify", "--json"]).output().unwrap();
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stdout));
}
