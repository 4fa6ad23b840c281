//! Documents of the archive's own events, compared with their schema.

use std::sync::LazyLock;

use jsonschema::Validator;
use piperoll_format::Kind;
use serde_json::{Value, json};

/// One validator for each kind that `schemas/documents.schema.json` describes.
static VALIDATORS: LazyLock<Vec<(Kind, Validator)>> = LazyLock::new(|| {
    let parse = |text: &str| -> Value { serde_json::from_str(text).unwrap() };
    let documents = parse(include_str!("../../schemas/documents.schema.json"));
    let event = parse(include_str!("../../schemas/event.schema.json"));
    let definitions = &documents["$defs"];
    // A reference elsewhere is followed here; the validator would look for it on the network.
    let mut own = definitions.clone();
    own.as_object_mut().unwrap().retain(|_, definition| definition["$ref"].is_null());
    let kinds = definitions.as_object().unwrap().keys().filter_map(|name| Some((name, name.parse().ok()?)));
    let validator = |(name, kind): (&String, Kind)| {
        let schema = match definitions[name]["$ref"].as_str() {
            Some(elsewhere) => {
                assert_eq!(event["$id"], elsewhere);
                event.clone()
            }
            None => json!({"$ref": format!("#/$defs/{name}"), "$defs": own}),
        };
        (kind, jsonschema::validator_for(&schema).unwrap())
    };
    kinds.map(validator).collect()
});

/// Lists the kinds whose documents have a schema.
#[must_use]
pub fn documented_kinds() -> Vec<Kind> {
    VALIDATORS.iter().map(|(kind, _)| *kind).collect()
}

/// Tells why a document is not as its kind's schema says; nothing when it is, or when there is no schema for the kind.
#[must_use]
pub fn document_mistake(kind: Kind, document: &[u8]) -> Option<String> {
    let (_, validator) = VALIDATORS.iter().find(|(of, _)| *of == kind)?;
    let document: Value = match serde_json::from_slice(document) {
        Ok(document) => document,
        Err(error) => return Some(format!("{kind}: {error}")),
    };
    validator.validate(&document).err().map(|error| format!("{kind}: {error} in {document}"))
}
