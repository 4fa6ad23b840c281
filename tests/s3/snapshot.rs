//! Snapshots with exactly the rights of `schemas/iam`: the writer puts and deletes them, and still nothing else.

use std::sync::Arc;
use std::time::Duration;

use piperoll_server::{Origin, SnapshotSettings};
use piperoll_store::{LockMode, ObjectKey, S3Mode, StoreError, WormStore};
use piperoll_tests::{Identity, S3Service, Served, TestArchive, webhook};

const AT_THE_END: SnapshotSettings =
    SnapshotSettings { every: Duration::from_secs(86_400), every_events: u64::MAX, stop_events_min: 1 };

async fn close_with_snapshot(served: Served<'_>) {
    served.archive.catch_up().await;
    served.archive.keep_snapshots(AT_THE_END);
    served.close().await;
}

/// Returns the names below a prefix, each with how it is locked.
async fn names(archive: &TestArchive, prefix: &str) -> Vec<(ObjectKey, LockMode)> {
    let listed = archive.backing().list(&archive.prefix(prefix), None, 10_000).await.unwrap();
    listed.into_iter().map(|meta| (meta.key, meta.lock.mode)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_disk_is_ready_from_a_snapshot_that_the_writer_alone_took() {
    let Some(service) = S3Service::find().await else { return };
    let mut options = service.options(S3Mode::Compliance);
    options.records_manager = None;
    let archive = TestArchive::on(Arc::new(service.store(options))).await;
    for n in 0..3 {
        let served = archive.serve().await;
        let id = format!("wamid.{n}");
        served.deliver(&webhook(&[(&id, "15550100", &format!("quokka {n}"))])).await.is_status(200);
        close_with_snapshot(served).await;
    }
    let manifests = names(&archive, "snapshot/manifest/").await;
    assert_eq!(manifests.len(), 1, "each replaced the one before: {manifests:?}");
    let pieces = names(&archive, "snapshot/piece/").await;
    assert!(pieces.iter().chain(&manifests).all(|(_, mode)| *mode == LockMode::None), "{pieces:?}");
    // What was replaced is gone, with every version of it.
    let prefix = service.name(&archive.prefix("snapshot/"));
    let listing = format!("?versions=&prefix={}", prefix.replace('/', "%2F"));
    let listing = service.send(Identity::Admin, "GET", &listing, &[], Vec::new()).await;
    assert_eq!(listing.body.matches("<Key>").count(), pieces.len() + 1, "{}", listing.body);

    for folder in [archive.index_dir(), archive.state_dir()] {
        std::fs::remove_dir_all(folder).unwrap();
    }
    let served = archive.serve().await;
    assert!(matches!(served.archive.origin(), Origin::Snapshot { .. }), "{:?}", served.archive.origin());
    assert_eq!(served.find("quokka").await.len(), 3);
    served.check_everything().await;
    served.close().await;

    // The right to delete ends there: a tile is derived as well, and no snapshot.
    let store = archive.backing();
    for (name, _) in names(&archive, "checkpoint").await {
        let refused = store.delete_derived(&name).await;
        assert!(matches!(refused, Err(StoreError::Denied { .. })), "{refused:?}");
    }
    let name = service.name(names(&archive, "payloads/").await[0].0.as_str());
    let refused = service.send(Identity::Writer, "DELETE", &name, &[], Vec::new()).await;
    assert_eq!(refused.status, 403, "{refused:?}");
    // Auditors read snapshots no more than anybody without the KEK, and cannot write them.
    let reader =
        service.store(service.options_as(S3Mode::Compliance, S3Service::credentials(Identity::Reader)));
    let refused = reader.delete_derived(&manifests[0].0).await;
    assert!(matches!(refused, Err(StoreError::Denied { .. })), "{refused:?}");
}
