//! The checks of packs and key objects against the segment that names them.

use std::collections::HashMap;

use bytes::Bytes;
use piperoll_format::{
    Codec, DisposalOrder, KeyId, KeyObject, LedgerId, ObjectDigest, ObjectEntry, ObjectType, PACK_MAGIC,
    Payload, PayloadRef, SegmentNo, Seq, SubjectKey, check_pack_layout, commitment, open_payload,
};

use crate::pool::with_codec;
use crate::report::{Finding, FindingCode};

/// How far payloads are opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Opening {
    /// Not at all.
    None,
    /// Those in clear.
    Clear,
    /// Those in clear and those with a key.
    All,
}

/// A pack or key object with what its segment says about it.
#[derive(Debug)]
pub(super) struct Subject<'a> {
    pub(super) ledger: LedgerId,
    pub(super) segment: SegmentNo,
    pub(super) entry: &'a ObjectEntry,
    pub(super) bytes: &'a Bytes,
    /// The payloads of a pack, in order.
    pub(super) payloads: &'a [(Seq, PayloadRef)],
    /// Whether `payloads` are all that there are; not so when cores could not be decoded.
    pub(super) has_all_payloads: bool,
}

/// What the checks of an object found.
#[derive(Debug, Default)]
pub(super) struct ObjectChecked {
    pub(super) findings: Vec<Finding>,
    /// Whether the bytes are those that were committed.
    pub(super) is_intact: bool,
    /// Payloads that were opened.
    pub(super) opened: u64,
    /// The keys in a key object that is what its entry says.
    pub(super) keys: Option<Vec<KeyId>>,
}

/// Checks an object's bytes; payloads are opened as far as `opening` says, with `keys`.
pub(super) fn check_object(
    subject: &Subject<'_>,
    opening: Opening,
    keys: &HashMap<KeyId, SubjectKey>,
) -> ObjectChecked {
    let mut checked = ObjectChecked::default();
    let name = || subject.entry.name(subject.segment);
    let digest = ObjectDigest::of(subject.bytes);
    let size = subject.bytes.len() as u64;
    if (digest, size) != (subject.entry.digest, subject.entry.size) {
        let expected = format!("{} bytes with digest {}", subject.entry.size, subject.entry.digest);
        let found = format!("{size} bytes with digest {digest}");
        checked.findings.push(Finding::new(FindingCode::ObjectChanged, expected, found).at(name()));
        return checked;
    }
    checked.is_intact = true;
    match subject.entry.object {
        ObjectType::Keys => match check_keys(subject) {
            Ok(keys) => checked.keys = Some(keys),
            Err(finding) => checked.findings.push(finding.at(name())),
        },
        ObjectType::Pack => {
            check_pack(subject, &mut checked);
            if opening != Opening::None {
                with_codec(|codec| check_payloads(subject, opening, keys, codec, &mut checked));
            }
        }
    }
    checked
}

fn check_keys(subject: &Subject<'_>) -> Result<Vec<KeyId>, Finding> {
    let object = match KeyObject::decode(subject.bytes) {
        Ok(object) => object,
        Err(error) => {
            return Err(Finding::new(FindingCode::ObjectInvalid, "a key object", error.to_string()));
        }
    };
    let (ledger, bucket) = (&object.ledger, &object.bucket);
    if *ledger == subject.ledger && *bucket == subject.entry.bucket {
        return Ok(object.keys.iter().map(|(id, _)| *id).collect());
    }
    let expected = format!("keys of `{}` in ledger {}", subject.entry.bucket, subject.ledger);
    Err(Finding::new(FindingCode::ObjectInvalid, expected, format!("keys of `{bucket}` in ledger {ledger}")))
}

fn check_pack(subject: &Subject<'_>, checked: &mut ObjectChecked) {
    let name = || subject.entry.name(subject.segment);
    if !subject.bytes.starts_with(PACK_MAGIC) {
        let found = "another first line";
        checked.findings.push(Finding::new(FindingCode::ObjectInvalid, "a pack", found).at(name()));
    }
    if !subject.has_all_payloads {
        return;
    }
    let ranges = subject.payloads.iter().map(|(_, payload)| {
        // An end that overflows fits no pack, and the check refuses it.
        payload.offset..payload.offset.checked_add(payload.stored).unwrap_or(0)
    });
    if let Err(error) = check_pack_layout(subject.entry.size, ranges) {
        let expected = "payloads that fill the pack in the order of their events";
        checked.findings.push(Finding::new(FindingCode::PackLayout, expected, error.to_string()).at(name()));
    }
}

fn check_payloads(
    subject: &Subject<'_>,
    opening: Opening,
    keys: &HashMap<KeyId, SubjectKey>,
    codec: &mut Codec,
    checked: &mut ObjectChecked,
) {
    for (seq, reference) in subject.payloads {
        let key = match reference.key {
            None => None,
            Some(_) if opening == Opening::Clear => continue,
            Some(id) => match keys.get(&id) {
                Some(key) => Some(key),
                None => {
                    let finding = Finding::new(FindingCode::KeyMissing, format!("key {id}"), "no such key");
                    checked.findings.push(finding.at(subject.entry.name(subject.segment)).event(*seq));
                    continue;
                }
            },
        };
        checked.opened += 1;
        if let Some(finding) = check_payload(subject, *seq, reference, key, codec) {
            checked.findings.push(finding.at(subject.entry.name(subject.segment)).event(*seq));
        }
    }
}

fn check_payload(
    subject: &Subject<'_>,
    seq: Seq,
    reference: &PayloadRef,
    key: Option<&SubjectKey>,
    codec: &mut Codec,
) -> Option<Finding> {
    let mismatch = |found: String| {
        let expected = format!("a payload with commitment {}", reference.commitment);
        Some(Finding::new(FindingCode::CommitmentMismatch, expected, found))
    };
    let Some(stored) = slice(subject.bytes, reference) else {
        return mismatch("a place outside the pack".to_owned());
    };
    let place = (subject.ledger, seq);
    let (salt, bytes) = match open_payload(codec, stored, reference, key, place) {
        Ok(opened) => opened,
        Err(error) => return mismatch(error.to_string()),
    };
    let found = commitment(&salt, &bytes);
    if found != reference.commitment {
        return mismatch(found.to_string());
    }
    let error = Payload::decode(&bytes).err()?;
    Some(Finding::new(FindingCode::PayloadInvalid, "a payload", error.to_string()))
}

fn slice<'a>(pack: &'a [u8], reference: &PayloadRef) -> Option<&'a [u8]> {
    let start = usize::try_from(reference.offset).ok()?;
    let end = start.checked_add(usize::try_from(reference.stored).ok()?)?;
    pack.get(start..end)
}

/// Reads a disposal order out of its pack.
///
/// # Errors
/// What is wrong with it, in words.
pub(super) fn read_order(
    ledger: LedgerId,
    seq: Seq,
    pack: &[u8],
    reference: &PayloadRef,
) -> Result<DisposalOrder, String> {
    if reference.key.is_some() {
        return Err("an encrypted payload".to_owned());
    }
    let stored = slice(pack, reference).ok_or("a place outside the pack")?;
    let opened = with_codec(|codec| open_payload(codec, stored, reference, None, (ledger, seq)));
    let (salt, bytes) = opened.map_err(|error| error.to_string())?;
    if commitment(&salt, &bytes) != reference.commitment {
        return Err("a payload that does not meet its commitment".to_owned());
    }
    let payload = Payload::decode(&bytes).map_err(|error| error.to_string())?;
    let order = payload.parts.first().ok_or("a payload without parts")?;
    DisposalOrder::decode(order).map_err(|error| error.to_string())
}
