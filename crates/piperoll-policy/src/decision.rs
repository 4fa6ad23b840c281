//! The decision about one event, and how it explains itself.

use std::fmt::Write as _;

use piperoll_format::{Class, Kind};

use crate::bucket::BucketPeriod;
use crate::period::Period;

/// What a policy may look at; nothing of an event's content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts<'a> {
    /// The event's kind.
    pub kind: Kind,
    /// WhatsApp's `phone_number_id` of the business number, when the event has one.
    pub number: Option<&'a str>,
    /// Where the event came from: `whatsapp`, `api`, …
    pub source: &'a str,
}

/// The class of an event, its periods, and every policy that had a say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The deciding policy, which is also the retention class.
    pub class: Class,
    /// The deciding policy's version.
    pub version: u32,
    /// The minimum, locked, counted from the end of the bucket.
    pub keep: Period,
    /// The maximum, counted from the end of the bucket.
    pub dispose_after: Period,
    /// How long the class's buckets last.
    pub bucket: BucketPeriod,
    /// All matching policies, the deciding one first, then in the order in which they would have decided.
    pub reasons: Vec<Reason>,
}

/// One policy that matched an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// The policy.
    pub policy: Class,
    /// Its version.
    pub version: u32,
    /// Its legal basis.
    pub legal_basis: String,
    /// The rule that matched, in words.
    pub why: String,
    /// Its minimum.
    pub keep: Period,
    /// Its maximum.
    pub dispose_after: Period,
}

impl Decision {
    /// Explains the decision to a person, in several lines; the first is a sentence that can stand alone.
    #[must_use]
    pub fn explain(&self) -> String {
        let mut text = format!(
            "class `{}`: kept {}, disposed of after {}, counted from the end of the {} in which it was recorded\n",
            self.class, self.keep, self.dispose_after, self.bucket
        );
        for (index, reason) in self.reasons.iter().enumerate() {
            let verdict = if index == 0 { self.verdict() } else { "applies too" };
            writeln!(
                text,
                "- `{}` version {} {verdict}: keep {}, dispose after {}; {}; matched: {}",
                reason.policy,
                reason.version,
                reason.keep,
                reason.dispose_after,
                reason.legal_basis,
                reason.why
            )
            .expect("a String takes every write");
        }
        text
    }

    /// Names the matching policies in a few bytes, for storing with the event: `finra-4511 v1 > sec-17a-4 v1`.
    #[must_use]
    pub fn brief(&self) -> String {
        let names = self.reasons.iter().map(|reason| format!("{} v{}", reason.policy, reason.version));
        names.collect::<Vec<_>>().join(" > ")
    }

    /// Says by what the first policy won over the second.
    fn verdict(&self) -> &'static str {
        let [first, second, ..] = self.reasons.as_slice() else { return "decides alone" };
        if first.keep.cmp_length(second.keep).is_ne() {
            "decides, it keeps longest"
        } else if first.dispose_after.cmp_length(second.dispose_after).is_ne() {
            "decides, it keeps as long as another and disposes later"
        } else {
            "decides, its periods equal another's and its id is first"
        }
    }
}
