//! Which attachments are named, and what became of them.

use piperoll_format::Kind;
use serde_json::json;

use super::{DAY, Feed};
use crate::{Outcome, observation};

#[test]
fn attachments_are_listed_until_it_is_known_what_became_of_them() {
    let mut feed = Feed::new();
    let image = |id: &str, media: &str| {
        json!({"messages": [{"from": "15550100", "id": id, "timestamp": DAY.to_string(), "type": "image",
            "image": {"id": media, "mime_type": "image/jpeg"}}]})
    };
    feed.text("15550100", "wamid.text", DAY, "no attachment");
    let first = feed.webhook("messages", image("wamid.1", "901"));
    let second = feed.webhook("messages", image("wamid.2", "902"));
    let named = |from: u64| {
        let named = feed.projections.named_attachments(from, 10).unwrap();
        named.iter().map(|named| (named.seq, named.value.index)).collect::<Vec<_>>()
    };
    assert_eq!(named(0), [(first, 0), (second, 0)]);
    assert_eq!(named(first + 1), [(second, 0)]);
    assert_eq!(feed.projections.attachment_outcome(first, 0).unwrap(), None);
    let about = |message: u64| {
        json!({"message_seq": message, "attachment": 0, "mime_type": "image/jpeg",
        "filename": "a picture.of me.JPG"})
    };
    let given_up = feed.own(Kind::MediaUnavailable, DAY, None, &about(first));
    let outcome = |feed: &Feed, message| feed.projections.attachment_outcome(message, 0).unwrap();
    assert_eq!(outcome(&feed, first), Some(Outcome::Unavailable(given_up)));
    let captured = feed.own(Kind::MediaCaptured, DAY, None, &about(first));
    assert_eq!(outcome(&feed, first), Some(Outcome::Captured(captured)), "it counts more");
    assert_eq!(outcome(&feed, second), None);
    assert_eq!(feed.projections.attachment_outcome(first, 1).unwrap(), None);
    let listed = feed.projections.captured_attachments(0, 10).unwrap();
    assert_eq!((listed.len(), listed[0].seq), (1, captured));
    assert_eq!(listed[0].value.extension.as_deref(), Some("JPG"), "nothing else of the name is kept");
    assert!(!feed.projections.has_attachment_text(captured).unwrap());
    let text = json!({"media_seq": captured, "message_seq": first, "attachment": 0, "text": "words"});
    let _text = feed.own(Kind::MediaText, DAY, None, &text);
    assert!(feed.projections.has_attachment_text(captured).unwrap());
}

#[test]
fn placeholder_is_named_and_a_document_of_another_form_says_nothing() {
    let mut feed = Feed::new();
    let message = json!({"from": "15550100", "id": "wamid.old", "timestamp": DAY.to_string(),
        "type": "media_placeholder"});
    let first = feed.webhook(
        "history",
        json!({"history": [{"metadata": {"phase": 1, "chunk_order": 1, "progress": 50},
        "threads": [{"id": "15550100", "messages": [message]}]}]}),
    );
    let _nonsense = feed.own(Kind::MediaCaptured, DAY, None, &json!({"message_seq": "seven"}));
    let named = feed.projections.named_attachments(0, 10).unwrap();
    assert_eq!(named.len(), 1);
    assert!(named[0].seq >= first);
    assert_eq!(feed.projections.attachment_outcome(named[0].seq, 0).unwrap(), None);
}

#[test]
fn last_answer_of_the_platform_is_known() {
    let mut feed = Feed::new();
    let answer = json!({"id": "9001", "status": "CONNECTED"});
    let document = json!({"object": "phone_number", "id": "9001", "status": 200, "answer": answer});
    let last = |feed: &Feed| feed.projections.last_observed("phone_number:9001").unwrap();
    assert_eq!(last(&feed), None);
    let _event = feed.own(Kind::AccountObserved, DAY, None, &document);
    let digest = observation::observed_digest(200, &answer, [None, None]);
    assert_eq!(last(&feed).map(|(digest, _)| digest), Some(digest));
}
