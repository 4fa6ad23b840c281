//! Somebody with rights in the bucket, or behind the gateway, disturbs the archive: what he does is found and named, and
//! the archive's own versions are still read.

use std::sync::Arc;
use std::time::Duration;

use piperoll_engine::Settings;
use piperoll_store::{ObjectKey, S3Mode, Shadow, StoreError, WormStore};
use piperoll_tests::{Identity, S3Service, TestArchive, check_receipt, message, quick_settings, submit_one};
use piperoll_verify::report::FindingCode;

/// An archive with some events on the service.
async fn filled(service: &S3Service) -> (TestArchive, Arc<dyn WormStore>) {
    let store: Arc<dyn WormStore> = Arc::new(service.store(service.options(S3Mode::Compliance)));
    let archive = TestArchive::on(store.clone()).await;
    let engine = archive.open().await;
    for n in 0..3 {
        let _receipt = submit_one(&engine, message(&format!("{n}"), &format!("text {n}"))).await.unwrap();
    }
    archive.check_everything(Some(&engine)).await;
    engine.close().await;
    (archive, store)
}

/// Returns the keys of the first objects of each kind.
async fn keys(archive: &TestArchive) -> Vec<ObjectKey> {
    let names = archive.list().await;
    let first = |prefix: &str| names.keys().find(|name| name.starts_with(prefix)).unwrap().clone();
    let names = ["genesis", "log/", "payloads/", "keys/"].map(first);
    names.iter().map(|name| ObjectKey::new(archive.prefix(name)).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn delete_markers_are_found_and_reads_continue() {
    let Some(service) = S3Service::find().await else { return };
    let (archive, store) = filled(&service).await;
    let before = archive.events().await;
    for key in keys(&archive).await {
        let name = service.name(key.as_str());
        let marker = service.send(Identity::RecordsManager, "DELETE", &name, &[], Vec::new()).await;
        assert_eq!(marker.status, 204, "{marker:?}");
        let plain = service.send(Identity::Reader, "GET", &name, &[], Vec::new()).await;
        assert_eq!(plain.status, 404, "who asks for the name finds nothing");
        assert_eq!(store.head(&key).await.unwrap().shadowed, Some(Shadow::DeleteMarker));
        let report = archive.check_findings(&[FindingCode::ObjectShadowed]).await;
        let (_, object) = key.as_str().split_once('/').unwrap();
        assert_eq!(report.findings[0].object.as_deref(), Some(object));
        assert!(report.is_complete(), "{report:?}");
        assert_eq!(archive.events().await, before, "every event is still read");
        let query = format!("{name}?versionId={}", marker.version.unwrap());
        let removed = service.send(Identity::RecordsManager, "DELETE", &query, &[], Vec::new()).await;
        assert_eq!(removed.status, 204);
        archive.check_findings(&[]).await;
    }
    let engine = archive.open().await;
    let repeated = submit_one(&engine, message("0", "text 0")).await.unwrap();
    assert!(repeated.repeated);
    engine.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn writer_does_not_write_again_what_a_delete_marker_hides() {
    let Some(service) = S3Service::find().await else { return };
    let (archive, _store) = filled(&service).await;
    let newest = archive.reader().await.head().unwrap().segment;
    let key = archive.prefix(&format!("log/{:012}.seg", newest.0));
    let marker = service.send(Identity::Admin, "DELETE", &service.name(&key), &[], Vec::new()).await;
    assert_eq!(marker.status, 204);
    for state in ["kept", "lost"] {
        if state == "lost" {
            std::fs::remove_dir_all(archive.state_dir()).unwrap();
        }
        let engine = archive.open().await;
        let receipt = submit_one(&engine, message(state, state)).await.unwrap();
        assert!(!receipt.repeated);
        engine.close().await;
        archive.check_findings(&[FindingCode::ObjectShadowed]).await;
    }
    assert_eq!(archive.events().await.len(), 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn newer_versions_are_found_and_the_first_is_verified() {
    let Some(service) = S3Service::find().await else { return };
    let (archive, store) = filled(&service).await;
    for key in keys(&archive).await {
        let name = service.name(key.as_str());
        let original = store.get(&key).await.unwrap();
        let forged = service.send(Identity::Admin, "PUT", &name, &[], b"forged".to_vec()).await;
        assert_eq!(forged.status, 200, "{forged:?}");
        let meta = store.head(&key).await.unwrap();
        assert_eq!((meta.shadowed, meta.size), (Some(Shadow::NewerVersion), original.len() as u64));
        assert!(meta.lock.retain_until.is_some());
        assert_eq!(store.get_original(&key).await.unwrap(), original);
        let derived = store.put_derived(&key, original.clone()).await;
        assert!(matches!(derived, Err(StoreError::Retained { .. })), "{derived:?}");
        let report = archive.check_findings(&[FindingCode::ObjectShadowed]).await;
        assert!(report.is_complete());
        assert_eq!(archive.events().await.len(), 4, "every event is still read");
        let query = format!("{name}?versionId={}", forged.version.unwrap());
        let removed = service.send(Identity::RecordsManager, "DELETE", &query, &[], Vec::new()).await;
        assert_eq!(removed.status, 204);
    }
    archive.check_findings(&[]).await;
}

/// Goal: the lock lives in the gateway; who has the disks below can do what he wants, and verification says so.
/// Method: the service's own storage port, which asks for no rights.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_deleted_or_changed_behind_the_gateway_is_named() {
    let Some(service) = S3Service::find().await else { return };
    for (kind, code) in [
        ("payloads/", FindingCode::ObjectMissing),
        ("keys/", FindingCode::ObjectMissing),
        ("log/", FindingCode::SegmentMissing),
        ("genesis", FindingCode::ObjectMissing),
    ] {
        let service = S3Service::find().await.unwrap_or_else(|| panic!("{service:?} was there"));
        let (archive, _store) = filled(&service).await;
        let name = archive.list().await.into_keys().find(|name| name.starts_with(kind)).unwrap();
        let path = format!("{}.versions?recursive=true", service.name(&archive.prefix(&name)));
        let deleted = service.behind("DELETE", &path, Vec::new()).await;
        assert!(matches!(deleted.status, 202 | 204), "{deleted:?}");
        let report = archive.verify().await;
        let named = |finding: &piperoll_verify::report::Finding| {
            finding.code == code && finding.object.as_deref() == Some(&*name)
        };
        assert!(report.findings.iter().any(named), "`{name}`: {report:#?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_changed_behind_the_gateway_are_named() {
    let Some(service) = S3Service::find().await else { return };
    let (archive, store) = filled(&service).await;
    let name = archive.list().await.into_keys().find(|name| name.starts_with("payloads/")).unwrap();
    let key = ObjectKey::new(archive.prefix(&name)).unwrap();
    let meta = store.head(&key).await.unwrap();
    let mut bytes = store.get(&key).await.unwrap().to_vec();
    *bytes.last_mut().unwrap() ^= 1;
    // The file keeps its properties; only its content is another.
    let folder = format!("{}.versions", service.name(key.as_str()));
    let path = format!("{folder}/v_{}", meta.version.unwrap());
    let changed = service.behind("PUT", &path, bytes).await;
    assert!(changed.status < 300, "{changed:?}");
    let report = archive.verify().await;
    let found: Vec<_> = report.findings.iter().filter(|it| it.object.as_deref() == Some(&*name)).collect();
    assert!(found.iter().any(|it| it.code == FindingCode::ObjectChanged), "{report:#?}");
}

/// A writer that rested while another one went on, and an outsider's delete marker over what that one committed: S3 lets
/// the name be created again, and what is created then would not count.
#[tokio::test(flavor = "multi_thread")]
async fn stale_writer_does_not_acknowledge_what_a_delete_marker_lets_it_create() {
    let Some(service) = S3Service::find().await else { return };
    let (archive, _) = filled(&service).await;
    let rested = Settings { trust_end: Duration::ZERO, ..quick_settings() };
    let stale = archive.try_open(rested).await.unwrap();
    let (quick, _) = archive.open_beside("quick").await;
    let committed = submit_one(&quick, message("quick", "quick")).await.unwrap();
    let newest = archive.list().await.into_keys().rfind(|name| name.starts_with("log/")).unwrap();
    let name = service.name(&archive.prefix(&newest));
    let marker = service.send(Identity::RecordsManager, "DELETE", &name, &[], Vec::new()).await;
    assert_eq!(marker.status, 204, "{marker:?}");
    let late = submit_one(&stale, message("late", "late")).await.unwrap();
    assert_eq!(late.seq.0, committed.seq.0 + 1, "it comes after what was hidden");
    let report = archive.check_findings(&[FindingCode::ObjectShadowed]).await;
    assert_eq!(report.findings[0].object.as_deref(), Some(newest.as_str()));
    assert!(report.is_complete(), "{report:?}");
    let events = archive.events().await;
    check_receipt(&events, &committed, "quick");
    check_receipt(&events, &late, "late");
    stale.close().await;
    quick.close().await;
}
