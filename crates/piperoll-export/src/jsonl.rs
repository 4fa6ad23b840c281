//! JSON lines with proofs (`schemas/export.schema.json`).
//!
//! The first line says what was exported and under which checkpoint and key; then one line for each event with what
//! people read and everything that proves it; the last line counts them and digests all bytes before it. A line
//! stands alone: its core, signature and proof verify against the header's checkpoint with any RFC 6962 tool.

use std::fmt;

use base64::Engine as _;
use base64::display::Base64Display;
use base64::engine::general_purpose::STANDARD;
use piperoll_format::{Kind, Payload};
use piperoll_sources::{Captured, Message, project};
use piperoll_verify::prove::Evidence;
use piperoll_verify::{Opened, ReadError};
use serde::{Serialize, Serializer};
use sha2::{Digest, Sha256};

/// What the first line says.
#[derive(Clone, Debug, Serialize)]
pub struct Header {
    /// The ledger, hexadecimal.
    pub ledger: String,
    /// The log's origin.
    pub origin: String,
    /// The key that signs it, as C2SP vkey. Compare it with one that reached you by another way.
    pub vkey: String,
    /// The signed checkpoint that every proof leads to.
    pub checkpoint: String,
    /// The canonical form of the query, or nothing for everything.
    pub query: Option<String>,
    /// The export is complete to this event: later ones were not considered.
    pub complete_to: u64,
    /// When it was made, RFC 3339.
    pub exported_at: String,
    /// Who asked for it (token name).
    pub exported_by: String,
    /// What is known to be missing in the numbers and times of the query, the newest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub gaps: Vec<Gap>,
    /// How many gaps are known beyond those listed.
    #[serde(skip_serializing_if = "is_zero")]
    pub more_gaps: u64,
    /// Whether the gaps are those of everything that was committed then; otherwise more may be known.
    pub gaps_complete: bool,
    /// Of which moment the gaps are, RFC 3339; absent when nobody could say which there are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gaps_as_of: Option<String>,
}

/// A time in which something of a number is missing or may be missing.
#[derive(Clone, Debug, Serialize)]
pub struct Gap {
    /// The business number's id.
    pub number: String,
    /// From this moment, RFC 3339.
    pub from: String,
    /// Until this moment, RFC 3339.
    pub to: String,
    /// Why, in one word of a closed list.
    pub cause: String,
    /// Whether it is certain, and not only possible.
    pub certain: bool,
    /// How many; nothing where nobody can know.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
}

/// What became of one attachment of an event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AttachmentLine {
    /// Which of the event's attachments it is, from 0.
    pub attachment: u32,
    /// How it stands.
    #[serde(flatten)]
    pub state: AttachmentState,
}

/// How an attachment stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum AttachmentState {
    /// Its bytes are in the ledger.
    Captured {
        /// The `media.captured` event.
        seq: u64,
        /// Its length in bytes.
        size: u64,
        /// SHA-256 of the bytes, hexadecimal.
        sha256: String,
        /// The `media.part` events with its bytes, in their order.
        parts: Vec<u64>,
        /// Whether the bytes are what the message declares; nothing when it declares no digest.
        #[serde(skip_serializing_if = "Option::is_none")]
        matches_declared: Option<bool>,
    },
    /// It could not be had.
    Unavailable {
        /// The `media.unavailable` event.
        seq: u64,
        /// Why, in one word of a closed list.
        reason: String,
    },
    /// It was neither captured nor given up when the export was made.
    NotFetched,
    /// The event that says what became of it cannot be read any more.
    Unknown {
        /// That event.
        seq: u64,
    },
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
const fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// What the last line says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Footer {
    /// How many event lines there are.
    pub events: u64,
    /// How many of them have no payload any more, or none that can be read.
    pub without_payload: u64,
    /// SHA-256 over all bytes before this line, hexadecimal.
    pub sha256: String,
}

/// Counts and digests a production while it is written.
#[derive(Debug, Default)]
pub struct Production {
    events: u64,
    without_payload: u64,
    digest: Sha256,
}

#[derive(Serialize)]
struct TypedHeader<'a> {
    r#type: &'static str,
    format: &'static str,
    #[serde(flatten)]
    header: &'a Header,
}

#[derive(Serialize)]
struct TypedFooter<'a> {
    r#type: &'static str,
    #[serde(flatten)]
    footer: &'a Footer,
}

#[derive(Serialize)]
struct EventLine<'a> {
    r#type: &'static str,
    seq: u64,
    kind: &'static str,
    recorded_at: Shown<piperoll_format::Timestamp>,
    class: &'a str,
    #[serde(flatten)]
    captured: Option<CapturedLine<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unavailable: Option<&'static str>,
    core: Base64<'a>,
    signature: Base64<'a>,
    leaf: Hex<'a>,
    proof: Vec<Base64<'a>>,
}

#[derive(Serialize)]
struct CapturedLine<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    class_reason: Option<&'a str>,
    source: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    received_at: Option<Shown<piperoll_format::Timestamp>>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    flags: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    conflicts_with: Option<u64>,
    message: Message,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    attachments: Vec<AttachmentLine>,
    salt: Base64<'a>,
    payload: Base64<'a>,
}

impl Production {
    /// Returns the first line.
    #[must_use]
    pub fn header(&mut self, header: &Header) -> Vec<u8> {
        let line = line(&TypedHeader { r#type: "header", format: "piperoll-jsonl-1", header });
        self.digest.update(&line);
        line
    }

    /// Takes lines that [`event_line`] made, in order.
    pub fn events(&mut self, lines: &[u8], events: u64, without_payload: u64) {
        self.events += events;
        self.without_payload += without_payload;
        self.digest.update(lines);
    }

    /// Returns the last line and what it says.
    #[must_use]
    pub fn footer(self) -> (Vec<u8>, Footer) {
        let sha256 = Shown(Hex(&self.digest.finalize())).to_string();
        let footer = Footer { events: self.events, without_payload: self.without_payload, sha256 };
        (line(&TypedFooter { r#type: "footer", footer: &footer }), footer)
    }
}

/// Appends the line of an event to `out`, so that many can be made at once on several processors. `attachments` tells
/// what became of those that the event names.
pub fn event_line(
    evidence: &Evidence,
    attachments: &mut dyn FnMut(u64, &Message) -> Vec<AttachmentLine>,
    out: &mut Vec<u8>,
) {
    let core = &evidence.event.core;
    let (captured, unavailable) = match &evidence.payload {
        Ok(opened) => {
            let message = message_of(core.kind, &opened.payload);
            let attachments = attachments(core.seq.0, &message);
            (Some(captured(opened, message, attachments)), None)
        }
        Err(error) => (None, Some(why(error))),
    };
    let leaf = evidence.event.leaf_hash();
    let event = EventLine {
        r#type: "event",
        seq: core.seq.0,
        kind: core.kind.as_str(),
        recorded_at: Shown(core.recorded_at),
        class: core.class.as_str(),
        captured,
        unavailable,
        core: Base64(&evidence.event.core_bytes),
        signature: Base64(&evidence.event.signature),
        leaf: Hex(leaf.as_bytes()),
        proof: evidence.proof.iter().map(|hash| Base64(hash.as_bytes())).collect(),
    };
    serde_json::to_writer(&mut *out, &event).expect("a Vec takes every write and all keys are text");
    out.push(b'\n');
}

/// Reads a payload as people do.
#[must_use]
pub fn message_of(kind: Kind, payload: &Payload) -> Message {
    let parts: Vec<&[u8]> = payload.parts.iter().map(Vec::as_slice).collect();
    let whole = payload.placement.as_ref().is_none_or(|placement| placement.delivery.is_none());
    let captured = Captured {
        whole,
        parts: &parts,
        number: payload.facts.number.as_deref(),
        subject: payload.facts.subject.as_deref(),
        source: &payload.provenance.source,
    };
    project(kind, &captured)
}

fn captured(opened: &Opened, message: Message, attachments: Vec<AttachmentLine>) -> CapturedLine<'_> {
    let payload = &opened.payload;
    CapturedLine {
        class_reason: payload.facts.class_reason.as_deref(),
        source: &payload.provenance.source,
        received_at: payload.provenance.received_at.map(Shown),
        flags: &payload.facts.flags,
        conflicts_with: payload.facts.conflicts_with.map(|seq| seq.0),
        message,
        attachments,
        salt: Base64(&opened.salt),
        payload: Base64(&opened.bytes),
    }
}

/// Says why a payload is not there, in the closed list of the schema.
const fn why(error: &ReadError) -> &'static str {
    match error {
        ReadError::Disposed { .. } => "disposed",
        ReadError::Missing { .. } => "missing",
        ReadError::NoKey { .. } => "no-key",
        ReadError::Damaged { .. } => "damaged",
        _ => "unreadable",
    }
}

fn line(value: &impl Serialize) -> Vec<u8> {
    let mut line = serde_json::to_vec(value).expect("all keys are text");
    line.push(b'\n');
    line
}

/// Bytes as standard base64 with padding.
struct Base64<'a>(&'a [u8]);

impl Serialize for Base64<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // Short values are the many: hashes and signatures go through the stack.
        let mut buffer = [0; 96];
        if let Ok(length) = STANDARD.encode_slice(self.0, &mut buffer) {
            return serializer
                .serialize_str(std::str::from_utf8(&buffer[..length]).expect("base64 is ASCII"));
        }
        serializer.collect_str(&Base64Display::new(self.0, &STANDARD))
    }
}

/// Bytes as lower-case hexadecimal digits.
struct Hex<'a>(&'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl Serialize for Hex<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A value written in its display form.
struct Shown<T>(T);

impl<T: fmt::Display> fmt::Display for Shown<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<T: fmt::Display> Serialize for Shown<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}
