//! Orderly answers.

use std::fmt::Write as _;

use axum::body::{Body, Bytes};
use axum::http::Method;
use axum::http::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use super::fault::{GraphFault, error};
use super::{GRAPH_TOKEN, GRAPH_VERSION, GraphMedia, GraphRequest, Shared};

/// Templates on a page when the request does not say.
const PAGE: usize = 25;

pub(super) fn hex_sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

/// Answers a request, or fails as it was told to.
pub(super) async fn answer(shared: &Shared, request: &GraphRequest) -> Response {
    let bearer = format!("Bearer {GRAPH_TOKEN}");
    if request.headers.get(AUTHORIZATION).is_none_or(|value| value.as_bytes() != bearer.as_bytes()) {
        return error(401, 190);
    }
    let segments: Vec<&str> = request.path.trim_start_matches('/').split('/').collect();
    let is_download = segments.first() == Some(&"lookaside");
    if !is_download && segments.first() != Some(&GRAPH_VERSION) {
        return error(400, 2500);
    }
    let (object, edge) = (segments.get(1).copied().unwrap_or_default(), segments.get(2).copied());
    let names = [
        if is_download { format!("download/{object}") } else { object.to_owned() },
        if is_download { String::new() } else { format!("{object}/{}", edge.unwrap_or_default()) },
    ];
    let fault = {
        let mut known = shared.known();
        names.iter().find_map(|name| known.faults.get_mut(name)?.pop_front())
    };
    if let Some(fault) = &fault
        && let Some(response) = fault.answer().await
    {
        return response;
    }
    match (&request.method, edge) {
        _ if is_download => download(shared, object, edge.unwrap_or_default(), fault.as_ref()),
        (&Method::POST, Some("messages" | "marketing_messages")) => sent(shared, request),
        (&Method::GET, Some("message_templates")) => templates(shared, object, &request.query),
        (&Method::GET, Some("message_history")) => history(shared, object, &request.query),
        (&Method::GET, None) if request.query.starts_with("fields=analytics.") => {
            object_of(shared, &format!("{object}/analytics"), "")
        }
        (&Method::GET, Some(edge)) => object_of(shared, &format!("{object}/{edge}"), ""),
        (&Method::GET, None) => node(shared, object, request, fault.as_ref()),
        _ => error(400, 100),
    }
}

fn json_of(value: &Value) -> Response {
    ([(CONTENT_TYPE, "application/json")], value.to_string()).into_response()
}

/// A media object, a template or a number by its id.
fn node(shared: &Shared, id: &str, request: &GraphRequest, fault: Option<&GraphFault>) -> Response {
    let media = shared.known().media.get(id).cloned();
    if let Some(media) = media {
        return media_info(shared, id, &media, fault);
    }
    let template =
        shared.known().templates.values().flatten().find(|template| text(template, "id") == id).cloned();
    match template {
        Some(template) => json_of(&template),
        None => object_of(shared, id, &request.query),
    }
}

fn media_info(shared: &Shared, id: &str, media: &GraphMedia, fault: Option<&GraphFault>) -> Response {
    let nonce = {
        let mut known = shared.known();
        let asked = known.asked.entry(id.to_owned()).or_default();
        *asked += 1;
        *asked
    };
    let base = shared.base.get().unwrap();
    let mut url = format!("{base}/lookaside/{id}/{nonce}?ext=1&hash=secret");
    let (mut sha256, mut size) = (media.sha256.clone(), media.bytes.len() as u64);
    match fault {
        Some(GraphFault::WrongHash) => sha256 = hex_sha256(b"something else"),
        Some(GraphFault::WrongLength { bytes }) => size = *bytes,
        Some(GraphFault::OtherUrl { url: other }) => url.clone_from(other),
        _ => {}
    }
    json_of(
        &json!({"messaging_product": "whatsapp", "url": url, "mime_type": media.mime_type, "sha256": sha256,
        "file_size": size.to_string(), "id": id}),
    )
}

fn download(shared: &Shared, id: &str, nonce: &str, fault: Option<&GraphFault>) -> Response {
    let (media, newest) = {
        let known = shared.known();
        (known.media.get(id).cloned(), known.asked.get(id).copied().unwrap_or_default())
    };
    let Some(media) = media.filter(|_| nonce == newest.to_string()) else { return error(404, 100) };
    let mime_type = match fault {
        Some(GraphFault::WrongType { mime_type }) => mime_type.clone(),
        _ => media.mime_type.clone(),
    };
    let body = fault.and_then(|fault| fault.body(&media.bytes));
    let body = body.unwrap_or_else(|| Body::from(media.bytes.clone()));
    let headers = [(CONTENT_TYPE, mime_type), (CONTENT_LENGTH, media.bytes.len().to_string())];
    (headers, body).into_response()
}

/// Accepts a send, with a new wamid.
fn sent(shared: &Shared, request: &GraphRequest) -> Response {
    let Ok(body) = serde_json::from_slice::<Value>(&request.body) else { return error(400, 100) };
    let number = {
        let mut known = shared.known();
        known.sent += 1;
        known.sent
    };
    if body["status"] == "read" {
        return json_of(&json!({"success": true}));
    }
    let to = body.get("to").or_else(|| body.get("recipient")).cloned().unwrap_or_default();
    json_of(&json!({"messaging_product": "whatsapp", "contacts": [{"input": to, "wa_id": to}],
        "messages": [{"id": format!("wamid.FAKE{number:08}"), "message_status": "accepted"}]}))
}

/// One page of an account's templates.
fn templates(shared: &Shared, account: &str, query: &str) -> Response {
    let all = shared.known().templates.get(account).cloned();
    all.map_or_else(
        || error(404, 100),
        |all| page(shared, &format!("{account}/message_templates"), &all, query),
    )
}

/// One page of a number's messages.
fn history(shared: &Shared, number: &str, query: &str) -> Response {
    let all = shared.known().histories.get(number).cloned();
    all.map_or_else(|| error(400, 100), |all| page(shared, &format!("{number}/message_history"), &all, query))
}

/// One page of a list; the cursor is the position of the next one.
fn page(shared: &Shared, path: &str, all: &[Value], query: &str) -> Response {
    let parameter = |name: &str| {
        let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        pairs.into_iter().find(|(key, _)| *key == name).and_then(|(_, value)| value.parse::<usize>().ok())
    };
    let (limit, after) = (parameter("limit").unwrap_or(PAGE).min(PAGE), parameter("after").unwrap_or(0));
    let end = all.len().min(after + limit);
    let page: Vec<Value> = all.get(after..end).unwrap_or_default().to_vec();
    let mut paging = json!({"cursors": {"before": after.to_string(), "after": end.to_string()}});
    if end < all.len() {
        let base = shared.base.get().unwrap();
        let next = format!("{base}/{GRAPH_VERSION}/{path}?access_token=x&after={end}");
        paging["next"] = Value::from(next);
    }
    json_of(&json!({"data": page, "paging": paging}))
}

/// An object that a test set, with the fields that are asked for.
fn object_of(shared: &Shared, name: &str, query: &str) -> Response {
    let found = shared.known().objects.get(name).cloned();
    let Some(found) = found else { return error(404, 100) };
    let fields = query.split('&').find_map(|pair| pair.strip_prefix("fields="));
    let Some(fields) = fields else { return json_of(&found) };
    let fields = fields.replace("%2C", ",");
    let asked = |name: &&String| fields.split(',').any(|field| field == name.as_str()) || *name == "id";
    let members = found.as_object().into_iter().flatten().filter(|(name, _)| asked(name));
    let kept: Map<String, Value> = members.map(|(name, value)| (name.clone(), value.clone())).collect();
    json_of(&Value::Object(kept))
}

fn text<'v>(value: &'v Value, key: &str) -> &'v str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// Bytes that no compression shrinks.
#[must_use]
pub fn noise(length: usize, seed: u64) -> Bytes {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes.into()
}
