//! What holds for the bodies of every sender.

use std::path::Path;

use super::*;
use crate::check::{project_slices, project_whole, rebuilt, split_valid};

/// Returns examples of what a sender sends.
fn fixtures(sender: Sender) -> &'static [&'static str] {
    match sender {
        Sender::Meta => &[include_str!("../whatsapp/fixtures/batch.json")],
        Sender::Dialog360 => &dialog360::tests::FIXTURES,
        Sender::YCloud => &ycloud::tests::FIXTURES,
        Sender::Twilio => &twilio::tests::FIXTURES,
        Sender::Gupshup => &gupshup::tests::FIXTURES,
        Sender::Infobip => &infobip::tests::FIXTURES,
        Sender::Bird => &bird::tests::FIXTURES,
        Sender::Vonage => &vonage::tests::FIXTURES,
        Sender::Aws => &aws::tests::FIXTURES,
    }
}

/// Splits and reads a body in both ways of storing it.
fn take(sender: Sender, body: &[u8]) {
    split_valid(sender, body);
    for message in project_slices(sender, body) {
        assert!(!message.message_type.is_empty());
    }
    for kind in [Kind::WhatsappMessage, Kind::WhatsappStatus, Kind::WhatsappOther, Kind::Unrecognised] {
        let source = sender.as_str();
        let captured = Captured { whole: true, parts: &[body], source, ..Captured::default() };
        assert!(!crate::project(kind, &captured).message_type.is_empty());
    }
}

#[test]
fn name_is_read_back() {
    for sender in Sender::ALL {
        assert_eq!(sender.to_string().parse(), Ok(*sender));
    }
    assert_eq!("meta".parse::<Sender>(), Err(UnknownSender { found: "meta".into() }));
}

#[test]
fn unknown_source_is_read_as_from_meta() {
    let body = include_bytes!("../whatsapp/fixtures/text.json");
    let captured = Captured { whole: true, parts: &[body], source: "older-name", ..Captured::default() };
    let expected = project_whole(Sender::Meta, include_str!("../whatsapp/fixtures/text.json"));
    assert_eq!(crate::project(Kind::WhatsappMessage, &captured), expected);
}

#[test]
fn slices_and_skeleton_rebuild_the_body() {
    for sender in Sender::ALL {
        for body in fixtures(*sender) {
            assert_eq!(rebuilt(body, &split_valid(*sender, body.as_bytes())), *body);
            take(*sender, body.as_bytes());
        }
    }
}

#[test]
fn arbitrary_bytes_are_taken() {
    for sender in Sender::ALL {
        bolero::check!().with_iterations(300).for_each(|bytes: &[u8]| take(*sender, bytes));
    }
}

/// Goal: no damage of an example leads astray. Method: one byte is changed, or the tail is cut off.
#[test]
fn damaged_bodies_are_taken() {
    for sender in Sender::ALL {
        let bodies = fixtures(*sender);
        bolero::check!().with_iterations(300).with_type().for_each(|&(choice, at, byte): &(u8, u16, u8)| {
            let mut bytes = bodies[usize::from(choice) % bodies.len()].as_bytes().to_vec();
            let at = usize::from(at) % bytes.len();
            take(*sender, &bytes[..at]);
            bytes[at] = byte;
            take(*sender, &bytes);
            if let Ok(body) = std::str::from_utf8(&bytes) {
                assert_eq!(rebuilt(body, &split_valid(*sender, &bytes)), body);
            }
        });
    }
}

/// Every sender takes every example of the shared corpus, whether it is its own or not.
#[test]
fn corpus_is_taken_by_every_sender() {
    let Some(shared) = std::env::var_os("PIPEROLL_SHARED") else { return };
    for folder in ["", "bsp", "partial", "unparseable"] {
        let folder = Path::new(&shared).join("corpus").join(folder);
        for entry in std::fs::read_dir(folder).expect("the corpus can be listed") {
            let Ok(body) = std::fs::read(entry.expect("the corpus can be listed").path()) else { continue };
            Sender::ALL.iter().for_each(|sender| take(*sender, &body));
        }
    }
}

#[test]
fn arbitrary_signatures_are_judged() {
    let secrets = [crate::AppSecret::new("secret")];
    bolero::check!().with_iterations(2_000).with_type().for_each(
        |(header, other, body): &(String, String, Vec<u8>)| {
            let header = Some(header.as_str());
            assert!(whatsapp::verify(header, body, &secrets).is_err());
            assert!(dialog360::verify(header, body, &secrets).is_err());
            assert!(ycloud::verify(header, body, &secrets).is_err());
            assert!(twilio::verify(header, other, body, &secrets).is_err());
            assert!(bird::verify(header, Some("1"), other, body, &secrets).is_err());
            assert!(vonage::verify(header, body, &secrets).is_err());
            assert!(aws::parse(body).is_err() && !aws::certificate_host_is_allowed(other));
        },
    );
}
