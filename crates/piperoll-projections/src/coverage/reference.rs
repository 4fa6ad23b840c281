//! Items that point at messages which are not here, and messages whose content was withheld.

use std::collections::{BTreeMap, HashMap};

use piperoll_sources::Relation;
use serde::{Deserialize, Serialize};

use super::Cause;
use super::query::{EVIDENCE_MAX, Missing};
use crate::fact::Fact;

/// How long a message may come after what points at it: webhooks are not in order. Microseconds.
pub(super) const GRACE: i64 = super::HOUR;

/// What an item says beside itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Pointer {
    /// The delivery of a message.
    Status {
        #[serde(rename = "t")]
        target: String,
        #[serde(rename = "s")]
        status: String,
    },
    /// An answer, edit, deletion or reaction.
    Reference {
        #[serde(rename = "t")]
        target: String,
        #[serde(rename = "r")]
        relation: Relation,
    },
    /// A message without its content.
    Unsupported { code: i64 },
    /// An attachment that could not be had.
    Media { message_seq: Option<u64>, reason: String },
    /// An attachment of the item itself.
    Attachment {
        #[serde(rename = "i")]
        index: u32,
    },
}

impl Pointer {
    /// Returns what it points at.
    pub(super) fn target(&self) -> Option<&str> {
        match self {
            Self::Status { target, .. } | Self::Reference { target, .. } => Some(target),
            Self::Unsupported { .. } | Self::Media { .. } | Self::Attachment { .. } => None,
        }
    }
}

/// What is known about a message that something points at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Known {
    /// Its content is here.
    pub(super) content: bool,
    /// It was reported as sent.
    pub(super) sent: bool,
}

/// Whether what an item points at may still be missing.
pub(super) fn is_open(pointer: &Pointer, known: &HashMap<String, Known>) -> bool {
    let known = pointer.target().and_then(|target| known.get(target)).copied().unwrap_or_default();
    match pointer {
        Pointer::Status { status, .. } => !known.content || is_read(status) && !known.sent,
        Pointer::Reference { .. } => !known.content,
        Pointer::Unsupported { .. } | Pointer::Media { .. } | Pointer::Attachment { .. } => true,
    }
}

/// Tells what is missing by what points at it, oldest first. `known` knows every target, and attachments that were
/// captured or given up are not among the pointers.
pub(super) fn missing(pointers: &[Fact<Pointer>], known: &HashMap<String, Known>, now: i64) -> Vec<Missing> {
    let mut found: BTreeMap<Cause, Missing> = BTreeMap::new();
    // Several statuses of one message are one message that is missing.
    let mut counted = std::collections::HashSet::new();
    for pointer in pointers.iter().filter(|pointer| now - pointer.at > GRACE) {
        let target = pointer.value.target();
        let known = target.and_then(|target| known.get(target)).copied().unwrap_or_default();
        let (cause, detail) = match &pointer.value {
            Pointer::Status { .. } if !known.content => (Cause::OrphanStatus, None),
            Pointer::Status { status, .. } if is_read(status) && !known.sent => {
                (Cause::ReadWithoutSent, None)
            }
            Pointer::Reference { .. } if !known.content => (Cause::DanglingReference, None),
            Pointer::Unsupported { code } => (Cause::Unsupported, Some(format!("error {code}"))),
            Pointer::Media { reason, .. } => (Cause::MediaUnavailable, Some(reason.clone())),
            Pointer::Attachment { .. } => (Cause::MediaNotFetched, None),
            Pointer::Status { .. } | Pointer::Reference { .. } => continue,
        };
        if target.is_some_and(|target| !counted.insert((cause, target))) {
            continue;
        }
        let missing = found.entry(cause).or_insert_with(|| Missing {
            cause,
            from: pointer.at,
            to: pointer.at,
            count: 0,
            evidence: Vec::new(),
            detail,
        });
        missing.count += 1;
        missing.to = missing.to.max(pointer.at);
        if missing.evidence.len() < EVIDENCE_MAX {
            missing.evidence.push(pointer.seq);
        }
    }
    found.into_values().collect()
}

/// Whether a status implies that the message was sent before.
fn is_read(status: &str) -> bool {
    matches!(status, "read" | "played")
}
