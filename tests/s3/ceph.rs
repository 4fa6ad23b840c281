//! A real service that answers a conditional create without looking: the store must be refused.

use std::env;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures::FutureExt as _;
use piperoll_store::conformance::{self, Fixture};
use piperoll_store::{ProbeOutcome, S3Credentials, S3Mode, S3Store, WormStore as _};
use piperoll_tests::S3Service;

use crate::conformance::{WholeSeconds, wait_until};

/// The properties that it lacks: every one of them tries a second create, which it accepts.
pub(crate) const FAILING: [&str; 6] = [
    "created_object_is_immutable",
    "second_create_is_refused",
    "racing_creates_have_one_winner",
    "derived_cannot_replace_locked",
    "empty_object_is_kept",
    "probe_passes",
];

/// Finds the gateway, a place in its bucket with locks, and its administrator; `None` where it is not installed.
async fn find() -> Option<(S3Service, S3Credentials)> {
    let endpoint = env::var("PIPEROLL_CEPH_ENDPOINT").ok()?;
    let variable = |name: &str| env::var(format!("PIPEROLL_CEPH_ADMIN_{name}")).unwrap();
    let credentials = S3Credentials::Static {
        access_key_id: variable("KEY"),
        secret_access_key: variable("SECRET"),
        session_token: None,
    };
    let service = S3Service::at(endpoint, String::new(), "piperoll-locked");
    service.create_locked_bucket(&credentials).await;
    Some((service, credentials))
}

async fn fixture() -> Option<Fixture> {
    let (service, credentials) = find().await?;
    let mut options = service.options_as(S3Mode::Governance, credentials.clone());
    options.records_manager = Some(credentials);
    let store = Arc::new(S3Store::connect(options, Arc::new(WholeSeconds)).unwrap());
    Some(Fixture { store, clock: Arc::new(WholeSeconds), prefix: String::new(), wait_until: wait_until() })
}

/// Makes a test of each property that says whether the gateway has it.
macro_rules! ceph_tests {
    ($fixture:ident => $($property:ident)+) => {
        $(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $property() {
            let Some(fixture) = $fixture().await else { return };
            let holds = AssertUnwindSafe(conformance::$property(&fixture)).catch_unwind().await.is_ok();
            assert_eq!(holds, !FAILING.contains(&stringify!($property)));
        }
        )+
    };
}

piperoll_store::with_properties!(fixture, ceph_tests);

/// Goal: Ceph's gateway 16.2 ignores `If-None-Match` in versioned buckets, so that two writers would fork a ledger.
/// Method: the probe, on the gateway itself. (It also loses locks of objects uploaded in parts; the archive never does
/// that, so there is nothing to probe.)
#[tokio::test(flavor = "multi_thread")]
async fn gateway_that_ignores_conditional_creates_is_refused() {
    let Some((service, credentials)) = find().await else { return };
    let report = service.store(service.options_as(S3Mode::Compliance, credentials)).probe().await;
    assert!(!report.is_passed(), "{report:#?}");
    let failed: Vec<&str> = report
        .checks
        .iter()
        .filter(|check| check.outcome == ProbeOutcome::Failed)
        .map(|check| check.name)
        .collect();
    assert_eq!(failed, ["conditional create", "racing creates"], "{report:#?}");
    let noted = |name: &str| {
        let mut found = report.checks.iter().filter(|check| check.name == name);
        found.any(|check| check.outcome == ProbeOutcome::Noted)
    };
    assert!(noted("checksum") && noted("least privilege"), "{report:#?}");
}
