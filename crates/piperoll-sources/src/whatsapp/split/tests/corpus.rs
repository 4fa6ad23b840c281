//! Every example payload of the shared corpus, where it is at hand.

use std::fs;
use std::path::{Path, PathBuf};

use super::*;

/// Returns name and bytes of every file in a folder of the corpus; none when the corpus is not at hand.
fn files(folder: &str) -> Vec<(String, Vec<u8>)> {
    let Some(shared) = std::env::var_os("PIPEROLL_SHARED") else { return Vec::new() };
    let folder: PathBuf = Path::new(&shared).join("corpus").join(folder);
    let mut found: Vec<_> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ext| ext == "json" || ext == "txt"))
        .map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), fs::read(&path).unwrap()))
        .collect();
    found.sort();
    found
}

/// Calls `visit` with every object in a document.
fn objects<'j>(json: &'j Json, visit: &mut dyn FnMut(&'j serde_json::Map<String, Json>)) {
    match json {
        Json::Object(map) => {
            visit(map);
            map.values().for_each(|value| objects(value, visit));
        }
        Json::Array(list) => list.iter().for_each(|value| objects(value, visit)),
        _ => {}
    }
}

/// Returns the message ids that the arrays of items hold, in any order.
fn own_ids(json: &Json) -> Vec<String> {
    let mut ids = Vec::new();
    objects(json, &mut |map| {
        for name in ["messages", "message_echoes", "statuses", "calls"] {
            for element in map.get(name).and_then(Json::as_array).into_iter().flatten() {
                ids.extend(element["id"].as_str().map(str::to_owned));
            }
        }
    });
    ids.sort();
    ids
}

/// Returns every text and identity of a person that a document holds.
fn personal(json: &Json) -> Vec<String> {
    const KEYS: [&str; 19] = [
        "wa_id",
        "user_id",
        "from",
        "to",
        "recipient_id",
        "recipient_user_id",
        "name",
        "username",
        "full_name",
        "phone_number",
        "body",
        "caption",
        "emoji",
        "title",
        "message_id",
        "original_message_id",
        "from_user_id",
        "detail",
        "parent_user_id",
    ];
    let mut business = Vec::new();
    let mut found = Vec::new();
    objects(json, &mut |map| {
        let own = ["display_phone_number", "phone_number_id"];
        business.extend(own.iter().filter_map(|key| map.get(*key)?.as_str()).map(str::to_owned));
        let account = map.get("changes").and(map.get("id"));
        business.extend(account.and_then(Json::as_str).map(str::to_owned));
        found.extend(KEYS.iter().filter_map(|key| map.get(*key)?.as_str()).map(str::to_owned));
    });
    found.extend(own_ids(json));
    found.retain(|text| text.len() > 3 && !business.iter().any(|number| number.contains(text.as_str())));
    found
}

#[test]
fn every_body_has_the_kind_of_its_field() {
    for (name, bytes) in files("") {
        let items = split_valid(&bytes);
        if !bytes.windows(OBJECT.len()).any(|window| window == OBJECT.as_bytes()) {
            assert_eq!(items[0].kind, Kind::Unrecognised, "{name}");
            continue;
        }
        let field = name.split_once('-').unwrap().1;
        let field = field.split(['-', '.']).next().unwrap();
        for item in &items {
            let kind = item.kind.as_str();
            let expected: &[&str] = match field {
                "messages" => &[
                    "message",
                    "edit",
                    "revoke",
                    "reaction",
                    "system",
                    "status",
                    "error",
                    "preference",
                    "other",
                    "call",
                ],
                "smb_message_echoes" => &["echo"],
                "smb_app_state_sync" => &["contact"],
                "history" => &["history"],
                "calls" => &["call", "error"],
                "user_preferences" => &["preference"],
                "flows" => &["flow"],
                "payment_configuration_update" => &["payment"],
                "automatic_events" | "tracking_events" => &["other"],
                _ if field.starts_with("group_") => &["group"],
                _ if field.contains("template_") => &["template"],
                _ => &["account"],
            };
            let is_expected = expected.iter().any(|name| kind.strip_prefix("whatsapp.") == Some(*name));
            assert!(is_expected, "{name}: {kind}");
        }
    }
}

#[test]
fn every_message_id_is_found() {
    for (name, bytes) in files("") {
        let expected = own_ids(&serde_json::from_slice(&bytes).unwrap());
        let mut found: Vec<_> = split_valid(&bytes)
            .iter()
            .filter(|item| !matches!(item.kind, Kind::WhatsappContact | Kind::WhatsappPreference))
            .filter_map(|item| {
                Some(item.source_id.as_ref()?.split_once('/')?.1.split('|').next()?.to_owned())
            })
            .collect();
        found.sort();
        assert_eq!(found, expected, "{name}");
    }
}

#[test]
fn other_folders_are_cut_validly() {
    for folder in ["partial", "placeholder", "unparseable", "bsp", "requests", "templates"] {
        for (name, bytes) in files(folder) {
            let items = split_valid(&bytes);
            if folder == "unparseable" {
                assert_eq!(items[0].kind, Kind::Unrecognised, "{name}");
            }
        }
    }
}

/// Goal: no person is left in what several items share. Method: each body, and each two bodies in one envelope.
#[test]
fn skeleton_of_any_two_bodies_names_no_person() {
    let all = files("");
    for (i, (name, bytes)) in all.iter().enumerate() {
        let first: Json = serde_json::from_slice(bytes).unwrap();
        let (other_name, other) = &all[(i * 7 + 3) % all.len()];
        let second: Json = serde_json::from_slice(other).unwrap();
        let entries = [&first, &second].map(|body| body["entry"].as_array().unwrap().clone()).concat();
        let merged = json!({"object": "whatsapp_business_account", "entry": entries});
        for body in [merged.to_string(), serde_json::to_string_pretty(&merged).unwrap()] {
            let items = split_valid(body.as_bytes());
            let kept = skeleton(&body, &items);
            for text in personal(&merged) {
                assert!(!kept.contains(&text), "{name} + {other_name}: `{text}` stays in {kept}");
            }
        }
    }
}
