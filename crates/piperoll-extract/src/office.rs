//! Documents that are a zip of XML parts, and spreadsheets.

use std::io::{Cursor, Read as _};

use calamine::Reader as _;
use quick_xml::events::{BytesRef, Event};
use zip::ZipArchive;

/// Most parts of a document.
const PARTS_MAX: usize = 4_096;
/// Most bytes of XML taken from a document.
const XML_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Most cells taken from a spreadsheet.
const CELLS_MAX: usize = 2_000_000;

/// Returns the text of a word processor's or slide maker's document.
pub(crate) fn document(bytes: &[u8]) -> Result<String, String> {
    let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(|_| "expected a zip archive".to_owned())?;
    if archive.len() > PARTS_MAX {
        return Err(format!("expected at most {PARTS_MAX} parts, found {}", archive.len()));
    }
    let mut names: Vec<String> =
        archive.file_names().flatten().filter(|name| is_text(name)).map(Into::into).collect();
    names.sort_by_key(|name| (name.len(), name.clone()));
    if names.is_empty() {
        return Err("expected parts with text, found none".to_owned());
    }
    let mut left = XML_BYTES_MAX;
    let mut text = String::new();
    for name in names {
        let part = archive.by_name(&name).map_err(|_| "a part cannot be read".to_owned())?;
        let mut xml = Vec::new();
        let read =
            part.take(left + 1).read_to_end(&mut xml).map_err(|_| "a part cannot be read".to_owned())?;
        left = left
            .checked_sub(read as u64)
            .ok_or_else(|| format!("expected at most {XML_BYTES_MAX} bytes of text parts, found more"))?;
        xml_text(&xml, &mut text)?;
    }
    Ok(text)
}

fn is_text(name: &str) -> bool {
    let word = ["document", "header", "footer", "footnotes", "endnotes", "comments"];
    let of_word =
        name.strip_prefix("word/").is_some_and(|part| word.iter().any(|start| part.starts_with(start)));
    let of_slides = name.strip_prefix("ppt/slides/slide").or_else(|| name.strip_prefix("ppt/notesSlides/"));
    (of_word || of_slides.is_some()) && name.ends_with(".xml") || name == "content.xml"
}

/// Appends the character data; a paragraph, cell or break ends a line.
fn xml_text(xml: &[u8], text: &mut String) -> Result<(), String> {
    let xml = String::from_utf8_lossy(xml);
    let mut reader = quick_xml::Reader::from_str(&xml);
    loop {
        match reader.read_event() {
            Ok(Event::Text(piece)) => text.push_str(&piece),
            Ok(Event::CData(piece)) => text.push_str(&piece),
            Ok(Event::GeneralRef(name)) => text.push(reference(&name)),
            Ok(Event::End(tag)) if matches!(tag.local_name().as_ref(), "p" | "h" | "tc") => text.push('\n'),
            Ok(Event::Empty(tag))
                if matches!(tag.local_name().as_ref(), "br" | "tab" | "s" | "line-break") =>
            {
                text.push(' ');
            }
            Ok(Event::Eof) => return Ok(()),
            Ok(_) => {}
            Err(_) => return Err("expected well-formed XML".to_owned()),
        }
    }
}

/// Resolves the five references that XML itself knows, and characters by number.
fn reference(name: &BytesRef<'_>) -> char {
    match name.as_ref() {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        _ => name.resolve_char_ref().ok().flatten().unwrap_or(char::REPLACEMENT_CHARACTER),
    }
}

/// Returns the cells of a spreadsheet, row by row.
pub(crate) fn sheet(bytes: &[u8]) -> Result<String, String> {
    let unreadable = |_| "expected a spreadsheet".to_owned();
    let mut book = calamine::open_workbook_auto_from_rs(Cursor::new(bytes)).map_err(unreadable)?;
    let mut text = String::new();
    let mut left = CELLS_MAX;
    for name in book.sheet_names() {
        text.push_str(&name);
        text.push('\n');
        let range = book.worksheet_range(&name).map_err(unreadable)?;
        for row in range.rows() {
            left = left
                .checked_sub(row.len())
                .ok_or_else(|| format!("expected at most {CELLS_MAX} cells, found more"))?;
            let cells: Vec<String> =
                row.iter().map(ToString::to_string).filter(|cell| !cell.is_empty()).collect();
            if !cells.is_empty() {
                text.push_str(&cells.join("\t"));
                text.push('\n');
            }
        }
    }
    Ok(text)
}
