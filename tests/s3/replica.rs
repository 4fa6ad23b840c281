//! The second copy of a directory on the service: under the same dates, in COMPLIANCE mode, with the writer's rights.

use std::sync::Arc;

use piperoll_format::Timestamp;
use piperoll_replica::scrub::Scrubber;
use piperoll_replica::{Copier, Pair, Stores, compare};
use piperoll_store::{Clock as _, LockMode, ObjectKey, S3Mode, WormStore};
use piperoll_tests::{S3Service, TestArchive, message, submit_one};
use piperoll_verify::verify::{VerifyOptions, verify_ledger};

#[tokio::test(flavor = "multi_thread")]
async fn directory_is_copied_under_locks_of_the_service_and_repaired_from_it() {
    let Some(service) = S3Service::find().await else { return };
    let mut options = service.options(S3Mode::Compliance);
    options.records_manager = None;
    let replica: Arc<dyn WormStore> = Arc::new(service.store(options));
    let archive = TestArchive::in_directory().await;
    let engine = archive.open().await;
    for n in 0..20 {
        let _receipt = submit_one(&engine, message(&format!("wamid.{n}"), "kept twice")).await.unwrap();
    }
    engine.close().await;
    let pair = Pair { ledger: archive.ledger(), primary: archive.backing(), replica: replica.clone() };
    let mut copier = Copier::open(pair.clone(), archive.clock.clone()).await.unwrap();
    copier.catch_up(|_| {}).await.unwrap();
    let comparison = compare(&pair).await.unwrap();
    assert_eq!((comparison.events_behind(), comparison.agree), (0, Some(true)));
    let here = archive.list().await;
    for (name, meta) in here.iter().filter(|(name, _)| *name != "checkpoint" && !name.starts_with("tile/")) {
        let copy = replica.head(&ObjectKey::new(archive.prefix(name)).unwrap()).await.unwrap();
        assert_eq!((copy.size, copy.lock.mode), (meta.size, LockMode::Compliance), "`{name}`");
        assert!(copy.lock.retain_until >= meta.lock.retain_until, "`{name}`");
    }
    let now = Timestamp(archive.clock.now_micros());
    let verified =
        verify_ledger(replica.clone(), pair.ledger, VerifyOptions { now, ..VerifyOptions::default() });
    let report = verified.await.unwrap();
    assert!(report.is_clean() && report.is_complete(), "{:#?} {:#?}", report.findings, report.unreadable);
    // What is lost here comes back from there.
    let (name, _) = here.iter().find(|(name, _)| name.starts_with("payloads/")).unwrap();
    std::fs::remove_file(archive.dir().join("store").join(archive.prefix(name))).unwrap();
    let Pair { ledger, primary, replica } = pair;
    let stores = Stores { ledger, primary, replica: Some(replica), clock: archive.clock.clone() };
    let mut scrubber = Scrubber::new(&stores);
    let mut pass = scrubber.begin().await.unwrap();
    let mut repaired = Vec::new();
    while let Some(step) = scrubber.step(&mut pass).await.unwrap() {
        repaired.extend(step.repaired.into_iter().map(|repair| repair.object));
    }
    assert!(pass.is_sound(), "{pass:#?}");
    assert_eq!(repaired, std::slice::from_ref(name));
    archive.check_everything(None).await;
}
