//! What was observed of the platform last: digests by which an answer is compared with the one committed before.

use piperoll_format::Kind;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::database::Projections;
use crate::error::ProjectionError;
use crate::fact::{Fact, Facts, Observed, Table};

/// The list of templates that webhooks said something about. Its facts have the event's `seq` in place of a time.
const TOLD: &str = "@told";

/// Members of a template that change with use and say nothing about what a recipient sees.
const NOT_COMPARED: [&str; 1] = ["quality_score"];

/// Members that make up what a recipient sees.
const CONTENT: [&str; 4] = ["name", "language", "parameter_format", "components"];

/// A fact of [`Table::Observed`].
#[derive(Serialize, Deserialize)]
struct Seen {
    digest: [u8; 32],
}

/// Adds what an event says about the platform's answers, and which template a webhook is about.
pub(crate) fn fold(observed: &Observed<'_>, facts: &mut Facts<'_>) {
    if observed.kind == Kind::WhatsappTemplate {
        let template = observed.message.template.as_ref();
        if let Some(id) = template.and_then(|template| template.id.as_deref()) {
            facts.put(Table::Observed, TOLD, i64::try_from(observed.seq).unwrap_or(i64::MAX), &id);
        }
        return;
    }
    let part = observed.payload.parts.first().map(Vec::as_slice).unwrap_or_default();
    let read = || serde_json::from_slice::<Value>(part).ok();
    let seen = match observed.kind {
        Kind::AccountObserved => read().and_then(|document| answer_digest(&document)),
        Kind::TemplateSnapshot => read().and_then(|document| template_digest(&document)),
        _ => None,
    };
    if let Some((key, digest)) = seen {
        let at = i64::try_from(observed.recorded_at.0).unwrap_or(i64::MAX);
        facts.put(Table::Observed, &key, at, &Seen { digest });
    }
}

/// Returns the key and the digest of the answer in a document about an account.
fn answer_digest(document: &Value) -> Option<(String, [u8; 32])> {
    let text = |key: &str| document.get(key).and_then(Value::as_str);
    let status = document.get("status").and_then(Value::as_u64).and_then(|status| u16::try_from(status).ok());
    let answer = document.get("answer").cloned().unwrap_or_default();
    let judged_by = [text("account"), text("expected_callback")];
    let digest = observed_digest(status.unwrap_or(0), &answer, judged_by);
    Some((format!("{}:{}", text("object")?, text("id")?), digest))
}

impl Projections {
    /// Returns the digest of what was last observed under a key, and when that was recorded (microseconds since the
    /// epoch).
    ///
    /// # Errors
    /// [`ProjectionError`].
    pub fn last_observed(&self, key: &str) -> Result<Option<([u8; 32], u64)>, ProjectionError> {
        let newest = self.newest::<Seen>(Table::Observed, key, i64::MIN..=i64::MAX, 1)?;
        Ok(newest.first().map(|fact| (fact.value.digest, u64::try_from(fact.at).unwrap_or(0))))
    }

    /// Lists the templates (by id) that webhooks from position `from` on said something about, at most `limit`.
    ///
    /// # Errors
    /// [`ProjectionError`].
    pub fn templates_told(&self, from: u64, limit: usize) -> Result<Vec<Fact<String>>, ProjectionError> {
        let from = i64::try_from(from).unwrap_or(i64::MAX);
        self.facts(Table::Observed, TOLD, from..=i64::MAX, limit)
    }
}

/// Returns the digest of an answer with its status and of the settings that it is judged by: the account and the
/// callback address that are expected. Other settings make an answer worth recording again.
#[must_use]
pub fn observed_digest(status: u16, answer: &Value, judged_by: [Option<&str>; 2]) -> [u8; 32] {
    if judged_by == [None, None] {
        return digest_of(status, answer);
    }
    digest_of(status, &Value::from(vec![Value::from(judged_by.to_vec()), answer.clone()]))
}

/// Returns the digest of an answer with its status.
#[must_use]
pub fn digest_of(status: u16, answer: &Value) -> [u8; 32] {
    let mut hasher = Sha256::new();
    hasher.update(status.to_be_bytes());
    hash(answer, &mut hasher);
    hasher.finalize().into()
}

/// Returns the key and the digest of the template in a snapshot's document.
fn template_digest(document: &Value) -> Option<(String, [u8; 32])> {
    let template = document.get("template")?;
    Some((template_key(template)?, compared(template)))
}

/// Returns the key under which a template is remembered: its id, or name and language where there is none.
#[must_use]
pub fn template_key(template: &Value) -> Option<String> {
    let text = |key: &str| match template.get(key)? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    let id = text("id").or_else(|| Some(format!("{}/{}", text("name")?, text("language")?)))?;
    Some(format!("template:{id}"))
}

/// Returns the digest of everything about a template that makes a new snapshot.
#[must_use]
pub fn compared(template: &Value) -> [u8; 32] {
    members(template, |name| !NOT_COMPARED.contains(&name))
}

/// Returns the digest of what a recipient sees: equal for two versions that differ in status or category only.
#[must_use]
pub fn content(template: &Value) -> [u8; 32] {
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
        let expected = ("template:7".to_owned(), compared(&template));
        assert_eq!(template_digest(&json!({"template": template})), Some(expected));
    }
}
