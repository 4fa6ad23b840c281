//! From a delivery to what is committed: the items with their exact bytes, and the rest.
//!
//! Nothing is interpreted here and nothing can fail. A delivery of one item is kept whole; of several, each item has
//! its own slices and the `delivery` submission has what is left between them.

use std::ops::Range;

use piperoll_format::{
    Facts, GROUP_EVENTS_MAX, Kind, Payload, Placement, Provenance, Seq, Skeleton, SkeletonItem, Submission,
    SubmissionGroup,
};
use piperoll_sources::{Delivery, Item, Sender};

/// Marks a delivery with more items than one commit holds, which is kept whole and unread.
const TOO_MANY_ITEMS: &str = "too-many-items";

/// The media type of a delivery that names none.
const MEDIA_TYPE: &str = "application/json";

/// Cuts a delivery into what is committed together.
pub(crate) fn capture(delivery: &Delivery<'_>) -> SubmissionGroup {
    let sender: Sender = delivery.source.parse().unwrap_or(Sender::Meta);
    let mut items = sender.split(delivery.body).items;
    if items.len() >= GROUP_EVENTS_MAX {
        return SubmissionGroup::single(too_many(delivery));
    }
    if items.len() > 1 {
        return cut(delivery, items);
    }
    let item = items.pop().expect("a split has at least one item");
    let placement = Placement { delivery: None, ranges: ranges(&item) };
    let payload = Payload {
        parts: vec![delivery.body.to_vec()],
        provenance: provenance(delivery),
        placement: Some(placement),
        facts: facts(&item),
        skeleton: None,
    };
    SubmissionGroup::single(Submission { kind: item.kind, payload })
}

fn too_many(delivery: &Delivery<'_>) -> Submission {
    let whole: Range<u64> = 0..delivery.body.len() as u64;
    let payload = Payload {
        parts: vec![delivery.body.to_vec()],
        provenance: provenance(delivery),
        facts: Facts { flags: vec![TOO_MANY_ITEMS.to_owned()], ..Facts::default() },
        placement: Some(Placement { delivery: None, ranges: std::iter::once(whole).collect() }),
        skeleton: None,
    };
    Submission { kind: Kind::Unrecognised, payload }
}

fn cut(delivery: &Delivery<'_>, items: Vec<Item>) -> SubmissionGroup {
    let skeleton = Skeleton {
        body_length: delivery.body.len() as u64,
        items: items.iter().map(|item| SkeletonItem { seq: Seq(0), ranges: ranges(item) }).collect(),
    };
    let number = items[0].number.clone();
    let number = number.filter(|_| items.iter().all(|item| item.number == items[0].number));
    let payload = Payload {
        parts: vec![rest(delivery.body, &items)],
        provenance: provenance(delivery),
        facts: Facts { number, ..Facts::default() },
        placement: None,
        skeleton: Some(skeleton),
    };
    // The signature is over the whole body, so it stands with the rest and not with every slice.
    let shared = Provenance { signature: None, ..payload.provenance.clone() };
    let items = items.into_iter().map(|item| slice(delivery.body, item, shared.clone())).collect();
    SubmissionGroup { delivery: Some(Submission { kind: Kind::Delivery, payload }), items }
}

fn slice(body: &[u8], item: Item, provenance: Provenance) -> Submission {
    let parts = item.ranges.iter().map(|range| body[range.clone()].to_vec()).collect();
    // The writer puts the delivery's own position here when it has one.
    let placement = Placement { delivery: Some(Seq(0)), ranges: ranges(&item) };
    let payload =
        Payload { parts, provenance, placement: Some(placement), facts: facts(&item), skeleton: None };
    Submission { kind: item.kind, payload }
}

/// Returns the bytes of the body that belong to no item, in their order.
fn rest(body: &[u8], items: &[Item]) -> Vec<u8> {
    let mut taken: Vec<&Range<usize>> = items.iter().flat_map(|item| &item.ranges).collect();
    taken.sort_by_key(|range| (range.start, range.end));
    let mut rest = Vec::new();
    let mut at = 0;
    for range in taken {
        rest.extend_from_slice(&body[at..range.start]);
        at = range.end;
    }
    rest.extend_from_slice(&body[at..]);
    rest
}

fn provenance(delivery: &Delivery<'_>) -> Provenance {
    Provenance {
        source: delivery.source.to_owned(),
        received_at: Some(delivery.received_at),
        media_type: delivery.content_type.unwrap_or(MEDIA_TYPE).to_owned(),
        signature: delivery.signature.map(str::to_owned),
        signature_key: delivery.verified_by.map(str::to_owned),
    }
}

fn facts(item: &Item) -> Facts {
    Facts {
        subject: item.subject.clone(),
        source_id: item.source_id.clone(),
        number: item.number.clone(),
        occurred_at: item.occurred_at,
        flags: item.flags.iter().map(|flag| flag.as_str().to_owned()).collect(),
        class_reason: None,
        conflicts_with: None,
    }
}

fn ranges(item: &Item) -> Vec<Range<u64>> {
    item.ranges.iter().map(|range| range.start as u64..range.end as u64).collect()
}
