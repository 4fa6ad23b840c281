//! Who takes part: the person with the name that came along, and the business.

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use super::super::element::Person;
use super::super::json::{is_object, object};
use super::super::scalar::Scalar;
use crate::message::{BusinessNumber, Party};
use crate::text;

/// What is known of an item from outside its slices.
#[derive(Clone, Default)]
pub(super) struct Surroundings<'a> {
    /// `phone_number_id`.
    pub(super) number: Option<Cow<'a, str>>,
    /// `display_phone_number`, known only where the whole body was kept.
    pub(super) phone: Option<Cow<'a, str>>,
    /// The WhatsApp account (WABA) id, known only where the whole body was kept.
    pub(super) account: Option<Cow<'a, str>>,
    /// The subject found at capture.
    pub(super) subject: Option<Cow<'a, str>>,
}

/// What a slice besides the element says of a person.
#[derive(Default, Deserialize)]
pub(super) struct Contact<'a> {
    #[serde(borrow, default)]
    wa_id: Scalar<'a>,
    #[serde(borrow, default)]
    user_id: Scalar<'a>,
    #[serde(borrow, default)]
    parent_user_id: Scalar<'a>,
    #[serde(borrow, default)]
    username: Scalar<'a>,
    #[serde(borrow, default)]
    profile: Option<Profile<'a>>,
}

object! {
    /// An entry of `contacts[]`, or an element that is none.
    Probed {
        wa_id = "wa_id": Scalar<'de>,
        user_id = "user_id": Scalar<'de>,
        parent_user_id = "parent_user_id": Scalar<'de>,
        username = "username": Scalar<'de>,
        profile = "profile": Profile<'de>,
        id = "id": IgnoredAny,
        timestamp = "timestamp": IgnoredAny,
        kind = "type": IgnoredAny,
        category = "category": IgnoredAny,
        detail = "detail": IgnoredAny,
    } impersonal []
}

#[derive(Default, Deserialize)]
pub(super) struct Profile<'a> {
    #[serde(borrow, default)]
    name: Scalar<'a>,
    #[serde(borrow, default)]
    username: Scalar<'a>,
}

impl<'a> Contact<'a> {
    pub(super) fn read(raw: &'a RawValue) -> Option<Self> {
        serde_json::from_str(raw.get()).ok()
    }

    /// Reads an entry of `contacts[]`; nothing where it may be something else.
    pub(super) fn read_certain(raw: &'a RawValue) -> Option<Self> {
        if !is_object(raw) {
            return None;
        }
        let found: Probed<'a> = serde_json::from_str(raw.get()).ok()?;
        let telling = [&found.id, &found.timestamp, &found.kind, &found.category, &found.detail];
        if telling.iter().any(|member| member.is_some()) {
            return None;
        }
        let contact = Self {
            wa_id: found.wa_id.unwrap_or_default(),
            user_id: found.user_id.unwrap_or_default(),
            parent_user_id: found.parent_user_id.unwrap_or_default(),
            username: found.username.unwrap_or_default(),
            profile: found.profile,
        };
        let is_contact =
            contact.profile.is_some() || contact.wa_id.get().is_some() || contact.user_id.get().is_some();
        is_contact.then_some(contact)
    }

    pub(super) fn of_thread_id(raw: &'a RawValue) -> Option<Self> {
        Some(Self { wa_id: serde_json::from_str(raw.get()).ok()?, ..Self::default() })
    }

    /// Adds the name unless one of the parties already has it.
    pub(super) fn read_name<'p>(
        &self,
        mut parties: impl Iterator<Item = &'p Party>,
        texts: &mut Vec<String>,
    ) {
        if let Some(name) = self.profile.as_ref().and_then(|profile| profile.name.get())
            && !parties.any(|party| party.name.as_deref() == Some(name))
        {
            text::push(name, texts);
        }
    }

    fn person(&self) -> Person<'a> {
        Person::new(self.wa_id.clone(), self.user_id.clone())
    }

    /// Adds what this slice knows to a party.
    fn complete(&self, party: &mut Party) {
        let profile = self.profile.as_ref();
        let name = profile.and_then(|profile| profile.name.owned());
        let username = profile.and_then(|profile| profile.username.owned()).or_else(|| self.username.owned());
        party.name = party.name.take().or(name);
        party.username = party.username.take().or(username);
        party.user_id = party.user_id.take().or_else(|| self.user_id.owned());
        party.parent_user_id = party.parent_user_id.take().or_else(|| self.parent_user_id.owned());
        party.phone = party.phone.take().or_else(|| self.wa_id.get().map(digits));
    }
}

/// Returns the person as a party, with the name and the other identity from their contact.
///
/// A contact of somebody else may have come to this item for want of a better place; it is passed over. An only
/// contact that does not contradict the item is taken for the person's.
pub(super) fn party(person: &Person<'_>, contacts: &[Contact<'_>]) -> Option<Party> {
    let mut party = Party {
        phone: person.phone.as_deref().map(digits),
        user_id: person.user_id.as_deref().map(str::to_owned),
        ..Party::default()
    };
    for contact in contacts {
        let known = contact.person();
        let is_same = known.identities().any(|one| person.identities().any(|other| one == other));
        if is_same || (contacts.len() == 1 && !contradicts(&known, person)) {
            contact.complete(&mut party);
        }
    }
    (party != Party::default()).then_some(party)
}

/// Tells whether both have an identity of the same sort but not the same one.
fn contradicts(one: &Person<'_>, other: &Person<'_>) -> bool {
    let prefix = |identity: &str| identity.split(':').next().map(str::to_owned);
    let others: Vec<String> = other.identities().collect();
    one.identities().any(|one| others.iter().any(|other| prefix(&one) == prefix(other)))
}

/// Returns the person of a thread or subject, for elements that do not say whom they are with. The contacts are
/// taken for one person, as the id and the context of a thread are.
pub(super) fn counterpart<'a>(contacts: &[Contact<'a>], surroundings: &'a Surroundings<'_>) -> Person<'a> {
    let named = Person {
        phone: contacts.iter().find_map(|contact| contact.wa_id.clone().take()),
        user_id: contacts.iter().find_map(|contact| contact.user_id.clone().take()),
        group: None,
    };
    named.or(|| {
        let subject = surroundings.subject.as_deref().unwrap_or_default();
        let identity = |prefix: &str| subject.strip_prefix(prefix).map(Cow::Borrowed);
        Person { phone: identity("wa:"), user_id: identity("bsuid:"), group: identity("group:") }
    })
}

impl Surroundings<'_> {
    /// Returns the business number, if anything is known of it.
    pub(super) fn business_number(&self) -> Option<BusinessNumber> {
        let number = BusinessNumber {
            id: self.number.as_deref().map(str::to_owned),
            phone: self.phone.as_deref().map(digits),
        };
        (number != BusinessNumber::default()).then_some(number)
    }

    /// Returns the business as a party; `phone` is what the element itself says.
    pub(super) fn business_party(&self, phone: Option<&str>) -> Option<Party> {
        let phone = phone.or(self.phone.as_deref()).map(digits)?;
        Some(Party { phone: Some(phone), ..Party::default() })
    }

    /// Returns `<phone_number_id>:<counterpart>`; a group stands for all who are in it.
    pub(super) fn conversation(&self, group: Option<&str>, person: &Person<'_>) -> Option<String> {
        let number = self.number.as_deref()?;
        let group = group.or(person.group.as_deref()).map(str::to_owned);
        let phone = || person.phone.as_deref().map(digits);
        let counterpart = group.or_else(phone).or_else(|| person.user_id.as_deref().map(str::to_owned))?;
        Some([number, ":", &counterpart].concat())
    }
}

/// Strips a phone number of all but its digits; what has none is left as it is.
pub(super) fn digits(phone: &str) -> String {
    let digits: String = phone.chars().filter(char::is_ascii_digit).collect();
    if digits.is_empty() || phone.starts_with(|c: char| c.is_ascii_alphabetic()) {
        phone.to_owned()
    } else {
        digits
    }
}
