//! The properties of the port, on the service, as the writer and the records manager of `schemas/iam`, and the README's
//! table of them for all stores.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use piperoll_store::conformance::{Fixture, PROPERTIES, WaitUntil};
use piperoll_store::{Clock, ManualClock, MemoryStore, S3Mode, S3Store, SystemClock};
use piperoll_tests::{NOW, S3Service, until};

/// The time of the day in whole seconds: the service keeps no other dates.
#[derive(Debug)]
pub(crate) struct WholeSeconds;

impl Clock for WholeSeconds {
    fn now_micros(&self) -> u64 {
        SystemClock.now_micros() / 1_000_000 * 1_000_000
    }
}

/// A place of its own on the service; without a service, one in memory, which has these properties anyhow.
fn fixture(mode: S3Mode) -> (Fixture, ()) {
    let runtime = tokio::runtime::Handle::current();
    let service = tokio::task::block_in_place(|| runtime.block_on(S3Service::find()));
    let Some(service) = service else {
        let clock = Arc::new(ManualClock::new(NOW));
        return (Fixture::with_manual_clock(Arc::new(MemoryStore::new(clock.clone())), clock), ());
    };
    let store = S3Store::connect(service.options(mode), Arc::new(WholeSeconds)).unwrap();
    let prefix = String::new();
    (Fixture { store: Arc::new(store), clock: Arc::new(WholeSeconds), prefix, wait_until: wait_until() }, ())
}

/// Waits for the time of the day, and a second more: the service cuts its own time to seconds.
pub(crate) fn wait_until() -> WaitUntil {
    Box::new(|micros| {
        Box::pin(async move {
            until("the date has passed", || SystemClock.now_micros() > micros + 1_000_000).await;
        })
    })
}

mod compliance {
    fn fixture() -> (super::Fixture, ()) {
        super::fixture(super::S3Mode::Compliance)
    }

    piperoll_store::conformance_tests!(fixture);
}

mod governance {
    fn fixture() -> (super::Fixture, ()) {
        super::fixture(super::S3Mode::Governance)
    }

    piperoll_store::conformance_tests!(fixture);
}

/// The stores whose tests [`piperoll_store::conformance_tests`] makes: each cell of the table is one.
const STORES: [&str; 4] = ["memory", "directory", "SeaweedFS 4.48, COMPLIANCE", "SeaweedFS 4.48, GOVERNANCE"];

/// The line of the README that the table begins with.
const FIRST: &str = "| property of a store |";

#[test]
fn table_is_up_to_date() {
    let mut table = format!("{FIRST} {} | Ceph RGW 16.2 |\n|---|---|", STORES.join(" | "));
    table.push_str(&"---|".repeat(STORES.len()));
    table.push('\n');
    for (name, sentence) in PROPERTIES {
        let on_ceph = if crate::ceph::FAILING.contains(&name) { "**no**" } else { "yes" };
        writeln!(table, "| {sentence} |{} {on_ceph} |", " yes |".repeat(STORES.len())).unwrap();
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let begin = text.find(FIRST).unwrap();
    let end = text[begin..].find("\n\n").map_or(text.len(), |length| begin + length + 1);
    if std::env::var_os("PIPEROLL_UPDATE_GOLDEN").is_some() {
        let updated = format!("{}{table}{}", &text[..begin], &text[end..]);
        std::fs::write(&path, updated).unwrap();
        return;
    }
    assert_eq!(text[begin..end], table, "run with PIPEROLL_UPDATE_GOLDEN=1");
}
