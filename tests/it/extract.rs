//! Goal: the text of attachments is found whatever they are, and a hostile one harms nothing but itself.

use std::io::{Cursor, Write as _};
use std::time::Duration;

use piperoll_extract::{Extracted, Extractor, Limits, NoText};
use piperoll_format::Kind;
use piperoll_server::Platform;
use piperoll_tests::{FakeGraph, TestArchive, piperoll};
use serde_json::json;
use zip::write::SimpleFileOptions;

use crate::media::{client_of, wait_for};

const DOCX: &str = "application/vnd.openxmlformats-officedocument.wordprocessingml.document";
const XLSX: &str = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet";

async fn extract(media_type: &str, name: Option<&str>, bytes: &[u8]) -> Result<String, NoText> {
    let extractor = Extractor::new(piperoll().to_owned(), Limits::default());
    let extracted = extractor.extract(media_type, name, bytes.len() as u64, bytes).await?;
    assert!(!extracted.is_cut);
    Ok(extracted.text)
}

fn zip(parts: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in parts {
        writer.start_file(*name, SimpleFileOptions::default()).unwrap();
        writer.write_all(bytes).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

/// A PDF of one page with one line, its table of objects in order.
fn pdf(text: &str) -> Vec<u8> {
    let content = format!("BT /F1 12 Tf 72 720 Td ({text}) Tj ET");
    let objects = [
        "<< /Type /Catalog /Pages 2 0 R >>".to_owned(),
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>".to_owned(),
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R \
         /Resources << /Font << /F1 5 0 R >> >> >>"
            .to_owned(),
        format!("<< /Length {} >>\nstream\n{content}\nendstream", content.len()),
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>".to_owned(),
    ];
    let mut file = "%PDF-1.4\n".to_owned();
    let mut offsets = Vec::new();
    for (index, object) in objects.iter().enumerate() {
        offsets.push(file.len());
        file.push_str(&format!("{} 0 obj\n{object}\nendobj\n", index + 1));
    }
    let table = file.len();
    file.push_str(&format!("xref\n0 {}\n0000000000 65535 f \n", objects.len() + 1));
    for offset in offsets {
        file.push_str(&format!("{offset:010} 00000 n \n"));
    }
    let size = objects.len() + 1;
    file.push_str(&format!("trailer\n<< /Size {size} /Root 1 0 R >>\nstartxref\n{table}\n%%EOF\n"));
    file.into_bytes()
}

#[tokio::test]
async fn text_of_each_format_is_found() {
    let document = br#"<?xml version="1.0"?><w:document xmlns:w="w"><w:body><w:p><w:r><w:t>Fees &amp; terms</w:t></w:r></w:p>
        <w:p><w:r><w:t>second&#252;</w:t></w:r></w:p></w:body></w:document>"#;
    let docx = zip(&[("[Content_Types].xml", b"<Types/>"), ("word/document.xml", document)]);
    let odt = zip(&[("content.xml", b"<o xmlns:text='t'><text:p>open words</text:p></o>")]);
    let text = extract(DOCX, None, &docx).await.unwrap();
    assert!(text.contains("Fees & terms\n") && text.contains("secondü"), "{text}");
    let odt = extract("application/vnd.oasis.opendocument.text", None, &odt).await.unwrap();
    assert!(odt.contains("open words"));
    let page = extract("application/pdf", None, &pdf("Quarterly statement")).await.unwrap();
    assert!(page.contains("Quarterly statement"), "{page}");
    assert_eq!(extract("text/plain", None, "Grüße".as_bytes()).await.unwrap(), "Grüße");
    let card = extract("text/vcard", None, b"BEGIN:VCARD\nFN:Ada Brandt\nEND:VCARD\n").await.unwrap();
    assert_eq!(card, "Ada Brandt");
    let by_name = extract("application/octet-stream", Some("a.csv"), b"x;y").await.unwrap();
    assert_eq!(by_name, "x;y");
}

#[tokio::test]
async fn spreadsheet_cells_are_found() {
    let sheet = br#"<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>
        <row r="1"><c r="A1" t="inlineStr"><is><t>Account</t></is></c><c r="B1"><v>4711</v></c></row></sheetData></worksheet>"#;
    let book = br#"<workbook xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"
        xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships">
        <sheets><sheet name="Positions" sheetId="1" r:id="rId1"/></sheets></workbook>"#;
    let relations = br#"<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">
        <Relationship Id="rId1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/worksheet"
        Target="worksheets/sheet1.xml"/></Relationships>"#;
    let start = br#"<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">
        <Relationship Id="rId1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument"
        Target="xl/workbook.xml"/></Relationships>"#;
    let types = br#"<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"/>"#;
    let xlsx = zip(&[
        ("[Content_Types].xml", types),
        ("_rels/.rels", start),
        ("xl/workbook.xml", book),
        ("xl/_rels/workbook.xml.rels", relations),
        ("xl/worksheets/sheet1.xml", sheet),
    ]);
    let text = extract(XLSX, None, &xlsx).await.unwrap();
    assert!(text.contains("Positions") && text.contains("Account\t4711"), "{text}");
}

#[tokio::test]
async fn hostile_attachments_are_named_and_harm_nothing() {
    let bomb = zip(&[("word/document.xml", &vec![b' '; 80 * 1024 * 1024])]);
    assert!(bomb.len() < 1024 * 1024);
    let mut nested = b"%PDF-1.4\n1 0 obj\n".to_vec();
    nested.extend(b"[".repeat(3_000_000));
    let parts: Vec<(String, &[u8])> = (0..5_000).map(|n| (format!("p{n}"), &b""[..])).collect();
    let parts: Vec<(&str, &[u8])> = parts.iter().map(|(name, bytes)| (&**name, *bytes)).collect();
    let cases: [(&str, Vec<u8>); 7] = [
        (DOCX, bomb),
        (DOCX, zip(&parts)),
        (DOCX, b"PK\x03\x04 truncated".to_vec()),
        (DOCX, zip(&[("word/document.xml", b"<a><b></a>")])),
        (XLSX, b"no sheet".to_vec()),
        ("application/pdf", nested),
        ("application/pdf", pdf("x")[..200].to_vec()),
    ];
    for (media_type, bytes) in cases {
        let found = extract(media_type, None, &bytes).await;
        assert!(
            matches!(found, Err(NoText::Unreadable(_) | NoText::Ended(_) | NoText::Empty)),
            "{media_type} of {} bytes: {found:?}",
            bytes.len()
        );
    }
    // The next one is read as if nothing had happened.
    assert_eq!(extract("text/plain", None, b"still here").await.unwrap(), "still here");
}

#[tokio::test]
async fn bounds_are_kept() {
    let limits = Limits { input_bytes: 10, text_bytes: 4, ..Limits::default() };
    let extractor = Extractor::new(piperoll().to_owned(), limits);
    let cut = extractor.extract("text/plain", None, 6, &b"abcdef"[..]).await.unwrap();
    assert_eq!(cut, Extracted { text: "abcd".to_owned(), is_cut: true });
    let large = extractor.extract("text/plain", None, 11, &[b'a'; 11][..]).await;
    assert_eq!(large, Err(NoText::TooLarge { max: 10, found: 11 }));
    let picture = extractor.extract("image/png", None, 1, &b"a"[..]).await;
    assert_eq!(picture, Err(NoText::Unsupported));
    let blank = extractor.extract("text/plain", None, 2, &b" \n"[..]).await;
    assert_eq!(blank, Err(NoText::Empty));
}

#[tokio::test]
async fn child_that_never_ends_is_ended() {
    let limits = Limits { time: Duration::from_millis(200), ..Limits::default() };
    let extractor = Extractor::new(piperoll().to_owned(), limits.clone());
    // Input that never ends keeps the child waiting.
    let (_kept_open, input) = tokio::io::duplex(16);
    let found = extractor.extract("text/plain", None, 1, input).await;
    assert_eq!(found, Err(NoText::TimedOut(limits.time)));
    let absent = Extractor::new("/nonexistent/program".into(), Limits::default());
    let found = absent.extract("text/plain", None, 1, &b"a"[..]).await;
    assert!(matches!(found, Err(NoText::NotStarted(_))), "{found:?}");
}

/// A webhook with a document from a customer, its media id the same as the message's.
fn document(id: &str, media_type: &str) -> Vec<u8> {
    let value = json!({"messaging_product": "whatsapp",
        "metadata": {"display_phone_number": "15550109", "phone_number_id": "100"},
        "messages": [{"from": "15550100", "id": id, "timestamp": "1795260000", "type": "document",
            "document": {"id": id, "mime_type": media_type}}]});
    let body = json!({"object": "whatsapp_business_account", "entry": [{"id": "1022",
        "changes": [{"field": "messages", "value": value}]}]});
    serde_json::to_vec(&body).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn fetched_attachments_are_searched_by_their_text_and_parsed_once() {
    let (archive, graph) = (TestArchive::in_memory().await, FakeGraph::start().await);
    graph.add_media("m1", "application/pdf", pdf("Quarterly statement"));
    graph.add_media("m2", "application/pdf", b"%PDF-1.4 broken".to_vec());
    graph.add_media("m3", "image/jpeg", b"a picture".to_vec());
    let platform = || Platform {
        graph: Some(client_of(&graph)),
        extractor: Some(Extractor::new(piperoll().to_owned(), Limits::default())),
        ..Platform::default()
    };
    let served = archive.serve_with(Some(platform())).await;
    for (id, media_type) in [("m3", "image/jpeg"), ("m2", "application/pdf"), ("m1", "application/pdf")] {
        served.deliver(&document(id, media_type)).await.is_status(200);
    }
    let texts = wait_for(&served, Kind::MediaText, 2).await;
    let (found, failed): (Vec<_>, Vec<_>) = texts.iter().partition(|(_, text)| text["text"].is_string());
    let ([(seq, text)], [(_, reason)]) = (&found[..], &failed[..]) else { panic!("{texts:?}") };
    assert!(text["text"].as_str().unwrap().contains("Quarterly statement"));
    assert_eq!(reason["reason"], "expected a readable PDF");
    assert_eq!(served.find("quarterly statement").await, [*seq]);
    served.check_everything().await;
    served.close().await;
    // After a restart there is nothing left to do: one more capture brings one more text and no repeats.
    let served = archive.serve_with(Some(platform())).await;
    graph.add_media("m4", "text/plain", "minutes of the meeting");
    served.deliver(&document("m4", "text/plain")).await.is_status(200);
    assert_eq!(wait_for(&served, Kind::MediaText, 3).await.len(), 3);
    served.close().await;
}
