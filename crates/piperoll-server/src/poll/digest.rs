//! Digests by which an observation is compared with the last one that was committed.

use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// Members of a template that change with use and say nothing about what a recipient sees.
const NOT_COMPARED: [&str; 1] = ["quality_score"];

/// Members that make up what a recipient sees.
const CONTENT: [&str; 4] = ["name", "language", "parameter_format", "components"];

/// Returns the digest of an answer with its status.
pub(crate) fn digest_of(status: u16, answer: &Value) -> [u8; 32] {
    let mut hasher = Sha256::new();
    hasher.update(status.to_be_bytes());
    hash(answer, &mut hasher);
    hasher.finalize().into()
}

/// Returns the key and the digest of the template in a snapshot's document.
pub(crate) fn template_digest(document: &[u8]) -> Option<(String, [u8; 32])> {
    let document: Value = serde_json::from_slice(document).ok()?;
    let template = document.get("template")?;
    Some((template_key(template)?, compared(template)))
}

/// Returns the key under which a template is remembered: its id, or name and language where there is none.
pub(crate) fn template_key(template: &Value) -> Option<String> {
    let text = |key: &str| match template.get(key)? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    let id = text("id").or_else(|| Some(format!("{}/{}", text("name")?, text("language")?)))?;
    Some(format!("template:{id}"))
}

/// Returns the digest of everything about a template that makes a new snapshot.
pub(crate) fn compared(template: &Value) -> [u8; 32] {
    members(template, |name| !NOT_COMPARED.contains(&name))
}

/// Returns the digest of what a recipient sees: equal for two versions that differ in status or category only.
pub(crate) fn content(template: &Value) -> [u8; 32] {
    members(template, |name| CONTENT.contains(&name))
}

fn members(object: &Value, is_kept: impl Fn(&str) -> bool) -> [u8; 32] {
    let all = object.as_object().into_iter().flatten();
    let kept = all.filter(|(name, _)| is_kept(name)).map(|(name, value)| (name.clone(), value.clone()));
    digest_of(0, &Value::Object(kept.collect()))
}

/// Hashes JSON by its values: members in the order of their names, no white space.
fn hash(value: &Value, hasher: &mut Sha256) {
    match value {
        Value::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            members.sort_by_key(|(name, _)| *name);
            hasher.update(b"{");
            for (name, value) in members {
                hasher.update(Value::from(name.as_str()).to_string());
                hasher.update(b":");
                hash(value, hasher);
                hasher.update(b",");
            }
            hasher.update(b"}");
        }
        Value::Array(list) => {
            hasher.update(b"[");
            for value in list {
                hash(value, hasher);
                hasher.update(b",");
            }
            hasher.update(b"]");
        }
        other => hasher.update(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::disallowed_methods, reason = "`json!` unwraps")]

    use serde_json::json;

    use super::*;

    #[test]
    fn order_of_members_changes_no_digest_and_everything_else_does() {
        let parse = |text: &str| serde_json::from_str::<Value>(text).unwrap();
        let digest = |text: &str| digest_of(200, &parse(text));
        assert_eq!(digest(r#"{"a":1,"b":[1,2]}"#), digest(r#"{ "b" : [1,2], "a" : 1 }"#));
        let other =
            [r#"{"a":1,"b":[2,1]}"#, r#"{"a":1,"b":[[1,2]]}"#, r#"{"a":"1","b":[1,2]}"#, r#"{"a":1}"#];
        for text in other {
            assert_ne!(digest(r#"{"a":1,"b":[1,2]}"#), digest(text), "{text}");
        }
        assert_ne!(digest_of(200, &json!({})), digest_of(401, &json!({})));
    }

    #[test]
    fn quality_makes_no_new_snapshot_and_status_no_new_content() {
        let template = json!({"id": "7", "name": "n", "language": "de", "status": "APPROVED", "components": [],
            "quality_score": {"score": "GREEN"}});
        let with = |name: &str, value: Value| {
            let mut changed = template.clone();
            changed[name] = value;
            changed
        };
        let worse = with("quality_score", json!({"score": "RED"}));
        let paused = with("status", json!("PAUSED"));
        let edited = with("components", json!([{"type": "BODY", "text": "new"}]));
        assert_eq!(compared(&template), compared(&worse));
        assert_ne!(compared(&template), compared(&paused));
        assert_eq!(content(&template), content(&paused));
        assert_ne!(content(&template), content(&edited));
        let document = json!({"template": template}).to_string();
        let expected = ("template:7".to_owned(), compared(&template));
        assert_eq!(template_digest(document.as_bytes()), Some(expected));
    }
}
