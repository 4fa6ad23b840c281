//! Goal: what other systems export is brought in once, with its files, marked, and compared with what was captured
//! live; what cannot be read is named by its line and loses nothing else.
//! Method: files as phones and archives write them, through the route, each imported at least twice.

use std::io::{Cursor, Write as _};

use axum::http::Method;
use piperoll_format::{Kind, Seq};
use piperoll_server::Role;
use piperoll_tests::{Answer, Served, TestArchive, escape, webhook_to};
use serde_json::{Value, json};
use zip::write::SimpleFileOptions;

const CHAT: &str = "21/11/2026, 10:05 - Messages and calls are end-to-end encrypted.\n\
21/11/2026, 10:06 - Ada Brandt: Is the zebra on its way?\nIt is late.\n\
21/11/2026, 10:07 - Acme: \u{200e}IMG-1.jpg (file attached)\nhere it is\n\
21/11/2026, 10:07 - Acme: lost.pdf (file attached)\n\
21/11/2026, 10:08 - Ada Brandt: thanks\n\
21/11/2026, 10:08 - Ada Brandt: thanks\n";

async fn import(served: &Served<'_>, parameters: &str, body: impl Into<axum::body::Body>) -> Answer {
    served.send(Role::Ingest, Method::POST, &format!("/v1/import?number=9001&{parameters}"), body).await
}

fn chat_parameters() -> String {
    format!("format=chat&zone={}&name=Acme&person=4915550000001", escape("Europe/Berlin"))
}

fn zipped(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in files {
        zip.start_file(*name, SimpleFileOptions::default()).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

fn counts(view: &Value) -> [u64; 5] {
    ["items", "stored", "repeated", "known", "probable"].map(|key| view[key].as_u64().unwrap())
}

async fn document(archive: &TestArchive, seq: u64) -> Value {
    let read = archive.reader().await.read(Seq(seq)).await.unwrap();
    serde_json::from_slice(&read.payload.unwrap().payload.parts[0]).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn chat_is_imported_once_with_its_files() {
    let archive = TestArchive::in_memory().await;
    let served = archive.serve().await;
    // Larger than a piece, and not to be packed.
    let photo = piperoll_tests::noise(5 << 20, 7).to_vec();
    let zip = zipped(&[("_chat.txt", CHAT.as_bytes()), ("IMG-1.jpg", &photo)]);
    let first = import(&served, &chat_parameters(), zip.clone()).await.ok();
    assert_eq!(
        (counts(&first), &first["media"], &first["media_missing"]),
        ([6, 6, 0, 0, 0], &json!(1), &json!(1))
    );
    let size = served.size();
    let again = import(&served, &chat_parameters(), zip).await.ok();
    assert_eq!((counts(&again), &again["media"]), ([6, 0, 6, 0, 0], &json!(1)));
    assert_eq!(served.size(), size, "nothing is stored a second time");
    assert_eq!(again["recorded_as"]["repeated"], true);
    let found = served.search("zebra with:4915550000001").await;
    let hit = &found["hits"][0];
    assert_eq!(
        (&found["total"], &hit["kind"], &hit["source"]),
        (&json!(1), &json!("import.message"), &json!("import"))
    );
    assert_eq!(
        (&hit["message"]["origin"], &hit["message"]["direction"]),
        (&json!("import"), &json!("inbound"))
    );
    assert_eq!(hit["message"]["conversation"], "9001:4915550000001");
    assert_eq!(hit["message"]["occurred_at"], 1_795_251_960_000_000_u64, "10:06 in Berlin is 09:06");
    let captured = served.search("kind:media.captured").await["hits"][0]["seq"].as_u64().unwrap();
    let document = document(&archive, captured).await;
    assert_eq!((&document["size"], &document["source"]), (&json!(photo.len()), &json!("import")));
    let mut bytes = Vec::new();
    for part in document["parts"].as_array().unwrap() {
        let read = archive.reader().await.read(Seq(part.as_u64().unwrap())).await.unwrap();
        bytes.extend_from_slice(&read.payload.unwrap().payload.parts[0]);
    }
    assert!(bytes == photo, "the file comes back byte for byte");
    // A later export of the same chat brings only what is new.
    let longer = format!("{CHAT}22/11/2026, 08:00 - Ada Brandt: one more\n");
    let later = import(&served, &chat_parameters(), longer).await.ok();
    assert_eq!(counts(&later), [7, 1, 6, 0, 0]);
    served.check_everything().await;
    served.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_captured_live_is_known_or_marked() {
    let archive = TestArchive::in_memory().await;
    let served = archive.serve().await;
    // The kit's webhooks are of 2026-11-21T11:20:00Z.
    let live = [("wamid.L1", "4915550000001", "a live zebra"), ("wamid.L2", "4915550000001", "another")];
    served.deliver(&webhook_to("9001", &live)).await.is_status(200);
    served.archive.catch_up().await;
    let chat = "21/11/2026, 12:20 - Ada: a live zebra\n21/11/2026, 12:20 - Ada: not live\n21/11/2026, 12:21 - Ada: another\n";
    let imported = import(&served, &chat_parameters(), chat).await.ok();
    assert_eq!(counts(&imported), [3, 3, 0, 0, 1]);
    let found = served.search("kind:import.message zebra").await;
    let flags = found["hits"][0]["flags"].as_array().unwrap();
    let original = served.find("id:\"wamid.L1\"").await;
    assert!(flags.contains(&json!(format!("probably:{}", original[0]))), "{flags:?}");
    let line = |id: &str, text: &str| {
        json!({"at": "2026-11-21T11:20:00Z", "direction": "inbound", "person": {"phone": "+4915550000001"}, "id": id, "text": text}).to_string()
    };
    let lines = [line("wamid.L1", "a live zebra"), line("wamid.L2", "other words"), line("wamid.L3", "new")]
        .join("\n");
    let first = import(&served, "format=jsonl", lines.clone()).await.ok();
    assert_eq!(counts(&first), [3, 2, 0, 1, 0]);
    let differs = served.search("kind:import.message \"other words\"").await;
    assert!(differs["hits"][0]["flags"].to_string().contains("differs-from:"), "{differs}");
    let size = served.size();
    let again = import(&served, "format=jsonl", lines.clone()).await.ok();
    assert_eq!((counts(&again), served.size()), ([3, 0, 2, 1, 0], size));
    // More is captured live, so that the same files look another way; they still are the imports of before.
    let more = [("wamid.L3", "4915550000001", "new"), ("wamid.L4", "4915550000001", "not live")];
    served.deliver(&webhook_to("9001", &more)).await.is_status(200);
    served.archive.catch_up().await;
    let size = served.size();
    let later = import(&served, "format=jsonl", lines).await.ok();
    assert_eq!(counts(&later), [3, 0, 1, 2, 0]);
    assert_eq!(
        (&later["recorded_as"]["seq"], &later["recorded_as"]["repeated"]),
        (&first["recorded_as"]["seq"], &json!(true))
    );
    assert_eq!(later["recorded_as"]["event_hash"], first["recorded_as"]["event_hash"]);
    let later = import(&served, &chat_parameters(), chat).await.ok();
    assert_eq!(counts(&later), [3, 0, 3, 0, 2]);
    assert_eq!(later["recorded_as"]["seq"], imported["recorded_as"]["seq"]);
    assert_eq!(served.size(), size, "no second record");
    served.check_everything().await;
    served.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_that_are_none_are_named_and_the_corrected_file_adds_them() {
    let archive = TestArchive::in_memory().await;
    let served = archive.serve().await;
    let good = |text: &str| {
        json!({"at": "2026-11-21T11:20:00Z", "direction": "outbound", "person": {"user_id": "DE.1"}, "text": text}).to_string()
    };
    let broken = [good("first"), "{\"at\":7}".to_owned(), good("third")].join("\n");
    let view = import(&served, "format=jsonl", broken.clone()).await.ok();
    assert_eq!((counts(&view), &view["mistakes"]), ([2, 2, 0, 0, 0], &json!(1)));
    assert_eq!(
        view["mistaken"][0],
        json!({"line": 2, "message": "line 2: expected a message as in schemas/import.schema.json, found a missing, unknown or wrong member at column 7"})
    );
    let view = import(&served, "format=jsonl", broken.replace("{\"at\":7}", &good("second"))).await.ok();
    assert_eq!((counts(&view), &view["mistakes"]), ([3, 1, 2, 0, 0], &json!(0)));
    let bomb = zipped(&[("_chat.txt", CHAT.as_bytes()), ("a.jpg", &[0; 30 << 20])]);
    let size = served.size();
    for (parameters, body, expected) in [
        (chat_parameters(), b"Dear Ada".to_vec(), "line 1: expected a date, a time and a name"),
        (
            chat_parameters(),
            b"1/2/26, 10:05 - A: x".to_vec(),
            "line 1: expected dates that show which number is the month",
        ),
        (chat_parameters(), bomb, "expected files packed to no less than 1/200"),
        (
            chat_parameters(),
            b"PK\x03\x04 and no more".to_vec(),
            "expected a zip file, found one that is damaged",
        ),
        (
            chat_parameters(),
            zipped(&[("a.jpg", b"x")]),
            "expected `_chat.txt` or one `.txt` file in the zip file",
        ),
        ("format=chat&zone=Mars".to_owned(), Vec::new(), "field `zone`: expected a time zone"),
        ("format=chat&person=me".to_owned(), Vec::new(), "field `person`: expected a phone number"),
        ("format=pst".to_owned(), Vec::new(), "Failed to deserialize query string"),
    ] {
        let answer = import(&served, &parameters, body).await;
        answer.is_status(400);
        let message = answer.json()["error"]["message"].as_str().unwrap().to_owned();
        assert!(message.starts_with(expected), "{message}");
    }
    assert_eq!(served.size(), size, "nothing of it is stored");
    served.send(Role::Officer, Method::POST, "/v1/import?number=1&format=chat", "").await.is_status(403);
    served.check_everything().await;
    served.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn files_inside_an_e_mail_are_attachments_of_its_message() {
    let archive = TestArchive::in_memory().await;
    let served = archive.serve().await;
    let bill: Vec<u8> = (0..=255).cycle().take(70_000).collect();
    let encoded = {
        use base64::Engine as _;
        base64::engine::general_purpose::STANDARD.encode(&bill)
    };
    let mail = format!(
        "From: 4915550000001@wa.example\r\nTo: Acme <desk@acme.example>\r\nDate: Sat, 21 Nov 2026 10:00:00 +0100\r\n\
         Message-ID: <m1@acme.example>\r\nSubject: chat\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n\
         --b\r\nContent-Type: text/plain\r\n\r\nthe bill\r\n\
         --b\r\nContent-Type: application/octet-stream; name=\"bill.bin\"\r\nContent-Transfer-Encoding: base64\r\n\
         Content-Disposition: attachment; filename=\"bill.bin\"\r\n\r\n{encoded}\r\n\
         --b\r\nContent-Type: text/plain; name=\"note.txt\"\r\nContent-Disposition: attachment; filename=\"note.txt\"\r\n\r\na note about okapis\r\n--b--\r\n"
    );
    let view = import(&served, "format=eml", mail.clone()).await.ok();
    assert_eq!(
        (counts(&view), &view["media"], &view["media_missing"]),
        ([1, 1, 0, 0, 0], &json!(2), &json!(0))
    );
    let message = served.find("kind:import.message bill").await[0];
    for (index, expected) in [(0, bill.as_slice()), (1, b"a note about okapis".as_slice())] {
        let answer = served.read(&format!("/v1/events/{message}/attachments/{index}")).await;
        answer.is_status(200);
        let found = answer.body.strip_suffix(b"\r\n").unwrap_or(&answer.body);
        assert!(found == expected, "attachment {index}: {} bytes", answer.body.len());
    }
    let size = served.size();
    assert_eq!(counts(&import(&served, "format=eml", mail).await.ok()), [1, 0, 1, 0, 0]);
    assert!(served.size() <= size + 2, "only that the attachments were looked at");
    served.check_everything().await;
    served.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn e_mails_are_imported_from_a_zip() {
    let archive = TestArchive::in_memory().await;
    let served = archive.serve().await;
    let mail = |id: &str, text: &str| {
        format!("From: 4915550000001@wa.example\r\nTo: Acme <desk@acme.example>\r\nDate: Sat, 21 Nov 2026 10:00:00 +0100\r\nMessage-ID: <{id}@acme.example>\r\nSubject: chat\r\n\r\n{text}\r\n").into_bytes()
    };
    let zip = zipped(&[
        ("mails/1.eml", &mail("a", "a brown okapi")),
        ("mails/2.eml", &mail("b", "a grey one")),
        ("mails/3.eml", b"no mail"),
    ]);
    let view = import(&served, "format=eml", zip.clone()).await.ok();
    assert_eq!((counts(&view), &view["mistakes"]), ([2, 2, 0, 0, 0], &json!(1)));
    assert_eq!(view["mistaken"][0]["file"], "3.eml");
    let size = served.size();
    assert_eq!(counts(&import(&served, "format=eml", zip).await.ok()), [2, 0, 2, 0, 0]);
    assert_eq!((served.size(), served.find("okapi from:4915550000001").await.len()), (size, 1));
    let events = served.check_everything().await;
    let kinds = events.iter().filter(|event| event.kind == Kind::ImportCompleted).count();
    assert_eq!(kinds, 1);
    served.close().await;
}
