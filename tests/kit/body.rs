//! Webhook bodies: the committed fixtures, the shared corpus where it is at hand, and small ones of our own.

use std::fs;
use std::path::Path;

use serde_json::json;

/// A body and the name of its file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedBody {
    /// Folder and file.
    pub name: String,
    /// The exact bytes.
    pub bytes: Vec<u8>,
}

/// Returns the committed fixtures.
///
/// # Panics
/// When they cannot be read.
#[must_use]
pub fn fixtures() -> Vec<NamedBody> {
    let found = files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/webhooks/whatsapp"));
    assert!(found.len() > 50, "the fixtures are there");
    found
}

/// Returns every webhook body of the shared corpus; none when `PIPEROLL_SHARED` does not say where it is.
///
/// # Panics
/// When it says so and they cannot be read.
#[must_use]
pub fn corpus() -> Vec<NamedBody> {
    let Some(shared) = std::env::var_os("PIPEROLL_SHARED") else { return Vec::new() };
    let corpus = Path::new(&shared).join("corpus");
    ["", "partial", "placeholder", "unparseable", "bsp"]
        .iter()
        .flat_map(|folder| files(&corpus.join(folder)))
        .collect()
}

fn files(folder: &Path) -> Vec<NamedBody> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "json" || extension == "txt") {
            let name = path.file_name().unwrap().to_string_lossy();
            let folder = folder.file_name().unwrap().to_string_lossy();
            found.push(NamedBody { name: format!("{folder}/{name}"), bytes: fs::read(&path).unwrap() });
        }
    }
    found.sort_by(|left, right| left.name.cmp(&right.name));
    found
}

/// A webhook with text messages, each with id, sender and text, to the business number `number`.
#[must_use]
pub fn webhook_to(number: &str, messages: &[(&str, &str, &str)]) -> Vec<u8> {
    let contacts: Vec<_> = messages
        .iter()
        .map(|(_, from, _)| json!({ "profile": { "name": format!("Customer {from}") }, "wa_id": from }))
        .collect();
    let messages: Vec<_> = messages
        .iter()
        .map(|(id, from, text)| {
            json!({ "from": from, "id": id, "timestamp": "1795260000", "type": "text", "text": { "body": text } })
        })
        .collect();
    let value = json!({
        "messaging_product": "whatsapp",
        "metadata": { "display_phone_number": "15550109", "phone_number_id": number },
        "contacts": contacts,
        "messages": messages,
    });
    let change = json!({ "field": "messages", "value": value });
    let body = json!({ "object": "whatsapp_business_account", "entry": [{ "id": "102290129340398", "changes": [change] }] });
    serde_json::to_vec(&body).unwrap()
}

/// A webhook with text messages to the number that is kept for long.
#[must_use]
pub fn webhook(messages: &[(&str, &str, &str)]) -> Vec<u8> {
    webhook_to("100", messages)
}
