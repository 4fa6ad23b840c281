//! Message objects: what stands in `messages[]`, `message_echoes[]` and `threads[].messages[]`.

use base64::{Engine, engine::general_purpose::STANDARD};

use super::json::{Json, list, map};
use super::people::{Customer, Number};
use super::phrase::Advertisement;
use super::random::Random;

/// Who wrote a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Customer,
    Business,
}

/// Makes a message id: `wamid.` and base64 of tag-length-value bytes that hold the other party's number and
/// the stanza id of the device.
pub(crate) fn message_id(side: Side, address: &str, random: &mut Random) -> String {
    let (stanza, marker) = match side {
        Side::Customer => (format!("3A{}", random.characters(b"0123456789ABCDEF", 18)), 0x12),
        Side::Business => (random.characters(b"0123456789ABCDEF", 18), 0x11),
    };
    let mut bytes = vec![0x1c, 0x18, length(address)];
    bytes.extend_from_slice(address.as_bytes());
    bytes.extend_from_slice(&[0x15, 0x02, 0x00, marker, 0x18, length(&stanza)]);
    bytes.extend_from_slice(stanza.as_bytes());
    bytes.push(0);
    format!("wamid.{}", STANDARD.encode(bytes))
}

fn length(text: &str) -> u8 {
    u8::try_from(text.len()).expect("numbers and stanza ids are short")
}

/// The type of a message and the object under the key of that name.
#[derive(Debug, Clone)]
pub(crate) struct Content {
    pub(crate) kind: &'static str,
    pub(crate) object: Json,
}

fn content(kind: &'static str, object: Json) -> Content {
    Content { kind, object }
}

pub(crate) fn text(body: &str) -> Content {
    content("text", map! {"body": body})
}

fn media(mime_type: &str, caption: Option<&str>, filename: Option<&str>, random: &mut Random) -> Json {
    let id = random.digits(16);
    let url = format!(
        "https://lookaside.fbsbx.com/whatsapp_business/attachments/?mid={id}&source=webhook&ext={}",
        random.digits(10)
    );
    map! {
        "caption": caption,
        "filename": filename,
        "mime_type": mime_type,
        "sha256": STANDARD.encode(random.digest()),
        "id": id,
        "url": url,
    }
}

pub(crate) fn image(caption: Option<&str>, random: &mut Random) -> Content {
    content("image", media("image/jpeg", caption, None, random))
}

pub(crate) fn video(caption: Option<&str>, random: &mut Random) -> Content {
    content("video", media("video/mp4", caption, None, random))
}

pub(crate) fn document(filename: &str, caption: Option<&str>, random: &mut Random) -> Content {
    content("document", media("application/pdf", caption, Some(filename), random))
}

pub(crate) fn voice(random: &mut Random) -> Content {
    content("audio", media("audio/ogg; codecs=opus", None, None, random).with("voice", true))
}

pub(crate) fn sticker(random: &mut Random) -> Content {
    let animated = random.chance(40);
    content("sticker", media("image/webp", None, None, random).with("animated", animated))
}

pub(crate) fn location(named: bool, random: &mut Random) -> Content {
    let degrees = |whole: i64, part: i64| Json::Number(format!("{whole}.{part:06}"));
    let object = map! {
        "latitude": degrees(40, random.between(600_000, 899_999)),
        "longitude": degrees(-73, random.between(800_000, 999_999)),
        "name": named.then_some("Corner bakery"),
        "address": named.then_some("7 Tidewater Lane"),
    };
    content("location", object)
}

pub(crate) fn contacts(person: &Customer) -> Content {
    let phone = person.phone.as_ref();
    let card = map! {
        "name": map! {"first_name": person.first, "formatted_name": &person.name},
        "phones": list![map! {"phone": phone.map(|digits| format!("+{digits}")), "wa_id": phone, "type": "Mobile"}],
    };
    content("contacts", list![card])
}

pub(crate) fn button_reply(id: &str, title: &str) -> Content {
    content("interactive", map! {"type": "button_reply", "button_reply": map! {"id": id, "title": title}})
}

pub(crate) fn list_reply(id: &str, title: &str, description: &str) -> Content {
    let reply = map! {"id": id, "title": title, "description": description};
    content("interactive", map! {"type": "list_reply", "list_reply": reply})
}

/// Makes the answer to a flow; `response` is JSON inside a string.
pub(crate) fn flow_reply(response: &str) -> Content {
    let reply = map! {"response_json": response, "body": "Sent", "name": "flow"};
    content("interactive", map! {"type": "nfm_reply", "nfm_reply": reply})
}

pub(crate) fn call_permission(until: i64) -> Content {
    let reply = map! {
        "response": "accept", "is_permanent": false, "expiration_timestamp": until, "response_source": "user_action",
    };
    content("interactive", map! {"type": "call_permission_reply", "call_permission_reply": reply})
}

/// Makes the answer to a quick-reply button of a template.
pub(crate) fn button(payload: &str, text: &str) -> Content {
    content("button", map! {"payload": payload, "text": text})
}

pub(crate) fn order(note: Option<&str>, cents: i64, random: &mut Random) -> Content {
    let item = map! {
        "product_retailer_id": format!("SKU-{}", random.digits(5)),
        "quantity": random.between(1, 3),
        "item_price": Json::Number(format!("{}.{:02}", cents / 100, cents % 100)),
        "currency": "USD",
    };
    content("order", map! {"catalog_id": "194836987003835", "text": note, "product_items": list![item]})
}

/// Makes a reaction; no emoji takes an earlier one back.
pub(crate) fn reaction(target: &str, emoji: Option<&str>) -> Content {
    content("reaction", map! {"message_id": target, "emoji": emoji})
}

pub(crate) fn edit(target: &str, new: &Content) -> Content {
    let message = map! {"type": new.kind}.with(new.kind, new.object.clone());
    content("edit", map! {"original_message_id": target, "message": message})
}

pub(crate) fn revoke(target: &str) -> Content {
    content("revoke", map! {"original_message_id": target})
}

/// What a message may carry beside its content.
#[derive(Debug, Clone, Default)]
pub(crate) struct Extras {
    pub(crate) context: Option<Json>,
    pub(crate) referral: Option<Json>,
}

/// Makes the `context` of a reply to message `id` that `from` had sent.
pub(crate) fn reply_to(from: Option<&str>, id: &str) -> Json {
    map! {"from": from, "id": id}
}

/// Makes the `referral` of somebody who came from an advertisement of `number`. A number has two campaigns
/// with each text of a language; whoever comes from the same one has the same referral but for the click's id.
pub(crate) fn referral(number: &Number, customer: &Customer, random: &mut Random) -> Json {
    let text: &Advertisement = random.pick(&customer.bank().advertisements);
    let mut campaign = Random::new(random.below(2));
    for byte in number.id.bytes().chain(text.headline.bytes()) {
        campaign = Random::new(campaign.bits() ^ u64::from(byte));
    }
    let source = campaign.characters(b"abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789", 9);
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    map! {
        "source_url": format!("https://fb.me/{source}"),
        "source_id": format!("1202{}", campaign.digits(14)),
        "source_type": "ad",
        "headline": text.headline,
        "body": text.body,
        "media_type": "image",
        "image_url": format!("https://scontent.xx.fbcdn.net/v/t45.1600-4/{}_n.jpg", campaign.digits(15)),
        "ctwa_clid": format!("Af{}", random.characters(alphabet, 132)),
        "welcome_message": map! {"text": text.greeting},
    }
}

/// Writes a message of a customer as it stands in `messages[]`.
pub(crate) fn inbound(customer: &Customer, id: &str, at: i64, content: &Content, extras: Extras) -> Json {
    map! {
        "context": extras.context,
        "from": customer.phone.as_ref(),
        "from_user_id": &customer.user_id,
        "from_parent_user_id": customer.parent_user_id.as_ref(),
        "id": id,
        "timestamp": at.to_string(),
    }
    .with(content.kind, content.object.clone())
    .with("type", content.kind)
    .with("referral", extras.referral)
}

/// Writes a message of the business app as it stands in `message_echoes[]`.
pub(crate) fn echo(
    number: &Number,
    customer: &Customer,
    id: &str,
    at: i64,
    content: &Content,
    context: Option<Json>,
) -> Json {
    map! {
        "from": number.display,
        "to": customer.phone.as_ref(),
        "to_user_id": &customer.user_id,
        "to_parent_user_id": customer.parent_user_id.as_ref(),
        "id": id,
        "timestamp": at.to_string(),
        "context": context,
        "type": content.kind,
    }
    .with(content.kind, content.object.clone())
}
