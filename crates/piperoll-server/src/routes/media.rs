//! `/v1/events/{seq}/attachments/{index}`: the bytes of media and documents.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use piperoll_format::Seq;

use super::parameter::Segment;
use crate::archive::Archive;
use crate::auth::{By, Read};
use crate::error::ApiError;
use crate::media::AttachmentBody;
use crate::wire::ErrorBody;

const SHA256: HeaderName = HeaderName::from_static("piperoll-sha256");

/// Characters of a file name that are passed on.
const NAME_CHARS_MAX: usize = 128;

/// Returns an attachment.
#[utoipa::path(get, path = "/v1/events/{seq}/attachments/{index}", tag = "read", security(("token" = [])),
    params(("seq" = u64, Path, description = "The position of the event that names it"),
        ("index" = u32, Path, description = "Which of the event's attachments, from 0")), responses(
        (status = 200, description = "The bytes; the answer breaks off if they are not what was captured",
            body = Vec<u8>, content_type = "application/octet-stream", headers(
            ("piperoll-sha256" = String, description = "The SHA-256 of the bytes, hexadecimal"),
        )),
        (status = 404, description = "There is no such attachment, or it was not captured", body = ErrorBody),
        (status = 410, description = "It is destroyed", body = ErrorBody),
    ))]
pub(crate) async fn attachment(
    State(archive): State<Arc<Archive>>,
    By(caller, _): By<Read>,
    Segment((seq, index)): Segment<(u64, u32)>,
) -> Result<Response, ApiError> {
    Ok(answer(archive.attachment(&caller, Seq(seq), index).await?))
}

fn answer(attachment: AttachmentBody) -> Response {
    let mut response = attachment.body.into_response();
    let headers = response.headers_mut();
    let plain = || HeaderValue::from_static("application/octet-stream");
    let media_type = attachment.mime_type.and_then(|text| HeaderValue::from_str(&text).ok());
    let mut set = |name, value| drop(headers.insert(name, value));
    set(header::CONTENT_TYPE, media_type.unwrap_or_else(plain));
    set(header::CONTENT_LENGTH, HeaderValue::from(attachment.size));
    // What a stranger sent must not become a page of this archive.
    set(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    set(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; sandbox"));
    set(header::CONTENT_DISPOSITION, disposition(attachment.filename.as_deref().unwrap_or_default()));
    if let Ok(digest) = HeaderValue::from_str(&attachment.sha256) {
        set(SHA256, digest);
    }
    response
}

/// Offers a file for saving, under the sender's name for it as far as that is harmless (RFC 6266, RFC 8187).
fn disposition(filename: &str) -> HeaderValue {
    let last = filename.rsplit(['/', '\\']).next().unwrap_or_default();
    let name: String = last.chars().filter(|c| !c.is_control()).take(NAME_CHARS_MAX).collect();
    let name = name.trim_matches(['.', ' ']);
    let is_plain = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'.' | b'-' | b'_');
    let text = match name {
        "" => "attachment".to_owned(),
        name if name.bytes().all(is_plain) => format!("attachment; filename=\"{name}\""),
        name => {
            let escaped = name
                .bytes()
                .map(|c| if is_plain(c) { char::from(c).to_string() } else { format!("%{c:02X}") });
            format!("attachment; filename*=UTF-8''{}", escaped.collect::<String>())
        }
    };
    HeaderValue::from_str(&text).unwrap_or_else(|_| HeaderValue::from_static("attachment"))
}

#[cfg(test)]
mod tests {
    use super::disposition;

    #[test]
    fn file_names_of_strangers_do_no_harm() {
        let table = [
            ("", "attachment"),
            ("offer.pdf", "attachment; filename=\"offer.pdf\""),
            ("../../etc/passwd", "attachment; filename=\"passwd\""),
            ("C:\\tmp\\a b.pdf", "attachment; filename*=UTF-8''a%20b.pdf"),
            ("x\"; filename=\"y.exe", "attachment; filename*=UTF-8''x%22%3B%20filename%3D%22y.exe"),
            ("a\r\nset-cookie: b", "attachment; filename*=UTF-8''aset-cookie%3A%20b"),
            ("żółć.txt", "attachment; filename*=UTF-8''%C5%BC%C3%B3%C5%82%C4%87.txt"),
            ("..", "attachment"),
        ];
        for (name, expected) in table {
            assert_eq!(disposition(name).to_str().ok(), Some(expected), "{name}");
        }
    }
}
