//! Conversations: edits, withdrawals, reactions, statuses, copies and sends are folded into their messages.

use super::*;
use crate::{Cursor, Role, Thread};

fn read(feed: &Feed, before: Option<Cursor>, limit: usize) -> Thread {
    feed.projections.thread(&["9001:491".to_owned()], before, limit).unwrap()
}

fn change(id: &str, at: i64, kind: &str, content: Value) -> Value {
    let mut message = json!({"from": "491", "id": id, "timestamp": at.to_string(), "type": kind});
    message[kind] = content;
    json!({"messages": [message]})
}

fn reaction(id: &str, at: i64, emoji: Option<&str>) -> Value {
    let mut content = json!({"message_id": "wamid.1"});
    if let Some(emoji) = emoji {
        content["emoji"] = emoji.into();
    }
    change(id, at, "reaction", content)
}

#[test]
fn what_happened_to_a_message_is_shown_with_it() {
    let mut feed = Feed::new();
    let first = feed.text("491", "wamid.1", DAY, "helo");
    let edit =
        json!({"original_message_id": "wamid.1", "message": {"type": "text", "text": {"body": "hello"}}});
    let edited = feed.webhook("messages", change("wamid.2", DAY + 5, "edit", edit));
    let liked = feed.webhook("messages", reaction("wamid.3", DAY + 6, Some("👍")));
    let unliked = feed.webhook("messages", reaction("wamid.4", DAY + 7, None));
    let revoke = json!({"original_message_id": "wamid.1"});
    let revoked = feed.webhook("messages", change("wamid.5", DAY + 8, "revoke", revoke));
    let unknown = json!({"original_message_id": "wamid.unseen"});
    let lonely = feed.webhook("messages", change("wamid.6", DAY + 9, "revoke", unknown));
    let turns = read(&feed, None, 50).turns;
    assert_eq!(
        turns.iter().map(|turn| (turn.seq, turn.role)).collect::<Vec<_>>(),
        [(first, Role::Message), (lonely, Role::Revoke)]
    );
    let turn = &turns[0];
    assert_eq!(turn.edits, [((DAY + 5) * 1_000_000, edited)]);
    assert_eq!(turn.revokes, [((DAY + 8) * 1_000_000, revoked)]);
    let reactions: Vec<_> =
        turn.reactions.iter().map(|fact| (fact.seq, fact.value.emoji.as_deref())).collect();
    assert_eq!(reactions, [(liked, Some("👍")), (unliked, None)]);
}

#[test]
fn copy_from_the_history_is_merged_with_the_live_message() {
    let mut feed = Feed::new();
    let history = json!({"history": [{"metadata": {"phase": 0, "chunk_order": 1, "progress": 55}, "threads": [{"id": "491",
        "messages": [{"from": "491", "id": "wamid.1", "timestamp": (DAY - 3).to_string(), "type": "text",
            "text": {"body": "hi"}, "history_context": {"status": "READ"}}]}]}]});
    let old = feed.webhook("history", history);
    let live = feed.text("491", "wamid.1", DAY, "hi");
    let turns = read(&feed, None, 50).turns;
    assert_eq!(turns.len(), 1);
    assert_eq!((turns[0].seq, &turns[0].duplicates[..]), (live, &[old][..]));
}

#[test]
fn send_has_its_answer_and_statuses() {
    let mut feed = Feed::new();
    let request = json!({"journal_id": "j1", "via": "proxy", "endpoint": "messages", "number": NUMBER,
        "request": {"to": "491", "type": "text", "text": {"body": "out"}}});
    let asked = feed.own(Kind::SendRequested, DAY, Some("wa:491"), &request);
    let answer = json!({"journal_id": "j1", "status": 200, "wamids": ["wamid.o"]});
    let answered = feed.own(Kind::SendAnswered, DAY, Some("wa:491"), &answer);
    for (status, second) in [("sent", 1), ("read", 3), ("delivered", 2)] {
        feed.webhook(
            "messages",
            json!({"statuses": [{"id": "wamid.o", "status": status,
            "timestamp": (DAY + second).to_string(), "recipient_id": "491"}]}),
        );
    }
    let turns = read(&feed, None, 50).turns;
    assert_eq!(turns.len(), 1);
    assert_eq!((turns[0].seq, turns[0].role, turns[0].id.as_deref()), (asked, Role::Send, Some("wamid.o")));
    assert_eq!(turns[0].answer.map(|(_, seq)| seq), Some(answered));
    assert_eq!(turns[0].best_status(), Some("read"));
    let order: Vec<_> = turns[0].statuses.iter().map(|fact| fact.value.status.as_str()).collect();
    assert_eq!(order, ["sent", "delivered", "read"]);
}

#[test]
fn pages_join_without_gap_or_repeat() {
    let mut feed = Feed::new();
    for n in 0..600 {
        // Many at one time, more than are read at once.
        feed.text("491", &format!("wamid.{n}"), DAY + n / 300, "x");
    }
    let mut seen = Vec::new();
    let mut before = None;
    loop {
        let page = read(&feed, before, 70);
        let mut seqs: Vec<u64> = page.turns.iter().map(|turn| turn.seq).collect();
        assert!(seqs.is_sorted());
        seqs.extend(seen);
        seen = seqs;
        before = page.next;
        if before.is_none() {
            break;
        }
    }
    assert_eq!(seen, (0..600).collect::<Vec<u64>>());
}

#[test]
fn same_id_on_another_number_is_another_message() {
    let mut feed = Feed::new();
    let first = feed.text("491", "wamid.1", DAY, "x");
    let facts = Facts {
        subject: Some("wa:491".to_owned()),
        number: Some("9002".to_owned()),
        occurred_at: Some((DAY - 1) * 1_000_000),
        ..Facts::default()
    };
    let slice = json!({"from": "491", "id": "wamid.1", "timestamp": (DAY - 1).to_string(), "type": "text", "text": {"body": "y"}});
    let other = feed.event(Kind::WhatsappMessage, vec![slice.to_string().into_bytes()], facts, false);
    let here = read(&feed, None, 9).turns;
    let there = feed.projections.thread(&["9002:491".to_owned()], None, 9).unwrap().turns;
    assert_eq!((here[0].seq, here[0].duplicates.len()), (first, 0));
    assert_eq!((there[0].seq, there[0].duplicates.len()), (other, 0));
}
