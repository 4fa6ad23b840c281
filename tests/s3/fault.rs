//! Goal: every write of a commit may fail on the wire in every way, on the real service.
//! Method: a proxy breaks requests for packs, key objects and segments, and lists; each row is played with the same
//! and with another batch afterwards, and the whole archive is read again and verified after each step.

use std::sync::Arc;
use std::time::Duration;

use piperoll_engine::{Engine, EngineError, Receipt};
use piperoll_format::SubmissionGroup;
use piperoll_store::{S3Mode, WormStore};
use piperoll_tests::{Proxy, S3Service, TestArchive, WireFault, WireRule, check_receipt, message};

const FAULTS: [WireFault; 7] = [
    WireFault::Refused(500, "InternalError"),
    WireFault::Refused(503, "SlowDown"),
    WireFault::CutInBody,
    WireFault::AnswerLost,
    WireFault::Slow,
    WireFault::WrongEtag,
    WireFault::StaleList,
];

/// The creates of a commit, by what stands in their names.
const WRITES: [&str; 3] = ["/payloads/", "/keys/", "/log/"];

#[derive(Clone, Copy, Debug)]
struct Row {
    write: &'static str,
    fault: WireFault,
    /// Whether every such request fails, or one.
    is_lasting: bool,
    is_same_batch: bool,
}

impl Row {
    fn rule(self) -> WireRule {
        let (method, contains) = match self.fault {
            WireFault::StaleList => ("GET", "versions".to_owned()),
            _ => ("PUT", self.write.to_owned()),
        };
        let times = if self.is_lasting { None } else { Some(1) };
        WireRule { method, contains, fault: self.fault, times }
    }

    /// Whether the batch is acknowledged while the fault lasts.
    fn is_acknowledged(self) -> bool {
        match self.fault {
            // It never reaches the service.
            WireFault::Refused(..) | WireFault::CutInBody => !self.is_lasting,
            // It was applied: read back and found to be our own.
            WireFault::AnswerLost | WireFault::Slow => true,
            // Nothing depends on what these say.
            WireFault::WrongEtag | WireFault::StaleList => true,
        }
    }
}

async fn submit(
    engine: &Engine,
    id: &str,
    acknowledged: &mut Vec<(Receipt, String)>,
) -> Result<bool, EngineError> {
    // A person of its own, so that each batch has a key object.
    let mut submission = message(id, id);
    submission.payload.facts.subject = Some(format!("wa:{id}"));
    let receipts = engine.submit(SubmissionGroup::single(submission)).await?;
    let is_repeat = receipts[0].repeated;
    acknowledged.extend(receipts.into_iter().map(|receipt| (receipt, id.to_owned())));
    Ok(is_repeat)
}

async fn check(archive: &TestArchive, engine: &Engine, acknowledged: &[(Receipt, String)]) {
    let events = archive.check_everything(Some(engine)).await;
    acknowledged.iter().for_each(|(receipt, text)| check_receipt(&events, receipt, text));
}

async fn play(row: Row) {
    let Some(service) = S3Service::find().await else { return };
    let proxy = Proxy::start(&service.endpoint).await;
    let mut options = service.options(S3Mode::Compliance);
    options.endpoint = Some(proxy.endpoint.clone());
    options.request_timeout = Duration::from_millis(1_500);
    options.retries = 1;
    let store: Arc<dyn WormStore> = Arc::new(service.store(options));
    let archive = TestArchive::on(store).await;
    let engine = archive.open().await;
    let mut acknowledged = Vec::new();
    assert!(!submit(&engine, "before", &mut acknowledged).await.unwrap());

    proxy.inject(row.rule());
    let answer = submit(&engine, "during", &mut acknowledged).await;
    let met = proxy.heal();
    assert!(met > 0 || row.fault == WireFault::StaleList, "the fault was met");
    match &answer {
        Ok(_) => assert!(row.is_acknowledged(), "expected a failure, found {answer:?}"),
        Err(EngineError::Unavailable { .. }) => assert!(!row.is_acknowledged(), "{answer:?}"),
        Err(error) => panic!("expected a receipt or unavailability, found {error:?}"),
    }
    let stored = archive.check_everything(None).await;
    let is_stored = stored.iter().any(|event| event.source_id.as_deref() == Some("during"));
    assert!(is_stored || answer.is_err());

    let id = if row.is_same_batch { "during" } else { "after" };
    let is_repeat = submit(&engine, id, &mut acknowledged).await.unwrap();
    assert_eq!(is_repeat, row.is_same_batch && is_stored);
    check(&archive, &engine, &acknowledged).await;
    engine.close().await;

    let engine = archive.open().await;
    submit(&engine, "reopened", &mut acknowledged).await.unwrap();
    check(&archive, &engine, &acknowledged).await;
    engine.close().await;
}

/// Plays all rows of one fault, some at once.
async fn play_all(fault: WireFault) {
    let mut rows = Vec::new();
    for write in WRITES {
        for is_lasting in [false, true] {
            for is_same_batch in [true, false] {
                rows.push(Row { write, fault, is_lasting, is_same_batch });
            }
        }
    }
    for some in rows.chunks(4) {
        let playing: Vec<_> = some.iter().map(|row| (*row, tokio::spawn(play(*row)))).collect();
        for (row, played) in playing {
            assert!(played.await.is_ok(), "{row:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn server_error() {
    play_all(FAULTS[0]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_down() {
    play_all(FAULTS[1]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connection_cut_in_the_body() {
    play_all(FAULTS[2]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn answer_lost_after_it_was_applied() {
    play_all(FAULTS[3]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn answer_slower_than_the_client_waits() {
    play_all(FAULTS[4]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_etag_in_the_answer() {
    play_all(FAULTS[5]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn list_without_the_newest() {
    play_all(FAULTS[6]).await;
}
