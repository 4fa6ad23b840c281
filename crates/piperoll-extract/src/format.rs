//! Which format an attachment has: by its first bytes, then by its claimed media type and file name.

/// A format whose text can be taken out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// PDF (ISO 32000).
    Pdf,
    /// A zip of XML parts: Office Open XML (ECMA-376) or `OpenDocument` (ISO/IEC 26300), text and slides.
    Document,
    /// A spreadsheet in any format with cells.
    Sheet,
    /// vCard (RFC 6350).
    VCard,
    /// Plain text in a common encoding.
    Plain,
}

/// Media types that are worth trying; the child looks at the bytes as well.
const DOCUMENTS: [&str; 4] = [
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    "application/vnd.oasis.opendocument.text",
    "application/vnd.oasis.opendocument.presentation",
];
const SHEETS: [&str; 3] = [
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "application/vnd.ms-excel",
    "application/vnd.oasis.opendocument.spreadsheet",
];
const PLAIN: [&str; 3] = ["application/json", "application/xml", "application/csv"];

/// Chooses a format by claimed media type and file name; `None` when neither promises text.
pub(crate) fn claimed(media_type: &str, file_name: Option<&str>) -> Option<Format> {
    let media_type = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let extension = file_name.and_then(|name| name.rsplit_once('.')).map(|(_, end)| end.to_ascii_lowercase());
    let by_type = match media_type.as_str() {
        "application/pdf" => Some(Format::Pdf),
        "text/vcard" | "text/x-vcard" | "text/directory" => Some(Format::VCard),
        known if DOCUMENTS.contains(&known) => Some(Format::Document),
        known if SHEETS.contains(&known) => Some(Format::Sheet),
        known if known.starts_with("text/") || PLAIN.contains(&known) => Some(Format::Plain),
        _ => None,
    };
    by_type.or_else(|| match extension.as_deref()? {
        "pdf" => Some(Format::Pdf),
        "docx" | "pptx" | "odt" | "odp" => Some(Format::Document),
        "xlsx" | "xls" | "xlsb" | "ods" => Some(Format::Sheet),
        "vcf" => Some(Format::VCard),
        "txt" | "csv" | "tsv" | "log" | "md" | "json" | "xml" => Some(Format::Plain),
        _ => None,
    })
}

/// Corrects a claim by the first bytes, which no sender can choose freely without changing the file.
pub(crate) fn actual(claimed: Format, bytes: &[u8]) -> Format {
    let head = &bytes[..bytes.len().min(1024)];
    let is_text = matches!(claimed, Format::Plain | Format::VCard);
    match () {
        () if head.windows(5).any(|window| window == b"%PDF-") && !is_text => Format::Pdf,
        () if head.trim_ascii_start().starts_with(b"BEGIN:VCARD") => Format::VCard,
        () => claimed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn format_is_chosen_by_type_then_by_name() {
        let cases = [
            ("application/pdf", None, Some(Format::Pdf)),
            ("Text/Plain; charset=utf-8", None, Some(Format::Plain)),
            ("text/x-vcard", None, Some(Format::VCard)),
            ("application/octet-stream", Some("Offer.DOCX"), Some(Format::Document)),
            ("application/vnd.ms-excel", Some("a.txt"), Some(Format::Sheet)),
            ("image/jpeg", Some("photo.jpg"), None),
            ("", None, None),
        ];
        for (media_type, name, expected) in cases {
            assert_eq!(claimed(media_type, name), expected, "{media_type} {name:?}");
        }
    }
}
