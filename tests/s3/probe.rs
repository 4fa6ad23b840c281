//! What the probe finds on services and buckets that are fit, and on those that are not.

use std::sync::Arc;

use piperoll_store::{Clock as _, S3Credentials};
use piperoll_store::{ManualClock, ProbeOutcome, ProbeReport, S3Mode, S3Store, SystemClock, WormStore as _};
use piperoll_tests::{Identity, S3Service};

fn outcomes<'a>(report: &'a ProbeReport, name: &str) -> Vec<(ProbeOutcome, &'a str)> {
    let found = report.checks.iter().filter(|check| check.name == name);
    found.map(|check| (check.outcome, check.detail.as_str())).collect()
}

#[track_caller]
fn check_outcome(report: &ProbeReport, name: &str, outcome: ProbeOutcome, times: usize) {
    let found: Vec<ProbeOutcome> = outcomes(report, name).iter().map(|(found, _)| *found).collect();
    assert_eq!(found, vec![outcome; times], "`{name}`: {report:#?}");
}

#[tokio::test]
async fn fit_bucket_passes_with_both_identities_tried() {
    let Some(service) = S3Service::find().await else { return };
    for mode in [S3Mode::Compliance, S3Mode::Governance] {
        let report = service.store(service.options(mode)).probe().await;
        assert!(report.is_passed(), "{report:#?}");
        for (name, times) in [
            ("versioning", 1),
            ("object lock", 1),
            ("create under lock", 1),
            ("read after write", 1),
            ("lock mode", 1),
            ("shorten retention", 2),
            ("delete while retained", 2),
            ("conditional create", 1),
            ("racing creates", 1),
            ("checksum", 1),
            ("least privilege", 1),
        ] {
            check_outcome(&report, name, ProbeOutcome::Passed, times);
        }
        check_outcome(&report, "clock", ProbeOutcome::Noted, 1);
        check_outcome(&report, "default retention", ProbeOutcome::Noted, 1);
    }
}

#[tokio::test]
async fn writer_alone_is_enough_for_the_probe() {
    let Some(service) = S3Service::find().await else { return };
    let mut options = service.options(S3Mode::Compliance);
    options.records_manager = None;
    for left in [0, 3] {
        let report = service.store(options.clone()).probe().await;
        assert!(report.is_passed(), "{report:#?}");
        check_outcome(&report, "delete while retained", ProbeOutcome::Passed, 1);
        let earlier = outcomes(&report, "earlier scratch objects");
        assert_eq!(earlier.is_empty(), left == 0, "{earlier:?}");
    }
}

#[tokio::test]
async fn bucket_without_locks_fails() {
    let Some(service) = S3Service::find_bucket("piperoll-plain", false).await else { return };
    let report = service.store(service.options(S3Mode::Compliance)).probe().await;
    assert!(!report.is_passed());
    check_outcome(&report, "versioning", ProbeOutcome::Failed, 1);
    check_outcome(&report, "object lock", ProbeOutcome::Failed, 1);
    check_outcome(&report, "create under lock", ProbeOutcome::Failed, 1);
}

#[tokio::test]
async fn missing_bucket_and_missing_rights_fail_with_what_the_service_said() {
    let Some(service) = S3Service::find().await else { return };
    let mut options = service.options(S3Mode::Compliance);
    options.location.bucket = "piperoll-missing".to_owned();
    let report = service.store(options).probe().await;
    check_outcome(&report, "create under lock", ProbeOutcome::Failed, 1);
    let mut options = service.options(S3Mode::Compliance);
    options.credentials = S3Service::credentials(Identity::Reader);
    let report = service.store(options).probe().await;
    let created = outcomes(&report, "create under lock");
    assert!(
        matches!(created[..], [(ProbeOutcome::Failed, detail)] if detail.contains("denied")),
        "{created:?}"
    );
    let mut options = service.options(S3Mode::Compliance);
    let S3Credentials::Static { secret_access_key, .. } = &mut options.credentials else {
        panic!("expected fixed credentials");
    };
    secret_access_key.push('x');
    let report = service.store(options).probe().await;
    let versioning = outcomes(&report, "versioning");
    assert!(
        matches!(versioning[..], [(ProbeOutcome::Failed, detail)] if detail.contains("SignatureDoesNotMatch"))
    );
}

#[tokio::test]
async fn clock_that_is_far_off_fails() {
    const TEN_YEARS_MICROS: u64 = 315_576_000_000_000;
    let Some(service) = S3Service::find().await else { return };
    let now = SystemClock.now_micros();
    for wrong in [now + TEN_YEARS_MICROS, now - TEN_YEARS_MICROS, now + 400_000_000] {
        let clock = Arc::new(ManualClock::new(wrong));
        let mut options = service.options(S3Mode::Governance);
        // Scratch objects of a clock that is ahead would be kept as long.
        options.location.prefix.push_str("-clock");
        let report = S3Store::connect(options, clock).unwrap().probe().await;
        assert!(!report.is_passed());
        check_outcome(&report, "clock", ProbeOutcome::Failed, 1);
    }
}
