//! What a message says: texts, media, references, template, errors, for every content type.

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::super::json::object;
use super::super::scalar::Scalar;
use super::detail;
use super::part::{read_or_default, read_value};
use crate::document::{id, string};
use crate::message::{Attachment, Message, Reference, Relation, TemplateRef};
use crate::text;

object! {
    /// A message by its content members; those that say who, when and which are told elsewhere.
    Content {
        kind = "type": Scalar<'de>,
        text = "text": &'de RawValue,
        image = "image": &'de RawValue,
        video = "video": &'de RawValue,
        audio = "audio": &'de RawValue,
        voice = "voice": &'de RawValue,
        document = "document": &'de RawValue,
        sticker = "sticker": &'de RawValue,
        location = "location": &'de RawValue,
        contacts = "contacts": &'de RawValue,
        interactive = "interactive": &'de RawValue,
        button = "button": &'de RawValue,
        order = "order": &'de RawValue,
        reaction = "reaction": &'de RawValue,
        system = "system": &'de RawValue,
        edit = "edit": &'de RawValue,
        revoke = "revoke": &'de RawValue,
        errors = "errors": &'de RawValue,
        context = "context": &'de RawValue,
        referral = "referral": &'de RawValue,
        template = "template": &'de RawValue,
    } impersonal [
        "from", "from_user_id", "from_parent_user_id", "to", "to_user_id", "to_parent_user_id", "id", "timestamp",
        "group_id", "identity", "history_context", "recipient_type", "recipient", "messaging_product", "threads",
        "message", "status", "biz_opaque_callback_data"
    ]
}

#[derive(Default, Deserialize)]
struct Body<'a> {
    #[serde(borrow, default)]
    body: Scalar<'a>,
}

#[derive(Default, Deserialize)]
struct Media<'a> {
    #[serde(borrow, default)]
    id: Scalar<'a>,
    #[serde(borrow, default)]
    mime_type: Scalar<'a>,
    #[serde(borrow, default)]
    sha256: Scalar<'a>,
    #[serde(borrow, default)]
    filename: Scalar<'a>,
    #[serde(borrow, default)]
    caption: Scalar<'a>,
}

#[derive(Default, Deserialize)]
struct Context<'a> {
    #[serde(borrow, default)]
    id: Scalar<'a>,
    #[serde(borrow, default)]
    message_id: Scalar<'a>,
}

/// Adds what one content member says.
type Reader = fn(&Value, &mut Message);

/// Adds what a message says.
pub(super) fn read(raw: &RawValue, message: &mut Message) {
    match serde_json::from_str::<Content<'_>>(raw.get()) {
        Ok(content) => read_members(&content, message),
        // A repeated key, or no object at all: everything that looks like text.
        Err(_) => text::readable(&read_value(raw), &mut message.texts),
    }
}

/// Adds what the content members of a message say.
pub(super) fn read_members(content: &Content<'_>, message: &mut Message) {
    if message.message_type.is_empty() {
        message.message_type = content.kind.as_ref().and_then(Scalar::owned).unwrap_or_default();
    }
    if let Some(raw) = content.text {
        match read_or_default::<Body<'_>>(Some(raw)).body.get() {
            Some(body) => text::push(body, &mut message.texts),
            None => text::readable(&read_value(raw), &mut message.texts),
        }
    }
    read_media(content, message);
    if let Some(context) = content.context {
        let context: Context<'_> = read_or_default(Some(context));
        refer(Relation::RepliesTo, context.id.owned().or_else(|| context.message_id.owned()), message);
        if let Some(context) = content
            .context
            .filter(|context| context.get().contains("forwarded") || context.get().contains("product"))
        {
            detail::read_context(&read_value(context), message);
        }
    }
    read_rare(content, message);
}

fn read_media(content: &Content<'_>, message: &mut Message) {
    let media = [
        ("image", content.image),
        ("video", content.video),
        ("audio", content.audio),
        ("voice", content.voice),
        ("document", content.document),
        ("sticker", content.sticker),
    ];
    for (kind, raw) in media {
        let Some(raw) = raw else { continue };
        let media: Media<'_> = read_or_default(Some(raw));
        text::push(media.caption.get().unwrap_or_default(), &mut message.texts);
        message.attachments.push(Attachment {
            attachment_type: kind.to_owned(),
            media_id: media.id.owned(),
            mime_type: media.mime_type.owned(),
            sha256: media.sha256.owned(),
            filename: media.filename.owned(),
        });
    }
}

/// Reads the content types that are rare enough to go through a document.
fn read_rare(content: &Content<'_>, message: &mut Message) {
    let readers: [(Option<&RawValue>, Reader); 12] = [
        (content.location, read_location),
        (content.contacts, read_cards),
        (content.interactive, read_interactive),
        (content.button, read_button),
        (content.order, |order, message| text::push_at(order, "text", &mut message.texts)),
        (content.reaction, read_reaction),
        (content.system, read_system),
        (content.edit, read_edit),
        (content.revoke, |revoke, message| {
            refer(Relation::Revokes, string(revoke, "original_message_id"), message);
        }),
        (content.errors, read_errors),
        (content.referral, read_referral),
        (content.template, read_template),
    ];
    for (raw, read) in readers {
        if let Some(raw) = raw {
            read(&read_value(raw), message);
        }
    }
    // Content types that came later.
    content.others.iter().for_each(|raw| text::readable(&read_value(raw), &mut message.texts));
}

fn read_location(location: &Value, message: &mut Message) {
    ["name", "address"].iter().for_each(|key| text::push_at(location, key, &mut message.texts));
}

/// Reads contact cards: names, numbers, addresses; of a name only the formatted one, which repeats its parts.
fn read_cards(cards: &Value, message: &mut Message) {
    for card in cards.as_array().into_iter().flatten() {
        for (key, value) in card.as_object().into_iter().flatten() {
            match (key.as_str(), value.get("formatted_name")) {
                ("name", Some(name)) => text::readable(name, &mut message.texts),
                ("phones", _) => {
                    let phones = value.as_array().into_iter().flatten();
                    phones.for_each(|phone| text::push_at(phone, "phone", &mut message.texts));
                }
                ("urls", _) => {
                    let urls = value.as_array().into_iter().flatten();
                    urls.for_each(|url| text::push_at(url, "url", &mut message.texts));
                }
                _ => text::readable(value, &mut message.texts),
            }
        }
    }
}

/// Reads replies to buttons, lists and flows, and what a business offered interactively. The answers of a flow are
/// JSON inside a string.
fn read_interactive(interactive: &Value, message: &mut Message) {
    for (key, value) in interactive.as_object().into_iter().flatten() {
        detail::read_reply(key, value, message);
        if key != "nfm_reply" {
            if key != "type" {
                text::readable(value, &mut message.texts);
            }
            continue;
        }
        ["name", "body"].iter().for_each(|key| text::push_at(value, key, &mut message.texts));
        match value.get("response_json") {
            Some(Value::String(response)) => match serde_json::from_str(response) {
                Ok(answers) => text::all(&answers, &mut message.texts),
                Err(_) => text::push(response, &mut message.texts),
            },
            Some(answers) => text::all(answers, &mut message.texts),
            None => {}
        }
    }
}

fn read_button(button: &Value, message: &mut Message) {
    detail::read_button(button, message);
    let key = if button.get("text").is_some_and(Value::is_string) { "text" } else { "payload" };
    text::push_at(button, key, &mut message.texts);
}

fn read_system(system: &Value, message: &mut Message) {
    text::push_at(system, "body", &mut message.texts);
    let sender = message.from.as_ref().and_then(|from| from.phone.clone());
    detail::read_system(system, sender.as_deref(), message);
}

fn read_reaction(reaction: &Value, message: &mut Message) {
    detail::read_reaction(reaction, message);
    text::push_at(reaction, "emoji", &mut message.texts);
    refer(Relation::ReactsTo, string(reaction, "message_id"), message);
}

/// Reads an edit: the message that it replaces, and the new content.
fn read_edit(edit: &Value, message: &mut Message) {
    refer(Relation::Edits, string(edit, "original_message_id"), message);
    let Some(new) = edit.get("message") else { return };
    let new = new.to_string();
    if let Ok(raw) = serde_json::from_str::<&RawValue>(&new) {
        read(raw, message);
    }
}

fn read_referral(referral: &Value, message: &mut Message) {
    detail::read_referral(referral, message);
    ["headline", "body"].iter().for_each(|key| text::push_at(referral, key, &mut message.texts));
    if let Some(welcome) = referral.get("welcome_message") {
        text::push_at(welcome, "text", &mut message.texts);
    }
}

/// Reads a template as sent (with parameters) or as defined (with texts).
pub(super) fn read_template(template: &Value, message: &mut Message) {
    let language = template.get("language");
    let code = language.and_then(|language| language.get("code").unwrap_or(language).as_str());
    let known = message.template.take().unwrap_or_default();
    let found = TemplateRef {
        name: known.name.or_else(|| string(template, "name")),
        language: known.language.or_else(|| code.map(str::to_owned)),
        id: known.id.or_else(|| id(template, "id")),
    };
    if let Some(name) = found.name.as_deref().filter(|name| !message.texts.iter().any(|text| text == name)) {
        text::push(name, &mut message.texts);
    }
    message.template = (found != TemplateRef::default()).then_some(found);
    if let Some(components) = template.get("components") {
        text::readable(components, &mut message.texts);
    }
}

/// Reads the request to send that a standby echo holds, and the template definition beside it.
pub(super) fn read_request(request: &RawValue, echo: &RawValue, message: &mut Message) {
    read(request, message);
    if let Some(template) = read_value(echo).get("template") {
        read_template(template, message);
        detail::read_definition(template, message);
    }
}

/// Reads an array of errors: their codes and what they say.
pub(super) fn read_errors(errors: &Value, message: &mut Message) {
    let single = std::slice::from_ref(errors);
    for error in errors.as_array().map_or(single, Vec::as_slice) {
        message.error_codes.extend(error.get("code").and_then(Value::as_i64));
        text::readable(error, &mut message.texts);
    }
}

/// Reads a media object.
pub(super) fn attachment(kind: &str, media: &Value) -> Attachment {
    Attachment {
        attachment_type: kind.to_owned(),
        media_id: id(media, "id"),
        mime_type: string(media, "mime_type"),
        sha256: string(media, "sha256"),
        filename: string(media, "filename"),
    }
}

fn refer(relation: Relation, source_id: Option<String>, message: &mut Message) {
    message.references.extend(source_id.map(|source_id| Reference { relation, source_id }));
}
