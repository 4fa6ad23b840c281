//! The whole archive on the service with exactly the rights of `schemas/iam`: capture as the writer, verification as the
//! reader, disposal as the records manager after a lock that nobody can lift has ended.

use std::sync::Arc;

use piperoll_engine::Engine;
use piperoll_store::{Clock as _, LockMode, ObjectKey, S3Mode, StoreError, SystemClock, WormStore};
use piperoll_tests::{Identity, S3Service, TestArchive, message, numbered_message, submit_one, until};
use piperoll_verify::report::FindingCode;
use piperoll_verify::verify::{VerifyOptions, verify_ledger};

async fn archive_as_writer(service: &S3Service, with_manager: bool) -> TestArchive {
    let mut options = service.options(S3Mode::Compliance);
    if !with_manager {
        options.records_manager = None;
    }
    TestArchive::on(Arc::new(service.store(options))).await
}

async fn fill(archive: &TestArchive, engine: &Engine) {
    for n in 0..3 {
        let brief = numbered_message("999", &format!("brief {n}"), &format!("secret {n}"));
        let _receipt = submit_one(engine, brief).await.unwrap();
        let _receipt = submit_one(engine, message(&format!("kept {n}"), "kept")).await.unwrap();
    }
    archive.check_everything(Some(engine)).await;
}

/// Waits until the locks of everything brief have ended on the service, and moves the archive's clock there.
async fn wait_for_locks(archive: &TestArchive) {
    let listed = archive.list().await;
    let brief = listed.iter().filter(|(name, _)| name.contains("/brief/"));
    let end = brief.filter_map(|(_, meta)| meta.lock.retain_until).max().unwrap();
    // The service cuts its time to seconds.
    until("the locks have ended", || SystemClock.now_micros() > end + 1_000_000).await;
    archive.clock.set(archive.clock.now_micros() + 60_000_000);
}

async fn dispose(engine: &Engine) -> piperoll_engine::Disposed {
    let inventory = engine.inventory().unwrap();
    let bucket = inventory.into_iter().map(|object| object.bucket).find(|it| it.class().as_str() == "brief");
    engine.dispose(&bucket.unwrap(), "due", "test").await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_object_is_locked_in_compliance_mode_and_the_reader_verifies() {
    let Some(service) = S3Service::find().await else { return };
    let archive = archive_as_writer(&service, false).await;
    let engine = archive.open().await;
    fill(&archive, &engine).await;
    engine.close().await;
    for (name, meta) in archive.list().await {
        let is_derived = name == "checkpoint" || name.starts_with("tile/");
        let mode = if is_derived { LockMode::None } else { LockMode::Compliance };
        assert_eq!(meta.lock.mode, mode, "`{name}`");
    }
    let mut options = service.options(S3Mode::Compliance);
    options.credentials = S3Service::credentials(Identity::Reader);
    options.records_manager = None;
    let store: Arc<dyn WormStore> = Arc::new(service.store(options));
    let report = verify_ledger(store.clone(), archive.ledger(), VerifyOptions::default()).await.unwrap();
    assert!(report.is_clean() && report.is_complete(), "{report:#?}");
    let key = ObjectKey::new(archive.prefix("genesis")).unwrap();
    for refused in [
        store.put_derived(&ObjectKey::new("x").unwrap(), Vec::new().into()).await,
        store.set_hold(&key, true).await,
    ] {
        assert!(matches!(refused, Err(StoreError::Denied { .. })), "{refused:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn disposal_needs_the_records_manager_and_the_end_of_the_lock() {
    let Some(service) = S3Service::find().await else { return };
    let archive = archive_as_writer(&service, false).await;
    let engine = archive.open().await;
    fill(&archive, &engine).await;
    // The host's clock jumps ahead: nothing unlocks early.
    archive.clock.set(archive.clock.now_micros() + 60_000_000);
    let early = dispose(&engine).await;
    assert_eq!((early.objects, early.left.len()), (0, 4), "{early:?}");
    wait_for_locks(&archive).await;
    // The writer cannot delete, and is told who could.
    let refused = dispose(&engine).await;
    assert_eq!((refused.objects, refused.left.len()), (0, 4), "{refused:?}");
    assert!(refused.left.iter().all(|(_, reason)| reason.to_string().contains("denied")), "{refused:?}");
    engine.close().await;

    let manager: Arc<dyn WormStore> = Arc::new(service.store(service.options(S3Mode::Compliance)));
    let (engine, _store) = archive.open_on(manager.clone(), "manager").await;
    let disposed = dispose(&engine).await;
    assert_eq!((disposed.objects, disposed.left.len()), (4, 0), "{disposed:?}");
    let events = archive.check_everything(Some(&engine)).await;
    assert_eq!(events.iter().filter(|event| event.bytes.as_deref() == Some(b"kept")).count(), 3);
    assert_eq!(archive.verify().await.tombstones.objects, 4);
    // No version and no delete marker is left in the bucket.
    let prefix = service.name(&archive.prefix("payloads/brief/"));
    let listing = format!("?versions=&prefix={}", prefix.replace('/', "%2F"));
    let listing = service.send(Identity::Admin, "GET", &listing, &[], Vec::new()).await;
    assert_eq!(listing.status, 200);
    assert!(!listing.body.contains("<Key>"), "{}", listing.body);
    engine.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn holds_are_placed_by_the_writer_and_released_by_the_records_manager() {
    let Some(service) = S3Service::find().await else { return };
    let archive = archive_as_writer(&service, true).await;
    let engine = archive.open().await;
    fill(&archive, &engine).await;
    let name = archive.list().await.into_keys().find(|name| name.starts_with("payloads/brief/")).unwrap();
    let key = ObjectKey::new(archive.prefix(&name)).unwrap();
    let store = archive.backing();
    store.set_hold(&key, true).await.unwrap();
    wait_for_locks(&archive).await;
    let disposed = dispose(&engine).await;
    assert_eq!((disposed.objects, disposed.left.len()), (3, 1), "{disposed:?}");
    let left = archive.verify().await.findings;
    assert!(left.iter().any(|finding| finding.code == FindingCode::DisposalIncomplete), "{left:#?}");
    assert!(left.iter().all(|finding| finding.object.as_deref() == Some(&*name)), "{left:#?}");
    store.set_hold(&key, false).await.unwrap();
    let disposed = dispose(&engine).await;
    assert_eq!((disposed.objects, disposed.left.len()), (1, 0), "{disposed:?}");
    archive.check_everything(Some(&engine)).await;
    engine.close().await;
}
