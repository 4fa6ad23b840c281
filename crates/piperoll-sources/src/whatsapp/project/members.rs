//! All members of a message that are read, in one pass.

use serde_json::value::RawValue;

use super::super::element::MessageHead;
use super::super::json::{is_object, object};
use super::super::scalar::Scalar;
use super::content::Content;
use super::talk::Shape;

object! {
    /// A message by everything that [`Shape`], [`MessageHead`] and [`Content`] read of it.
    All {
        from = "from": Scalar<'de>,
        from_user_id = "from_user_id": Scalar<'de>,
        from_parent_user_id = "from_parent_user_id": Scalar<'de>,
        to = "to": Scalar<'de>,
        to_user_id = "to_user_id": Scalar<'de>,
        to_parent_user_id = "to_parent_user_id": Scalar<'de>,
        group_id = "group_id": Scalar<'de>,
        status = "status": Scalar<'de>,
        id = "id": Scalar<'de>,
        timestamp = "timestamp": Scalar<'de>,
        message = "message": &'de RawValue,
        history_context = "history_context": &'de RawValue,
        threads = "threads": &'de RawValue,
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
    } impersonal ["identity", "recipient_type", "recipient", "messaging_product", "biz_opaque_callback_data"]
}

/// The members of a message, by who reads them.
pub(super) struct Members<'a> {
    pub(super) shape: Shape<'a>,
    pub(super) head: MessageHead<'a>,
    pub(super) content: Content<'a>,
}

impl<'a> Members<'a> {
    /// Reads a message; nothing where it is no object or has a key twice, which each reader takes in its own way.
    pub(super) fn read(raw: &'a RawValue) -> Option<Self> {
        if !is_object(raw) {
            return None;
        }
        let all: All<'a> = serde_json::from_str(raw.get()).ok()?;
        // A null is a member for the content, and none for the others.
        let given = |raw: Option<&'a RawValue>| raw.filter(|raw| raw.get() != "null");
        let from = all.from.unwrap_or_default();
        let from_user_id = all.from_user_id.unwrap_or_default();
        let from_parent_user_id = all.from_parent_user_id.unwrap_or_default();
        let to = all.to.unwrap_or_default();
        let to_user_id = all.to_user_id.unwrap_or_default();
        let to_parent_user_id = all.to_parent_user_id.unwrap_or_default();
        let group_id = all.group_id.unwrap_or_default();
        let status = all.status.unwrap_or_default();
        let id = all.id.unwrap_or_default();
        let timestamp = all.timestamp.unwrap_or_default();
        let message = given(all.message);
        let head = MessageHead {
            from: from.clone(),
            from_user_id: from_user_id.clone(),
            to: to.clone(),
            to_user_id: to_user_id.clone(),
            id,
            timestamp,
            kind: all.kind.clone().unwrap_or_default(),
            system: given(all.system),
            message,
        };
        let history_context = given(all.history_context);
        let threads = given(all.threads);
        let shape = Shape {
            from,
            from_user_id,
            to,
            to_user_id,
            from_parent_user_id,
            to_parent_user_id,
            group_id,
            status,
            message,
            history_context,
            threads,
        };
        let content = Content {
            kind: all.kind,
            text: all.text,
            image: all.image,
            video: all.video,
            audio: all.audio,
            voice: all.voice,
            document: all.document,
            sticker: all.sticker,
            location: all.location,
            contacts: all.contacts,
            interactive: all.interactive,
            button: all.button,
            order: all.order,
            reaction: all.reaction,
            system: all.system,
            edit: all.edit,
            revoke: all.revoke,
            errors: all.errors,
            context: all.context,
            referral: all.referral,
            template: all.template,
            others: all.others,
        };
        Some(Self { shape, head, content })
    }

    /// Whether it has a member that only elements of an array have.
    pub(super) fn is_element(&self) -> bool {
        [&self.head.id, &self.head.timestamp, &self.head.kind].iter().any(|member| member.get().is_some())
    }
}
