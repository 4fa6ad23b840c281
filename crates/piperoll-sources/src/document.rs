//! JSON as a document: read strictly, looked into leniently, and put together anew.
//!
//! A document in which a key stands twice is refused, because which of the two values is meant cannot be known.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// Reads a whole body; `None` if it is no JSON, nests too deep, or has an object with a key twice.
pub(crate) fn read(body: &[u8]) -> Option<Value> {
    serde_json::from_slice::<Strict>(body).ok().map(|document| document.0)
}

/// Returns the string at `key` unless it is absent or empty.
pub(crate) fn text<'v>(value: &'v Value, key: &str) -> Option<&'v str> {
    value.get(key).and_then(Value::as_str).filter(|text| !text.is_empty())
}

/// Returns a copy of the string at `key` unless it is absent or empty.
pub(crate) fn string(value: &Value, key: &str) -> Option<String> {
    text(value, key).map(str::to_owned)
}

/// Returns the string or number at `key`.
pub(crate) fn id(value: &Value, key: &str) -> Option<String> {
    string(value, key).or_else(|| value.get(key).filter(|value| value.is_number()).map(Value::to_string))
}

/// Returns the value at the end of a path of keys; an index into an array is written in digits.
pub(crate) fn at<'v>(value: &'v Value, path: &[&str]) -> Option<&'v Value> {
    path.iter().try_fold(value, |value, key| match value {
        Value::Array(list) => list.get(key.parse::<usize>().ok()?),
        _ => value.get(*key),
    })
}

/// Returns a copy of the value at `key`.
pub(crate) fn member(value: &Value, key: &str) -> Option<Value> {
    value.get(key).cloned()
}

/// Puts an object together from the members that are there.
pub(crate) fn object<const N: usize>(members: [(&str, Option<Value>); N]) -> Value {
    extended(Map::new(), members)
}

/// Adds the members that are there to others, over those of the same name.
pub(crate) fn extended<const N: usize>(
    mut others: Map<String, Value>,
    members: [(&str, Option<Value>); N],
) -> Value {
    others.extend(members.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))));
    Value::Object(others)
}

/// Returns the members of an object but for the named ones.
pub(crate) fn without(value: &Value, keys: &[&str]) -> Map<String, Value> {
    let members = value.as_object().into_iter().flatten();
    let kept = members.filter(|(key, _)| !keys.contains(&key.as_str()));
    kept.map(|(key, value)| (key.clone(), value.clone())).collect()
}

struct Strict(Value);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StrictVisitor).map(Self)
    }
}

struct StrictVisitor;

impl<'de> Visitor<'de> for StrictVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value without a repeated key")
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::from(text))
    }

    fn visit_string<E>(self, text: String) -> Result<Value, E> {
        Ok(Value::String(text))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(Value::from(number))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(Value::from(number))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Value, E> {
        Ok(Number::from_f64(number).map_or(Value::Null, Value::Number))
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Value, E> {
        Ok(Value::Bool(flag))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(Strict(value)) = seq.next_element()? {
            list.push(value);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some((key, Strict(value))) = members.next_entry::<String, Strict>()? {
            if map.insert(key, value).is_some() {
                return Err(A::Error::custom("expected each key once"));
            }
        }
        Ok(Value::Object(map))
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::disallowed_methods, reason = "`json!` unwraps")]

    use serde_json::json;

    use super::*;

    #[test]
    fn repeated_key_and_broken_json_are_refused() {
        for body in ["", "{", "{\"a\":1,\"a\":2}", "[{\"x\":{\"b\":1,\"\\u0062\":1}}]", "1 2"] {
            assert_eq!(read(body.as_bytes()), None, "{body}");
        }
        assert_eq!(read(&[b'['; 100_000]), None);
    }

    #[test]
    fn every_value_is_read_as_written() {
        let value = json!({"s": "a\u{e9}", "n": [1, -2, 1.5, u64::MAX], "o": {"t": true, "f": null}});
        assert_eq!(read(value.to_string().as_bytes()), Some(value));
    }

    #[test]
    fn members_are_found_by_path_and_left_out_where_absent() {
        let value = json!({"a": [{"b": 7}], "c": ""});
        assert_eq!(at(&value, &["a", "0", "b"]), Some(&json!(7)));
        assert_eq!(at(&value, &["a", "b"]), None);
        assert_eq!((text(&value, "c"), id(&value["a"][0], "b").as_deref()), (None, Some("7")));
        assert_eq!(object([("x", None), ("y", Some(Value::from(1)))]), json!({"y": 1}));
        assert_eq!(Value::Object(without(&value, &["a"])), json!({"c": ""}));
    }
}
