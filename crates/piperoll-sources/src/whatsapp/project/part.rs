//! Tells the slices of an item apart by their shape, since a slice is stored without the key it stood under.

use piperoll_format::Kind;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;
use serde_json::value::RawValue;

use super::members::Members;
use super::person::Contact;
use crate::text;

/// The slices of one item.
#[derive(Default)]
pub(super) struct Parts<'a> {
    /// The array element or value itself.
    pub(super) element: Option<&'a RawValue>,
    /// Its members, if they were read already.
    pub(super) members: Option<Members<'a>>,
    /// Its people: entries of `contacts[]`, the id and the context of a thread.
    pub(super) contacts: Vec<Contact<'a>>,
    others: Vec<&'a RawValue>,
}

/// Which telling members an object has.
#[derive(Deserialize)]
struct Probe {
    profile: Option<IgnoredAny>,
    wa_id: Option<IgnoredAny>,
    user_id: Option<IgnoredAny>,
    id: Option<IgnoredAny>,
    timestamp: Option<IgnoredAny>,
    #[serde(rename = "type")]
    kind: Option<IgnoredAny>,
    category: Option<IgnoredAny>,
    detail: Option<IgnoredAny>,
}

impl Probe {
    /// Only elements have these; every element of an array but an error has at least one.
    fn is_element(&self) -> bool {
        [&self.id, &self.timestamp, &self.kind, &self.category, &self.detail]
            .iter()
            .any(|found| found.is_some())
    }

    fn is_contact(&self) -> bool {
        !self.is_element() && (self.profile.is_some() || self.wa_id.is_some() || self.user_id.is_some())
    }
}

impl<'a> Parts<'a> {
    /// Sorts slices by role. The element is the first slice that looks like one, else the longest.
    pub(super) fn sort(kind: Kind, slices: impl Iterator<Item = &'a str>) -> Self {
        let mut parts = Self::default();
        let mut is_certain = false;
        let raws: Vec<&RawValue> = slices.filter_map(|slice| serde_json::from_str(slice).ok()).collect();
        if let [only] = raws[..] {
            return Self { element: Some(only), ..parts };
        }
        for raw in raws {
            if kind == Kind::WhatsappHistory && raw.get().starts_with('"') {
                parts.contacts.extend(Contact::of_thread_id(raw));
                continue;
            }
            let probe: Option<Probe> =
                raw.get().starts_with('{').then(|| serde_json::from_str(raw.get()).ok()).flatten();
            match probe {
                Some(probe) if probe.is_contact() => parts.contacts.extend(Contact::read(raw)),
                Some(probe) if probe.is_element() && !is_certain => {
                    is_certain = true;
                    parts.others.extend(parts.element.replace(raw));
                }
                _ if !is_certain && parts.element.is_none_or(|best| best.get().len() < raw.get().len()) => {
                    parts.others.extend(parts.element.replace(raw));
                }
                _ => parts.others.push(raw),
            }
        }
        parts
    }

    /// Takes an element and the entry of `contacts[]` that came with it, known as such.
    pub(super) fn known(element: &'a RawValue, contact: Option<&'a RawValue>) -> Self {
        let contacts = contact.and_then(Contact::read).into_iter().collect();
        Self { element: Some(element), contacts, ..Self::default() }
    }

    /// Takes slices that were told apart.
    pub(super) fn sorted(
        element: &'a RawValue,
        members: Option<Members<'a>>,
        contacts: Vec<Contact<'a>>,
    ) -> Self {
        Self { element: Some(element), members, contacts, others: Vec::new() }
    }

    /// Reads the element as a document.
    pub(super) fn value(&self) -> Value {
        self.element.map(read_value).unwrap_or_default()
    }

    /// Adds what can be read in the slices that are neither element nor contact.
    pub(super) fn read_others(&self, texts: &mut Vec<String>) {
        self.others.iter().for_each(|raw| text::readable(&read_value(raw), texts));
    }
}

/// Tells whether a slice is an element, by members that only elements have.
pub(super) fn is_element(raw: &RawValue) -> bool {
    let probe: Option<Probe> =
        raw.get().starts_with('{').then(|| serde_json::from_str(raw.get()).ok()).flatten();
    probe.is_some_and(|probe| probe.is_element())
}

/// Reads a part as a document; null if it nests too deep.
pub(super) fn read_value(raw: &RawValue) -> Value {
    serde_json::from_str(raw.get()).unwrap_or_default()
}

/// Reads a part as `T`, or gives the empty one where it has another shape.
pub(super) fn read_or_default<'a, T: Deserialize<'a> + Default>(raw: Option<&'a RawValue>) -> T {
    raw.and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default()
}
