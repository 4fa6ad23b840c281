//! Words, phrases, prefixes, fields and dates.

use chrono_tz::Tz;
use piperoll_format::{Kind, Timestamp};
use piperoll_sources::{Attachment, Direction, Message, Party, Reference, Relation, TemplateRef};

use super::{Fixture, NOON, document, party};
use crate::{Document, IndexError, Page, Query};

/// A message, its answer, a template to the same customer, a consent, a status and an image.
fn varied() -> Fixture {
    let mut fixture = Fixture::new();
    let base = document(0, "please confirm the wire transfer today");
    let (echo, image) = (echo(&base), image(&base));
    let template = template(&echo);
    let consent = Document {
        seq: 3,
        kind: Kind::ConsentWithdrawn,
        message: Message {
            message_type: "ivr".to_owned(),
            from: Some(party("4915112345678", "李小龙")),
            ..Message::default()
        },
        ..base.clone()
    };
    let status = Document {
        seq: 4,
        kind: Kind::WhatsappStatus,
        message: Message {
            message_type: "delivered".to_owned(),
            references: vec![Reference { relation: Relation::StatusOf, source_id: "wamid.ECHO".to_owned() }],
            ..Message::default()
        },
        ..base.clone()
    };
    fixture.add([base, echo, template, consent, status, image]);
    fixture
}

fn echo(base: &Document) -> Document {
    Document {
        seq: 1,
        kind: Kind::WhatsappEcho,
        message: Message {
            source_id: Some("wamid.ECHO".to_owned()),
            direction: Some(Direction::Outbound),
            from: Some(Party { phone: Some("15550783881".to_owned()), ..Party::default() }),
            to: vec![Party {
                user_id: Some("US.13491208655302741918".to_owned()),
                username: Some("maria_92".to_owned()),
                ..party("+48 601 234 567", "María José Łukasiewicz")
            }],
            texts: vec!["the transfer was confirmed".to_owned()],
            ..base.message.clone()
        },
        ..base.clone()
    }
}

fn template(echo: &Document) -> Document {
    Document {
        seq: 2,
        class: "mifid-ii".to_owned(),
        message: Message {
            source_id: Some("wamid.TPL".to_owned()),
            message_type: "template".to_owned(),
            to: vec![party("6281234567890", "Siti Rahayu")],
            template: Some(TemplateRef {
                name: Some("order_confirmation_2".to_owned()),
                id: Some("998877".to_owned()),
                language: None,
            }),
            from: None,
            texts: vec![],
            ..echo.message.clone()
        },
        ..echo.clone()
    }
}

fn image(base: &Document) -> Document {
    let filename = Some("Umowa-kredytowa.pdf".to_owned());
    Document {
        seq: 5,
        message: Message {
            message_type: "image".to_owned(),
            attachments: vec![Attachment { filename, ..Attachment::default() }],
            texts: vec!["see the scan".to_owned(), "second caption".to_owned()],
            ..base.message.clone()
        },
        ..base.clone()
    }
}

#[test]
fn words_phrases_and_operators_are_found() {
    let fixture = varied();
    for (query, expected) in [
        ("transfer", &[1, 0][..]),
        ("TRANSFER confirm", &[0]),
        ("transfer AND confirmed", &[1]),
        ("confirm OR confirmed", &[1, 0]),
        ("confirm OR scan transfer", &[0]),
        ("(confirm OR confirmed) transfer", &[1, 0]),
        ("transfer NOT today", &[1]),
        ("transfer -confirmed", &[0]),
        ("-kind:whatsapp.message", &[4, 3, 2, 1]),
        ("NOT (transfer OR kind:whatsapp.message)", &[4, 3, 2]),
        ("NOT NOT scan", &[5]),
        ("\"wire transfer\"", &[0]),
        ("“wire transfer”", &[0]),
        ("\"transfer wire\"", &[]),
        ("confirm*", &[1, 0]),
        ("nothing*", &[]),
        ("umowa", &[5]),
        ("umowa-kredytowa.pdf", &[5]),
        ("\"scan second\"", &[]),
        ("\"scan second\"~50", &[]),
    ] {
        fixture.check(query, expected);
    }
}

#[test]
fn proximity_counts_words_between_in_any_order() {
    let fixture = Fixture::with_texts(&["alpha one two three beta", "beta alpha", "alpha beta"]);
    fixture.check("\"alpha beta\"~3", &[2, 1, 0]);
    fixture.check("\"alpha beta\"~2", &[2, 1]);
    fixture.check("\"alpha beta\"~1", &[2]);
    fixture.check("\"beta alpha\"~2", &[2, 1]);
}

#[test]
fn every_field_is_found() {
    let fixture = varied();
    for (query, expected) in [
        ("from:siti", &[5, 0][..]),
        ("from:\"rahayu siti\"", &[5, 0]),
        ("from:+62-812-3456-7890", &[5, 0]),
        ("from:62812*", &[5, 0]),
        ("from:李小龙", &[3]),
        ("from:李", &[3]),
        ("from:15550783881", &[1]),
        ("to:lukasiewicz", &[1]),
        ("to:\"Maria Jose\"", &[1]),
        ("to:luk*", &[1]),
        ("to:\"+48 601 234 567\"", &[1]),
        ("to:us.13491208655302741918", &[1]),
        ("to:Maria_92", &[1]),
        ("with:siti", &[5, 2, 0]),
        ("kind:whatsapp.echo", &[2, 1]),
        ("kind:consent.*", &[3]),
        ("KIND:Consent.Withdrawn", &[3]),
        ("type:template", &[2]),
        ("type:deliv*", &[4]),
        ("template:order_confirmation_2", &[2]),
        ("template:order*", &[2]),
        ("template:998877", &[2]),
        ("number:106540352242922", &[5, 2, 1, 0]),
        ("number:+1-555-078-3881", &[5, 2, 1, 0]),
        ("id:wamid.TEST0", &[5, 0]),
        ("id:wamid.ECHO", &[4, 1]),
        ("id:wamid.echo", &[]),
        ("has:attachment", &[5]),
        ("direction:in", &[5, 0]),
        ("direction:outbound", &[2, 1]),
        ("class:mifid-ii", &[2]),
        ("conversation:106540352242922:6281234567890 direction:out", &[2, 1]),
        ("transfer from:siti direction:in kind:whatsapp.message number:106540352242922", &[0]),
    ] {
        fixture.check(query, expected);
    }
}

#[test]
fn a_conversation_is_found_by_its_exact_id() {
    let fixture = varied();
    let hits = fixture.index.conversation("106540352242922:6281234567890", Page::newest(2)).unwrap();
    assert_eq!((super::seqs(&hits), hits.total), (vec![5, 2], 4));
    assert_eq!(fixture.index.conversation("106540352242922:62812", Page::newest(2)).unwrap().total, 0);
}

fn at(seq: u64, occurred_at: Option<i64>, recorded_at: u64) -> Document {
    let mut document = document(seq, "dated");
    document.recorded_at = Timestamp(recorded_at);
    document.message.occurred_at = occurred_at;
    document
}

#[test]
fn dates_are_days_of_the_named_zone() {
    let mut fixture = Fixture::new();
    // 2026-11-21 at 00:30, 16:59:59 and 17:00 UTC; the last is the 22nd in Jakarta (UTC+7).
    let day = 1_795_219_200_000_000_i64;
    let moments = [day + 1_800_000_000, day + 61_199_000_000, day + 61_200_000_000];
    fixture.add((0..).zip(moments).map(|(seq, moment)| at(seq, Some(moment), NOON + 86_400_000_000)));
    for (query, utc, jakarta) in [
        ("on:2026-11-21", &[2, 1, 0][..], &[1, 0][..]),
        ("on:2026-11-22", &[], &[2]),
        ("after:2026-11-22", &[], &[2]),
        ("before:2026-11-22", &[2, 1, 0], &[1, 0]),
        ("after:2026-11-21 before:2026-11-22", &[2, 1, 0], &[1, 0]),
        ("after:2026-11-21T16:59:59Z", &[2, 1], &[2, 1]),
        ("after:2026-11-21T16:59:59.000001Z", &[2], &[2]),
        ("before:2026-11-21T16:59:59Z", &[0], &[0]),
        ("after:2026-11-21T23:59:59+07:00", &[2, 1], &[2, 1]),
        ("dated on:2026-11-21 from:siti", &[2, 1, 0], &[1, 0]),
        ("NOT on:2026-11-21", &[], &[2]),
    ] {
        assert_eq!(fixture.find(query), utc, "{query} in UTC");
        assert_eq!(fixture.find_in(query, Tz::Asia__Jakarta), jakarta, "{query} in Jakarta");
    }
}

#[test]
fn an_implausible_time_gives_way_to_the_recorded_one() {
    let mut fixture = Fixture::new();
    let milliseconds_for_seconds = 1_795_219_200_000 * 1_000_000;
    let occurred = [None, Some(-5), Some(0), Some(milliseconds_for_seconds), Some(i64::MAX), Some(i64::MIN)];
    fixture.add((0..).zip(occurred).map(|(seq, occurred)| at(seq, occurred, NOON)));
    fixture.check("on:2026-11-21", &[5, 4, 3, 2, 1, 0]);
}

#[test]
fn a_prefix_of_too_many_words_is_refused() {
    let mut fixture = Fixture::new();
    fixture.add((0..20).map(|seq| {
        let words: Vec<String> = (0..1_000).map(|word| format!("ab{seq}x{word}")).collect();
        document(seq, &words.join(" "))
    }));
    let search = |query: &str| fixture.index.search(&Query::parse(query, Tz::UTC).unwrap(), Page::newest(1));
    assert!(matches!(search("ab*"), Err(IndexError::TooBroad { prefix, .. }) if prefix == "ab"));
    assert_eq!(search("ab7x*").unwrap().total, 1);
}
