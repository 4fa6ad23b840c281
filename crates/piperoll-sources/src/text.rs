//! Finds the strings of a document that people read.

use serde_json::Value;

/// Texts longer than this many bytes in all are not taken from a part that could not be read.
const UNREAD_BYTES_MAX: usize = 1 << 20;

/// Adds a text unless it is blank.
pub(crate) fn push(text: &str, texts: &mut Vec<String>) {
    if !text.trim().is_empty() {
        texts.push(text.to_owned());
    }
}

/// Adds the string at `key`, if there is one.
pub(crate) fn push_at(value: &Value, key: &str, texts: &mut Vec<String>) {
    if let Some(text) = value.get(key).and_then(Value::as_str) {
        push(text, texts);
    }
}

/// Adds every string value.
pub(crate) fn all(value: &Value, texts: &mut Vec<String>) {
    match value {
        Value::String(text) => push(text, texts),
        Value::Array(list) => list.iter().for_each(|value| all(value, texts)),
        Value::Object(map) => map.values().for_each(|value| all(value, texts)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Adds what can be searched in a part that was not understood: its strings if it is JSON, else its text.
pub(crate) fn all_of_bytes(part: &[u8], texts: &mut Vec<String>) {
    let Ok(part) = std::str::from_utf8(part) else { return };
    if part.len() > UNREAD_BYTES_MAX {
        return;
    }
    match serde_json::from_str(part) {
        Ok(value) => all(&value, texts),
        Err(_) => push(part, texts),
    }
}

/// Adds every string value but those that only machines read: ids, types, digests, addresses, times.
pub(crate) fn readable(value: &Value, texts: &mut Vec<String>) {
    match value {
        Value::String(text) => push(text, texts),
        Value::Array(list) => list.iter().for_each(|value| readable(value, texts)),
        Value::Object(map) => {
            map.iter().filter(|(key, _)| !is_technical(key)).for_each(|(_, value)| readable(value, texts));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn is_technical(key: &str) -> bool {
    const KEYS: [&str; 16] = [
        "code",
        "ctwa_clid",
        "format",
        "from",
        "href",
        "id",
        "index",
        "link",
        "messaging_product",
        "metadata",
        "mime_type",
        "sha256",
        "timestamp",
        "to",
        "type",
        "url",
    ];
    const ENDINGS: [&str; 14] = [
        "_id",
        "_ids",
        "_type",
        "_timestamp",
        "_url",
        "_format",
        "_uuid",
        "Id",
        "Ids",
        "Type",
        "Url",
        "At",
        "Time",
        "Reference",
    ];
    KEYS.contains(&key) || ENDINGS.iter().any(|ending| key.ends_with(ending))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::disallowed_methods, reason = "`json!` unwraps")]

    use serde_json::json;

    use super::*;

    #[test]
    fn readable_leaves_out_what_machines_read() {
        let mut texts = Vec::new();
        let value = json!({"id": "1", "text": "a", "list": [{"title": "b", "type": "reply"}], "template_id": "7",
            "n": 5, "blank": " ", "sha256": "00", "image_url": "x"});
        readable(&value, &mut texts);
        texts.sort();
        assert_eq!(texts, ["a", "b"]);
        texts.clear();
        all(&value, &mut texts);
        assert_eq!(texts.len(), 7);
    }
}
