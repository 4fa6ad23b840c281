//! Small submissions, as the server makes them from webhooks.

use piperoll_format::{
    Facts, Kind, Payload, Placement, Provenance, Seq, Skeleton, SkeletonItem, Submission, SubmissionGroup,
    Timestamp,
};

use crate::archive::NOW;

/// A message of one customer, as the whole of a delivery.
#[must_use]
pub fn message(id: &str, text: &str) -> Submission {
    numbered_message("100", id, text)
}

/// A message to the business number `number`.
#[must_use]
pub fn numbered_message(number: &str, id: &str, text: &str) -> Submission {
    let facts = Facts {
        subject: Some("wa:15550100".to_owned()),
        source_id: Some(id.to_owned()),
        number: Some(number.to_owned()),
        ..Facts::default()
    };
    let whole = std::iter::once(0..text.len() as u64).collect();
    let payload = Payload {
        parts: vec![text.as_bytes().to_vec()],
        provenance: provenance(),
        facts,
        placement: Some(Placement { delivery: None, ranges: whole }),
        skeleton: None,
    };
    Submission { kind: Kind::WhatsappMessage, payload }
}

/// A delivery of several messages, cut: each item holds its slice, the delivery what is left.
#[must_use]
pub fn delivery(messages: &[(&str, &str)]) -> SubmissionGroup {
    let mut rest = b"[".to_vec();
    let mut at = 1;
    let (mut items, mut places) = (Vec::new(), Vec::new());
    for (id, text) in messages {
        let range = at..at + text.len() as u64;
        // A comma or the closing bracket follows every message.
        at = range.end + 1;
        rest.push(b',');
        let mut item = message(id, text);
        item.payload.placement =
            Some(Placement { delivery: Some(Seq(0)), ranges: std::iter::once(range.clone()).collect() });
        items.push(item);
        places.push(SkeletonItem { seq: Seq(0), ranges: std::iter::once(range).collect() });
    }
    *rest.last_mut().unwrap() = b']';
    let payload = Payload {
        parts: vec![rest],
        provenance: provenance(),
        skeleton: Some(Skeleton { body_length: at, items: places }),
        ..Payload::default()
    };
    SubmissionGroup { delivery: Some(Submission { kind: Kind::Delivery, payload }), items }
}

fn provenance() -> Provenance {
    Provenance {
        source: "whatsapp".to_owned(),
        received_at: Some(Timestamp(NOW)),
        media_type: "application/json".to_owned(),
        ..Provenance::default()
    }
}
