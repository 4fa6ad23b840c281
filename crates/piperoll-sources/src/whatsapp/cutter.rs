//! Collects items and the bytes that belong to them while a body is walked. It knows nothing of WhatsApp's shapes.

use std::collections::HashMap;
use std::ops::Range;

use piperoll_format::Kind;
use serde_json::value::RawValue;

use super::element::{Facts, Person};
use super::json::range_in;
use super::scalar::time;
use crate::item::{Flag, Item};

/// What the surroundings say of an item.
#[derive(Clone, Copy)]
pub(super) struct Place<'p> {
    /// The business number's id.
    pub(super) number: Option<&'p str>,
    /// The WhatsApp account (WABA) id.
    pub(super) account: Option<&'p str>,
    /// When the notification was sent, seconds.
    pub(super) sent_at: Option<&'p str>,
}

/// The items found so far.
pub(super) struct Cutter<'a> {
    pub(super) body: &'a str,
    drafts: Vec<Draft<'a>>,
    /// Parts found where no item was; they go to the first item of the body.
    homeless: Vec<Range<usize>>,
    change_start: usize,
    /// The first item of each person in the current change, made when the first contact asks for it.
    people: Option<HashMap<String, usize>>,
}

struct Draft<'a> {
    item: Item,
    person: Person<'a>,
    /// Where the element itself starts, without what was attached.
    start: usize,
}

impl<'a> Cutter<'a> {
    pub(super) fn new(body: &'a str) -> Self {
        Self { body, drafts: Vec::new(), homeless: Vec::new(), change_start: 0, people: None }
    }

    /// Returns the number of items so far.
    pub(super) fn count(&self) -> usize {
        self.drafts.len()
    }

    /// Starts a change: contacts are matched with the items that follow.
    pub(super) fn open_change(&mut self) {
        self.change_start = self.drafts.len();
        self.people = None;
    }

    /// Orders the items of the change by their place in the body, so that what is first is so for a reader too.
    pub(super) fn order_change(&mut self) {
        self.drafts[self.change_start..].sort_by_key(|draft| draft.start);
    }

    /// Adds an item, flagged where it lacks the id or the person that its kind has.
    pub(super) fn push(&mut self, place: Place<'_>, facts: Facts<'a>, range: Range<usize>) {
        let lacks_id = facts.id.is_none() && has_source_id(facts.kind);
        let kind = facts.kind;
        let item = self.push_unidentified(place, facts, range);
        if lacks_id {
            item.flags.push(Flag::SourceIdMissing);
        }
        if item.subject.is_none() && has_subject(kind) {
            item.flags.push(Flag::SubjectMissing);
        }
    }

    /// Adds an item that is not expected to have an id or a person.
    pub(super) fn push_unidentified(
        &mut self,
        place: Place<'_>,
        facts: Facts<'a>,
        range: Range<usize>,
    ) -> &mut Item {
        let (occurred_at, time_flag) = if has_own_time(facts.kind) {
            time(facts.time.as_deref())
        } else {
            time(facts.time.as_deref().or(place.sent_at))
        };
        // One message id on two numbers is two facts.
        let source_id = facts.id.map(|id| match place.number.or(place.account) {
            Some(owner) => [owner, "/", &*id].concat(),
            None => id.into_owned(),
        });
        let item = Item {
            kind: facts.kind,
            source_id,
            subject: facts.person.subject(),
            number: place.number.map(str::to_owned),
            occurred_at,
            ranges: vec![range.clone()],
            flags: facts.flag.into_iter().chain(time_flag).collect(),
        };
        self.drafts.push(Draft { item, person: facts.person, start: range.start });
        &mut self.drafts.last_mut().expect("an item was just pushed").item
    }

    /// Gives parts of the body to the item at `first`, or to the first of the body if there is none.
    pub(super) fn attach_all(&mut self, first: usize, parts: &[&RawValue]) {
        for part in parts {
            let range = range_in(self.body, part);
            match self.drafts.get_mut(first) {
                Some(draft) => draft.item.ranges.push(range),
                None => self.homeless.push(range),
            }
        }
    }

    /// Gives an entry of `contacts[]` to the first item of its person in this change, else to the first item.
    pub(super) fn attach_contact(&mut self, contact: &RawValue, person: Person<'_>) {
        let start = self.change_start;
        let drafts = &self.drafts;
        let people = self.people.get_or_insert_with(|| {
            let mut people = HashMap::new();
            for (i, draft) in drafts.iter().enumerate().skip(start) {
                for identity in draft.person.identities() {
                    people.entry(identity).or_insert(i);
                }
            }
            people
        });
        let owner = person.identities().find_map(|identity| people.get(&identity).copied());
        let owner = owner.unwrap_or(start);
        self.attach_all(owner, &[contact]);
    }

    /// Returns the items in the order of their elements, each with ascending ranges.
    pub(super) fn finish(mut self) -> Vec<Item> {
        self.drafts.sort_by_key(|draft| draft.start);
        if let Some(first) = self.drafts.first_mut() {
            first.item.ranges.append(&mut self.homeless);
        }
        let mut items: Vec<Item> = self.drafts.into_iter().map(|draft| draft.item).collect();
        for item in &mut items {
            item.ranges.sort_by_key(|range| range.start);
        }
        items
    }
}

/// Tells whether the sender gives every item of this kind an id.
fn has_source_id(kind: Kind) -> bool {
    has_own_time(kind)
        && !matches!(kind, Kind::WhatsappIdentity | Kind::WhatsappGroup | Kind::WhatsappHandover)
}

/// Tells whether items of this kind are about a person or a group.
fn has_subject(kind: Kind) -> bool {
    has_own_time(kind)
}

/// Tells whether items of this kind carry their own time, so that the time of the notification is not theirs.
fn has_own_time(kind: Kind) -> bool {
    !matches!(
        kind,
        Kind::WhatsappTemplate
            | Kind::WhatsappAccount
            | Kind::WhatsappFlow
            | Kind::WhatsappPayment
            | Kind::WhatsappError
            | Kind::WhatsappOther
    )
}
