//! From answers of the service to errors of the port: by what the caller can do.

use object_store::Error;

use super::api::{Answer, NoAnswer};
use super::lock::Attempts;
use super::versions::PageError;
use crate::error::{Source, StoreError};

const NOT_FOUND: u16 = 404;
const RANGE: u16 = 416;
const TIMEOUT: u16 = 408;
const TOO_MANY: u16 = 429;
const FULL: u16 = 507;

/// Refusals with a 4xx status that a repetition may cure: the request was damaged or slow on its way.
const CURABLE: [&str; 5] = [
    "BadDigest",
    "XAmzContentSHA256Mismatch",
    "XAmzContentChecksumMismatch",
    "RequestTimeout<",
    "IncompleteBody",
];

/// Maps the failure of a PUT of an object.
pub(super) fn from_put(key: &str, attempts: &Attempts, error: Error) -> StoreError {
    let seen = attempts.seen();
    let exists = matches!(error, Error::AlreadyExists { .. } | Error::Precondition { .. });
    let (key, source) = (key.to_owned(), Some(Source::from(error)));
    if exists {
        return StoreError::AlreadyExists { key, source };
    }
    if seen.is_open {
        return StoreError::Unavailable { key, applied_unknown: true, source };
    }
    refused(key, seen.status, source)
}

/// Maps the failure of a GET of an object; a range outside it is the caller's to tell.
pub(super) fn from_get(key: &str, attempts: &Attempts, error: Error) -> StoreError {
    let is_missing = matches!(error, Error::NotFound { .. });
    let (key, source) = (key.to_owned(), Some(Source::from(error)));
    if is_missing {
        return StoreError::NotFound { key, source };
    }
    match refused(key, attempts.seen().status, source) {
        StoreError::Full { key, source } => StoreError::Unavailable { key, applied_unknown: false, source },
        error => error,
    }
}

/// Tells whether a GET failed because its range begins behind the object.
pub(super) fn is_range_refused(attempts: &Attempts) -> bool {
    attempts.seen().status == Some(RANGE)
}

fn refused(key: String, status: Option<u16>, source: Option<Source>) -> StoreError {
    let is_curable = || {
        let said = source.as_ref().map(ToString::to_string).unwrap_or_default();
        CURABLE.iter().any(|code| said.contains(code))
    };
    match status {
        Some(FULL) => StoreError::Full { key, source },
        Some(TIMEOUT | TOO_MANY) => StoreError::Unavailable { key, applied_unknown: false, source },
        Some(300..500) if !is_curable() => StoreError::Denied { key, source },
        _ => StoreError::Unavailable { key, applied_unknown: false, source },
    }
}

/// Maps an answer of one of our own calls that is no success; `hint` says what to do about missing rights.
pub(super) fn from_answer(key: &str, answer: &Answer, hint: Option<&str>) -> StoreError {
    let (key, status) = (key.to_owned(), answer.status.as_u16());
    let mut text = answer.describe();
    if status == NOT_FOUND {
        return StoreError::NotFound { key, source: Some(text.into()) };
    }
    if let Some(hint) = hint.filter(|_| status == 403) {
        text.push_str("; ");
        text.push_str(hint);
    }
    if answer.is_open {
        return StoreError::Unavailable { key, applied_unknown: true, source: Some(text.into()) };
    }
    refused(key, Some(status), Some(text.into()))
}

/// Maps the lack of an answer to one of our own calls.
pub(super) fn from_no_answer(key: &str, error: NoAnswer, is_write: bool) -> StoreError {
    let applied_unknown = is_write && error.is_open;
    StoreError::Unavailable { key: key.to_owned(), applied_unknown, source: Some(error.source) }
}

/// Maps the failure of a listing. A bucket that is not there is no empty listing.
pub(super) fn from_page(key: &str, error: PageError) -> StoreError {
    let unavailable = |source| StoreError::Unavailable {
        key: key.to_owned(),
        applied_unknown: false,
        source: Some(source),
    };
    match error {
        PageError::NoAnswer(error) => unavailable(error.source),
        PageError::Invalid(source) => unavailable(source),
        PageError::Refused(answer) if answer.status.as_u16() == NOT_FOUND => {
            StoreError::Denied { key: key.to_owned(), source: Some(answer.describe().into()) }
        }
        PageError::Refused(answer) if answer.status.is_server_error() => {
            unavailable(answer.describe().into())
        }
        PageError::Refused(answer) => from_answer(key, &answer, None),
    }
}
