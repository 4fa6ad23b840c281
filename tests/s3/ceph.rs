//! A real service that answers a conditional create without looking: the store must be refused.

use std::env;

use piperoll_store::{ProbeOutcome, S3Credentials, S3Mode, WormStore as _};
use piperoll_tests::S3Service;

/// Goal: Ceph's gateway 16.2 ignores `If-None-Match` in versioned buckets, so that two writers would fork a ledger.
/// Method: the probe, on the gateway itself. (It also loses locks of objects uploaded in parts; the archive never does
/// that, so there is nothing to probe.)
#[tokio::test(flavor = "multi_thread")]
async fn gateway_that_ignores_conditional_creates_is_refused() {
    let Ok(endpoint) = env::var("PIPEROLL_CEPH_ENDPOINT") else { return };
    let variable = |name: &str| env::var(format!("PIPEROLL_CEPH_ADMIN_{name}")).unwrap();
    let credentials = S3Credentials::Static {
        access_key_id: variable("KEY"),
        secret_access_key: variable("SECRET"),
        session_token: None,
    };
    let service = S3Service::at(endpoint, String::new(), "piperoll-locked");
    service.create_locked_bucket(&credentials).await;
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
