//! Exports in the forms that phones and other archives write.
#![expect(clippy::disallowed_methods, reason = "tests may unwrap")]

use std::io::{Cursor, Write as _};

use super::*;

fn context(format: Format) -> Context {
    Context {
        format,
        number: "9001".to_owned(),
        zone: chrono_tz::Europe::Berlin,
        date_order: None,
        name: Some("Acme".to_owned()),
        person: Some("4915550000001".to_owned()),
    }
}

/// Reads a chat and returns one line for each message: time, direction, who, type, texts.
fn lines(text: &str, context: Context) -> Vec<String> {
    let import = read(text.as_bytes(), context).unwrap();
    assert_eq!(import.mistakes, []);
    import.items.iter().map(|item| line(&item.message)).collect()
}

fn line(message: &Message) -> String {
    let time = chrono::DateTime::from_timestamp_micros(message.occurred_at.unwrap()).unwrap();
    let way = message.direction.map_or("?", |way| if way == Direction::Inbound { "<" } else { ">" });
    let who = message.from.as_ref().map(|party| {
        [party.phone.as_deref(), party.name.as_deref()].into_iter().flatten().collect::<Vec<_>>().join("=")
    });
    let (who, kind) = (who.unwrap_or_default(), &message.message_type);
    format!("{} {way} {who} {kind} {}", time.format("%m-%dT%H:%M:%S"), message.texts.join("|"))
}

const ANDROID: &str = "\u{feff}21/11/2026, 10:05 - Messages and calls are end-to-end encrypted.\r\n\
21/11/2026, 10:05 - Ada Brandt: Is it on its way?\r\nIt is: late\r\n\r\nand 12/11 is over\r\n\
21/11/2026, 10:06 - Acme: \u{200e}IMG-20261121-WA0001.jpg (Datei angehängt)\r\nthe parcel\r\n\
21/11/2026, 10:07 - +49 155 5000 0002: me too\r\n\
21/11/2026, 10:07 - Ada Brandt: <Medien ausgeschlossen>\r\n";

#[test]
fn chat_of_an_android_phone_is_read() {
    assert_eq!(
        lines(ANDROID, context(Format::Chat)),
        [
            "11-21T09:05:00 ?  system Messages and calls are end-to-end encrypted.",
            "11-21T09:05:00 < 4915550000001=Ada Brandt text Is it on its way?\r\nIt is: late\r\n\r\nand 12/11 is over",
            "11-21T09:06:00 > Acme image IMG-20261121-WA0001.jpg|the parcel",
            "11-21T09:07:00 < 4915550000002 text me too",
            "11-21T09:07:00 < 4915550000001=Ada Brandt text <Medien ausgeschlossen>",
        ]
    );
    let import = read(ANDROID.as_bytes(), context(Format::Chat)).unwrap();
    let found: Vec<_> = import.items.iter().map(|item| (item.line, item.subject.as_deref())).collect();
    assert_eq!(
        found[1..4],
        [(2, Some("wa:4915550000001")), (6, Some("wa:4915550000001")), (8, Some("wa:4915550000002"))]
    );
    assert_eq!(import.items[2].message.conversation.as_deref(), Some("9001:4915550000001"));
    assert_eq!(import.context.date_order, Some(DateOrder::Dmy));
}

#[test]
fn chat_of_an_iphone_is_read() {
    let text = "[11/20/26, 11:59:58\u{202f}PM] Acme: \u{200e}<attached: 00000012-PHOTO-2026.jpg>\n\
        \u{200e}[11/21/26, 12:00:01\u{202f}AM] Ada Brandt: after midnight\n[11/21/26, 12:00:02\u{202f}PM] Ada Brandt: noon: or so\n";
    assert_eq!(
        lines(text, context(Format::Chat)),
        [
            "11-20T22:59:58 > Acme image 00000012-PHOTO-2026.jpg",
            "11-20T23:00:01 < 4915550000001=Ada Brandt text after midnight",
            "11-21T11:00:02 < 4915550000001=Ada Brandt text noon: or so",
        ]
    );
}

#[test]
fn chats_with_marks_of_direction_are_read() {
    let arabic = "\u{200f}[٢١\u{200f}/١١\u{200f}/٢٠٢٦، ١٠:٠٥:٣٣ م] \u{202b}Ada Brandt\u{202c}: \u{200f}مرحبا\n\
        \u{200f}[٢٢\u{200f}/١١\u{200f}/٢٠٢٦، ٩:٠٥:٣٣ ص] Acme: \u{200e}<المرفق: 00000012-PHOTO.jpg>\n";
    assert_eq!(
        lines(arabic, context(Format::Chat)),
        [
            "11-21T21:05:33 < 4915550000001=Ada Brandt text مرحبا",
            "11-22T08:05:33 > Acme image 00000012-PHOTO.jpg",
        ]
    );
    let hindi = "21/11/26, 10:05\u{202f}pm - \u{2068}Ada Brandt\u{2069}: नमस्ते\n21/11/26, 10:06\u{202f}pm - Acme: IMG-1.jpg (फ़ाइल अटैच की गई)\n";
    assert_eq!(
        lines(hindi, context(Format::Chat)),
        ["11-21T21:05:00 < 4915550000001=Ada Brandt text नमस्ते", "11-21T21:06:00 > Acme image IMG-1.jpg"]
    );
}

#[test]
fn dates_are_read_in_the_order_that_fits() {
    let first = |text: &str, order: Option<DateOrder>| {
        read(text.as_bytes(), Context { date_order: order, ..context(Format::Chat) })
            .map(|import| line(&import.items[0].message).split(' ').next().unwrap().to_owned())
            .map_err(|mistake| mistake.to_string())
    };
    for (text, expected) in [
        ("21.11.26, 10:05 - A: x", "11-21T09:05:00"),
        ("11/21/26, 10:05 - A: x", "11-21T09:05:00"),
        ("2026-11-21, 10:05 - A: x", "11-21T09:05:00"),
        ("21-11-2026 22:05 - A: x", "11-21T21:05:00"),
        ("21/11/2026 10.05 - A: x", "11-21T09:05:00"),
        ("٢١/١١/٢٠٢٦, ١٠:٠٥ م - A: x", "11-21T21:05:00"),
        ("11/11/26, 10:05 a. m. - A: x", "11-11T09:05:00"),
        // Only one reading ascends.
        ("1/11/26, 10:05 - A: x\n2/11/26, 10:05 - A: y\n1/12/26, 10:05 - A: z", "11-01T09:05:00"),
        // In summer, and at the hour that clocks skip.
        ("29.03.26, 02:30 - A: x", "03-29T01:30:00"),
        ("21.07.26, 10:05 - A: x", "07-21T08:05:00"),
    ] {
        assert_eq!(first(text, None).as_deref(), Ok(expected), "{text}");
    }
    let both = "1/2/26, 10:05 - A: x";
    assert_eq!(first(both, Some(DateOrder::Mdy)).as_deref(), Ok("01-02T09:05:00"));
    assert_eq!(first(both, Some(DateOrder::Dmy)).as_deref(), Ok("02-01T09:05:00"));
    assert_eq!(
        first(both, None).unwrap_err(),
        "line 1: expected dates that show which number is the month, or the order given as `dmy` or `mdy`, found dates that can be read both ways"
    );
    let none = first("Dear Ada,\nhello", None).unwrap_err();
    assert!(none.starts_with("line 1: expected a date, a time and a name such as"), "{none}");
}

#[test]
fn piece_is_known_again_in_a_longer_export_and_read_back() {
    let short = read(ANDROID.as_bytes(), context(Format::Chat)).unwrap();
    let longer = format!(
        "{ANDROID}22/11/2026, 08:00 - Ada Brandt: thanks\r\n22/11/2026, 08:00 - Ada Brandt: thanks\r\n"
    );
    let long = read(longer.as_bytes(), context(Format::Chat)).unwrap();
    let ids = |import: &Import| import.items.iter().map(|item| item.source_id.clone()).collect::<Vec<_>>();
    assert_eq!(ids(&long)[..5], ids(&short));
    let mut all = ids(&long);
    all.sort();
    all.dedup();
    assert_eq!(all.len(), 7, "equal messages are told apart");
    let written = write(&long.context);
    for item in &long.items {
        let parts = [&longer.as_bytes()[item.range.clone()], &written];
        let captured = Captured { parts: &parts, ..Captured::default() };
        assert_eq!(crate::project(piperoll_format::Kind::ImportMessage, &captured), item.message);
    }
}

#[test]
fn json_lines_are_read_and_mistakes_named() {
    let text = concat!(
        r#"{"at":"2026-11-21T10:00:00+01:00","direction":"inbound","person":{"phone":"+49 155 50000001","name":"Ada"},"id":"wamid.A1","text":"hello"}"#,
        "\n\n",
        r#"{"at":"2026-11-21T10:00:01Z","direction":"outbound","person":{"user_id":"DE.1"},"author":"Bo","text":"hi","attachments":[{"filename":"a.pdf"}],"reply_to":"wamid.A1"}"#,
        "\n",
        r#"{"at":"2026-11-21","direction":"inbound","person":{"phone":"491555000001"}}"#,
        "\n",
        r#"{"at":"2026-11-21T10:00:01Z","direction":"inbound","person":{"phone":"x"}}"#,
        "\nno json\n",
        r#"{"at":"2026-11-21T10:00:01Z","direction":"inbound","person":{},"txt":"1"}"#,
    );
    let import = read(text.as_bytes(), context(Format::Jsonl)).unwrap();
    let found: Vec<_> = import.items.iter().map(|item| line(&item.message)).collect();
    assert_eq!(found, ["11-21T09:00:00 < 4915550000001=Ada text hello", "11-21T10:00:01 > Bo text hi|a.pdf"]);
    assert_eq!(import.items[0].source_id, "9001/wamid.A1");
    assert_eq!(import.items[1].subject.as_deref(), Some("bsuid:DE.1"));
    let mistakes: Vec<_> = import.mistakes.iter().map(ToString::to_string).collect();
    assert_eq!(
        mistakes,
        [
            "line 4: expected `at` in RFC 3339 such as `2026-11-21T10:00:00+01:00`, found another text",
            "line 5: expected `person.phone` in E.164 such as `+15550100001`, found another text",
            "line 6: expected a message as in schemas/import.schema.json, found no JSON at column 2",
            "line 7: expected a message as in schemas/import.schema.json, found a missing, unknown or wrong member at column 68",
        ]
    );
}

#[test]
fn email_is_read_with_its_people_and_files() {
    let mail = "From: \"Ada Brandt\" <4915550000001@wa.example>\r\nTo: Acme <desk@acme.example>\r\n\
        Date: Sat, 21 Nov 2026 10:00:00 +0100\r\nSubject: WhatsApp chat\r\nX-Original-Message-Id: wamid.E1==\r\n\
        MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n\
        Is it on its way?\r\n--b\r\nContent-Type: application/pdf; name=\"bill.pdf\"\r\nContent-Disposition: attachment; filename=\"bill.pdf\"\r\n\r\n%PDF\r\n--b--\r\n";
    let import = read(mail.as_bytes(), context(Format::Eml)).unwrap();
    let item = &import.items[0];
    assert_eq!(
        line(&item.message),
        "11-21T09:00:00 < 4915550000001=Ada Brandt email WhatsApp chat|Is it on its way?|bill.pdf"
    );
    assert_eq!(item.source_id, "9001/wamid.E1==");
    assert_eq!(item.message.attachments[0].mime_type.as_deref(), Some("application/pdf"));
    assert_eq!(item.message.conversation.as_deref(), Some("9001:4915550000001"));
    assert_eq!(files_in_mail(mail.as_bytes()), [b"%PDF"]);
    let none = read(b"Date: never\r\n\r\nx", context(Format::Eml)).unwrap();
    assert_eq!(none.mistakes[0].to_string(), "line 1: expected a header `Date`, found none");
}

fn zipped(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in files {
        zip.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

#[test]
fn zip_is_read_in_pieces_and_a_bomb_is_refused() {
    let bytes = zipped(&[("chat/_chat.txt", b"text"), ("../../IMG-1.jpg", b"0123456789")]);
    let mut bundle = Bundle::open(Cursor::new(bytes)).unwrap();
    let entries = bundle.entries().to_vec();
    assert_eq!(entries.iter().map(|entry| &*entry.name).collect::<Vec<_>>(), ["_chat.txt", "IMG-1.jpg"]);
    let mut pieces = Vec::new();
    let take = |piece| {
        pieces.push(piece);
        Ok::<(), BundleError>(())
    };
    bundle.read(&entries[1], 4, take).unwrap();
    assert_eq!(pieces, [&b"0123"[..], b"4567", b"89"]);
    let bomb = Bundle::open(Cursor::new(zipped(&[("a.jpg", &[0; 20 << 20])]))).unwrap_err().to_string();
    assert!(bomb.starts_with("expected files packed to no less than 1/200, found "), "{bomb}");
    for bad in [&b""[..], b"PK\x03\x04", b"no zip at all"] {
        assert!(matches!(Bundle::open(Cursor::new(bad)), Err(BundleError::Malformed(_))));
    }
}

#[test]
fn zip_that_lies_about_a_size_is_refused() {
    let mut bytes = zipped(&[("a.txt", &[b'x'; 5_000])]);
    // The size stands in the local header and in the directory at the end.
    let size = 5_000_u32.to_le_bytes();
    let places: Vec<_> =
        bytes.windows(4).enumerate().filter(|(_, four)| *four == size).map(|(at, _)| at).collect();
    for at in places {
        bytes[at..at + 4].copy_from_slice(&100_u32.to_le_bytes());
    }
    let mut bundle = Bundle::open(Cursor::new(bytes)).unwrap();
    let entry = bundle.entries()[0].clone();
    assert!(bundle.read_whole(&entry).is_err());
}

/// Goal: whatever the bytes are, every byte of a chat is in a piece, and what is kept is read as it was read first.
fn take(bytes: &[u8]) {
    for format in [Format::Chat, Format::Jsonl, Format::Eml] {
        let Ok(import) = read(bytes, context(format)) else { continue };
        let written = write(&import.context);
        for item in &import.items {
            let piece = &bytes[item.range.clone()];
            let parts = [piece, &written];
            let captured = Captured { parts: &parts, ..Captured::default() };
            assert_eq!(crate::project(piperoll_format::Kind::ImportMessage, &captured), item.message);
        }
        if format == Format::Chat && import.mistakes.is_empty() {
            let mut kept = 0;
            for item in &import.items {
                assert!(bytes[kept..item.range.start].iter().all(u8::is_ascii_whitespace));
                kept = item.range.end;
            }
            assert!(bytes[kept..].iter().all(u8::is_ascii_whitespace));
        }
    }
    if let Ok(mut bundle) = Bundle::open(Cursor::new(bytes)) {
        for entry in bundle.entries().to_vec() {
            drop(bundle.read_whole(&entry));
        }
    }
}

#[test]
fn arbitrary_and_damaged_files_are_taken() {
    bolero::check!().with_iterations(500).for_each(|bytes: &[u8]| take(bytes));
    let examples = [ANDROID.as_bytes().to_vec(), zipped(&[("a.txt", ANDROID.as_bytes())])];
    bolero::check!().with_iterations(2_000).with_type().for_each(|&(at, byte, other): &(u16, u8, u8)| {
        for example in &examples {
            let mut bytes = example.clone();
            let at = usize::from(at) % bytes.len();
            bytes[at] = byte;
            let other = usize::from(other) % bytes.len();
            bytes[other] = byte;
            take(&bytes);
            take(&bytes[..at]);
        }
    });
}
