//! Reading of one segment with the objects it names, and the checks that need no other segment.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use bytes::Bytes;
use futures::{StreamExt as _, stream};
use piperoll_format::{
    DisposalOrder, KeyId, LedgerId, ObjectEntry, ObjectName, ObjectType, SegmentNo, Seq, SubjectKey,
    Timestamp,
};
use piperoll_store::{ObjectKey, Shadow, StoreError, WormStore};

use super::objects::{ObjectChecked, Opening, Subject, check_object, read_order};
use super::segment::{SegmentChecked, SegmentContext, SegmentFacts, check_segment};
use crate::keys::{KeyRequest, KeySource};
use crate::pool::compute_over;
use crate::reader::key;
use crate::report::{Finding, FindingCode};

/// Objects of one segment that are read at the same time.
const OBJECTS_AHEAD: usize = 4;

/// What all segments need.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) store: Arc<dyn WormStore>,
    pub(super) ledger: LedgerId,
    pub(super) context: SegmentContext,
    pub(super) keys: Option<Arc<dyn KeySource>>,
    pub(super) is_quick: bool,
    pub(super) last: SegmentNo,
    /// What somebody put over objects.
    pub(super) shadowed: BTreeMap<ObjectKey, Shadow>,
}

/// A segment and its objects, read and checked by themselves.
#[derive(Debug)]
pub(super) struct Examined {
    pub(super) number: SegmentNo,
    pub(super) bytes: Bytes,
    pub(super) checked: Option<SegmentChecked>,
    pub(super) objects: Vec<ExaminedObject>,
    pub(super) orders: Vec<OrderFound>,
    pub(super) opened: u64,
    pub(super) bytes_read: u64,
    pub(super) unreadable: Vec<String>,
}

/// A pack or key object of a segment.
#[derive(Debug)]
pub(super) struct ExaminedObject {
    pub(super) entry: ObjectEntry,
    pub(super) state: ObjectState,
    /// Events whose payloads are in it.
    pub(super) events: u64,
    /// Its keys, if it is a sound key object.
    pub(super) keys: Option<Vec<KeyId>>,
}

/// Whether an object could be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ObjectState {
    Present,
    Absent,
    Unreadable,
}

/// A disposal order, as far as it could be read.
#[derive(Debug)]
pub(super) struct OrderFound {
    pub(super) seq: Seq,
    pub(super) at: Timestamp,
    pub(super) is_completion: bool,
    /// `None` when its own payload is gone.
    pub(super) order: Option<DisposalOrder>,
}

impl Shared {
    fn opening(&self) -> Opening {
        match (self.is_quick, &self.keys) {
            (true, _) => Opening::None,
            (false, None) => Opening::Clear,
            (false, Some(_)) => Opening::All,
        }
    }

    /// Reads an object, whatever lies over it; `None` if it is not there.
    pub(super) async fn get(&self, name: &ObjectName) -> Result<Option<Bytes>, StoreError> {
        let key = key(self.ledger, name);
        let read = if self.shadowed.contains_key(&key) {
            self.store.get_original(&key).await
        } else {
            self.store.get(&key).await
        };
        match read {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// Reads and checks segment `number`.
pub(super) async fn examine(shared: Arc<Shared>, number: SegmentNo) -> Examined {
    let mut examined = Examined {
        number,
        bytes: Bytes::new(),
        checked: None,
        objects: Vec::new(),
        orders: Vec::new(),
        opened: 0,
        bytes_read: 0,
        unreadable: Vec::new(),
    };
    let name = ObjectName::Segment(number);
    match shared.get(&name).await {
        Ok(Some(bytes)) => examined.bytes = bytes,
        Ok(None) => {
            examined.unreadable.push(format!("`{name}` was listed but is not there"));
            return examined;
        }
        Err(error) => {
            examined.unreadable.push(format!("`{name}`: {}", with_sources(&error)));
            return examined;
        }
    }
    examined.bytes_read = examined.bytes.len() as u64;
    let (context, bytes) = (shared.clone(), examined.bytes.clone());
    // The newest segment has no successor that names its digest, so its signatures are always checked.
    let wants_signatures = !shared.is_quick || number == shared.last;
    let mut checked =
        compute_over(bytes.len(), move || check_segment(&context.context, number, &bytes, wants_signatures))
            .await;
    if let Some(facts) = checked.facts.take() {
        let facts = Arc::new(facts);
        let findings = examine_objects(&shared, &mut examined, &facts).await;
        checked.findings.extend(findings);
        checked.facts = Arc::into_inner(facts);
    }
    examined.checked = Some(checked);
    examined
}

async fn examine_objects(
    shared: &Arc<Shared>,
    examined: &mut Examined,
    facts: &Arc<SegmentFacts>,
) -> Vec<Finding> {
    let number = examined.number;
    let reads: Vec<_> = facts.objects.iter().map(|entry| read_object(shared, number, entry)).collect();
    let read: Vec<_> = stream::iter(reads).buffered(OBJECTS_AHEAD).collect().await;
    let mut findings = Vec::new();
    for (position, read) in read.into_iter().enumerate() {
        let entry = &facts.objects[position];
        let state = match &read {
            Ok(Some(_)) => ObjectState::Present,
            Ok(None) => ObjectState::Absent,
            Err(error) => {
                examined.unreadable.push(format!("`{}`: {}", entry.name(number), with_sources(&error)));
                ObjectState::Unreadable
            }
        };
        let events = facts.payloads[position].len() as u64;
        let bytes = read.ok().flatten();
        let mut keys = None;
        if let Some(bytes) = &bytes {
            examined.bytes_read += bytes.len() as u64;
            let checked = examine_object(shared, number, facts, position, bytes.clone(), examined).await;
            examined.opened += checked.opened;
            findings.extend(checked.findings);
            keys = checked.keys;
        }
        examined.objects.push(ExaminedObject { entry: entry.clone(), state, events, keys });
        findings.extend(read_orders(shared.ledger, facts, position, bytes.as_ref(), examined));
    }
    findings
}

async fn read_object(
    shared: &Arc<Shared>,
    number: SegmentNo,
    entry: &ObjectEntry,
) -> Result<Option<Bytes>, StoreError> {
    shared.get(&entry.name(number)).await
}

async fn examine_object(
    shared: &Arc<Shared>,
    number: SegmentNo,
    facts: &Arc<SegmentFacts>,
    position: usize,
    bytes: Bytes,
    examined: &mut Examined,
) -> ObjectChecked {
    let entry = &facts.objects[position];
    let mut opening = shared.opening();
    let mut keys = HashMap::new();
    if let (Opening::All, ObjectType::Pack, Some(source)) = (opening, entry.object, &shared.keys) {
        match find_keys(source.as_ref(), number, entry, facts, position).await {
            Ok(found) => keys = found,
            Err(error) => {
                let name = entry.name(number);
                examined.unreadable.push(format!("keys for `{name}`: {}", with_sources(&error)));
                opening = Opening::Clear;
            }
        }
    }
    let (facts, ledger) = (facts.clone(), shared.ledger);
    compute_over(bytes.len(), move || {
        let payloads = &facts.payloads[position];
        let (entry, has_all_payloads) = (&facts.objects[position], facts.has_all_payloads());
        let subject = Subject { ledger, segment: number, entry, bytes: &bytes, payloads, has_all_payloads };
        check_object(&subject, opening, &keys)
    })
    .await
}

async fn find_keys(
    source: &dyn KeySource,
    segment: SegmentNo,
    entry: &ObjectEntry,
    facts: &SegmentFacts,
    position: usize,
) -> Result<HashMap<KeyId, SubjectKey>, crate::ReadError> {
    let mut ids: Vec<KeyId> =
        facts.payloads[position].iter().filter_map(|(_, payload)| payload.key).collect();
    ids.sort_unstable();
    ids.dedup();
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let requests: Vec<KeyRequest> = ids.iter().map(|id| KeyRequest { id: *id, segment }).collect();
    let found = source.keys(&entry.bucket, &requests).await?;
    Ok(ids.into_iter().zip(found).filter_map(|(id, key)| Some((id, key?))).collect())
}

/// Reads the disposal orders whose payloads are in this pack.
fn read_orders(
    ledger: LedgerId,
    facts: &SegmentFacts,
    position: usize,
    pack: Option<&Bytes>,
    examined: &mut Examined,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    for place in facts.orders.iter().filter(|place| place.position == position) {
        let (seq, at, is_completion) = (place.seq, place.at, place.is_completion);
        let order = pack.map(|pack| read_order(ledger, seq, pack, &place.payload));
        let order = match order {
            None => None,
            Some(Ok(order)) => Some(order),
            Some(Err(found)) => {
                let name = facts.objects[position].name(examined.number);
                let finding = Finding::new(FindingCode::DisposalInvalid, "a disposal order in clear", found);
                findings.push(finding.at(name).event(seq));
                continue;
            }
        };
        examined.orders.push(OrderFound { seq, at, is_completion, order });
    }
    findings
}

pub(super) fn with_sources(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}
