//! Tests of the exit codes.

use anyhow::Context as _;
use piperoll_engine::EngineError;
use piperoll_format::{LedgerId, Seq};
use piperoll_store::StoreError;
use piperoll_verify::ReadError;

use crate::error::{Exit, Failure, exit_of, one_line};

#[test]
fn every_error_has_its_exit_code() {
    let store = |error: StoreError| anyhow::Error::new(error);
    let key = || "k".to_owned();
    let cases = [
        (anyhow::anyhow!("something"), Exit::Failed),
        (Failure::new(Exit::Usage, "u").into(), Exit::Usage),
        (anyhow::Error::new(Failure::new(Exit::Conflict, "c")).context("while"), Exit::Conflict),
        (
            anyhow::anyhow!("cause").context(Failure::new(Exit::KeyUnknown, "k")).context("while"),
            Exit::KeyUnknown,
        ),
        (ReadError::NoLedger { ledger: LedgerId([0; 16]) }.into(), Exit::NotFound),
        (ReadError::NoKey { seq: Seq(1) }.into(), Exit::KeyUnknown),
        (ReadError::NoEvent { seq: Seq(1), size: 1 }.into(), Exit::Failed),
        (EngineError::Invalid { reason: "r".to_owned() }.into(), Exit::Failed),
        (store(StoreError::AlreadyExists { key: key(), source: None }).context("create"), Exit::Conflict),
        (store(StoreError::Retained { key: key(), until: None, source: None }), Exit::Conflict),
        (store(StoreError::Full { key: key(), source: None }), Exit::Failed),
    ];
    for (error, exit) in cases {
        assert_eq!(exit_of(&error), exit, "{error:?}");
    }
}

#[test]
fn exit_codes_never_change() {
    let codes = [
        (Exit::Success, 0),
        (Exit::Failed, 1),
        (Exit::Usage, 2),
        (Exit::Findings, 3),
        (Exit::Incomplete, 4),
        (Exit::NotFound, 10),
        (Exit::Conflict, 11),
        (Exit::KeyUnknown, 12),
        (Exit::Interrupted, 130),
    ];
    for (exit, code) in codes {
        assert_eq!(exit as u8, code);
    }
}

#[test]
fn causes_are_told_once() {
    let error = Err::<(), _>(anyhow::anyhow!("no space")).context("write `a`: no space").context("export");
    assert_eq!(one_line(&error.unwrap_err()), "export: write `a`: no space");
}
