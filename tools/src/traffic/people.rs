//! The firm and its customers. All telephone numbers are from ranges kept for fiction: 555-0100 to
//! 555-0199 in North America, 07700 900000 to 900999 in the United Kingdom (Ofcom) and 06 39 98 00 00 to
//! 06 39 98 99 99 in France (Arcep).

use base64::{Engine, engine::general_purpose::STANDARD};

use super::json::{Json, map};
use super::phrase::{Bank, Language, Phrases, Unit};
use super::random::Random;

/// The short-lived demo number: a policy of the demo destroys its messages after a moment.
pub const DEMO_NUMBER: &str = "100000000000009";

/// One business telephone number.
#[derive(Debug)]
pub(crate) struct Number {
    pub(crate) id: &'static str,
    pub(crate) display: &'static str,
    pub(crate) account: &'static str,
    pub(crate) name: &'static str,
    pub(crate) unit: Unit,
}

/// The numbers of the firm; the last one is [`DEMO_NUMBER`].
pub(crate) const NUMBERS: [Number; 5] = [
    Number {
        id: "100000000000001",
        display: "12125550101",
        account: "200000000000001",
        name: "Harbourline Bank",
        unit: Unit::Bank,
    },
    Number {
        id: "100000000000002",
        display: "12125550102",
        account: "200000000000001",
        name: "Harbourline Lending",
        unit: Unit::Bank,
    },
    Number {
        id: "100000000000003",
        display: "12125550103",
        account: "200000000000002",
        name: "Harbourline Clinic",
        unit: Unit::Clinic,
    },
    Number {
        id: "100000000000004",
        display: "12125550104",
        account: "200000000000003",
        name: "Harbourline Store",
        unit: Unit::Shop,
    },
    Number {
        id: DEMO_NUMBER,
        display: "12125550109",
        account: "200000000000003",
        name: "Harbourline Store Promotions",
        unit: Unit::Shop,
    },
];

impl Number {
    /// Opens the `value` object of a webhook about messages of this number.
    pub(crate) fn value(&self) -> Json {
        map! {
            "messaging_product": "whatsapp",
            "metadata": map! {"display_phone_number": self.display, "phone_number_id": self.id},
        }
    }
}

/// A person who writes to the firm.
#[derive(Debug, Clone)]
pub(crate) struct Customer {
    pub(crate) name: String,
    pub(crate) first: &'static str,
    pub(crate) language: Language,
    /// Absent for somebody who is known by user id and username only.
    pub(crate) phone: Option<String>,
    pub(crate) user_id: String,
    /// Present where the firm's portfolio is linked with another one.
    pub(crate) parent_user_id: Option<String>,
    pub(crate) username: Option<String>,
    country: &'static str,
    /// Present where the firm asked for identity checks.
    identity: Option<String>,
    phrases: Phrases,
}

impl Customer {
    /// Invents a person who speaks `phrases`; `order` keeps telephone numbers apart.
    pub(crate) fn new(order: usize, phrases: Phrases, random: &mut Random) -> Self {
        let language = Language::ALL[order % Language::ALL.len()];
        let bank = language.bank(phrases);
        let (first, last) = (*random.pick(&bank.first), *random.pick(&bank.last));
        let (country, phone) = telephone(order);
        let alphabet = b"0123456789";
        let user_id = format!("{country}.{}{}", random.digits(1), random.characters(alphabet, 16));
        let parent_user_id = format!("{country}.ENT.{}", random.digits(17));
        let identity = STANDARD.encode(&random.digest()[..20]);
        let username = (random.chance(35)).then(|| {
            let word =
                random.pick(&["river", "north", "olive", "quiet", "amber", "cedar", "lumen", "harbor"]);
            format!("{word}.{}", random.digits(4))
        });
        Self {
            name: display_name(bank, first, last, random),
            first,
            language,
            phone: Some(phone),
            user_id,
            parent_user_id: (order % 33 == 3).then_some(parent_user_id),
            username,
            country,
            identity: (order % 33 == 5).then_some(identity),
            phrases,
        }
    }

    /// Gives the phrases that the person uses and is answered with.
    pub(crate) fn bank(&self) -> &'static Bank {
        self.language.bank(self.phrases)
    }

    /// Turns the person into one whose telephone number Meta withholds.
    pub(crate) fn without_phone(mut self, random: &mut Random) -> Self {
        self.phone = None;
        self.username = Some(format!("willow.{}", random.digits(5)));
        self
    }

    /// Gives the digits that message ids carry: the telephone number, or digits of the user id.
    pub(crate) fn address(&self) -> &str {
        self.phone.as_deref().unwrap_or(&self.user_id[3..15])
    }

    /// Writes the entry of `contacts` in a webhook.
    pub(crate) fn contact(&self) -> Json {
        map! {
            "profile": map! {
                "name": &self.name,
                "username": self.username.as_ref(),
                "country_code": self.country,
            },
            "wa_id": self.phone.as_ref(),
            "user_id": &self.user_id,
            "parent_user_id": self.parent_user_id.as_ref(),
            "identity_key_hash": self.identity.as_ref(),
        }
    }
}

/// Writes a name as people set it in their profile: often with a second family name, a trade or an emoji.
fn display_name(bank: &Bank, first: &str, last: &str, random: &mut Random) -> String {
    let name = bank.full_name(first, last);
    let other = *random.pick(&bank.last);
    match random.below(20) {
        0..8 => name,
        8..14 => format!("{name} {other}"),
        14..17 => format!("{name} {}", random.pick(&["🌿", "✨", "🇺🇸", "☕️", "⚽️"])),
        17 => format!("{name} | {other} & Co."),
        18 => format!("{name} - {} {other}", random.pick(&["Studio", "Design", "Consulting", "Transport"])),
        _ => format!("{name} ({})", random.pick(&["home", "work", "mobile", "new number"])),
    }
}

const AREAS: [&str; 16] = [
    "201", "206", "213", "305", "312", "404", "415", "503", "512", "602", "617", "702", "713", "808", "416",
    "604",
];

/// Gives country and number of the `order`-th person; numbers repeat after about 2,000 people.
fn telephone(order: usize) -> (&'static str, String) {
    match order % 8 {
        5 | 6 => ("GB", format!("447700900{:03}", (order / 8 * 2 + order % 2) % 1000)),
        7 => ("FR", format!("3363998{:04}", order / 8 * 37 % 10_000)),
        rest => {
            let line = order / 8 * 5 + rest;
            let area = AREAS[line / 100 % AREAS.len()];
            let country = if area == "416" || area == "604" { "CA" } else { "US" };
            (country, format!("1{area}55501{:02}", line % 100))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::telephone;
    use std::collections::BTreeSet;

    #[test]
    fn telephone_numbers_are_distinct_and_fictional() {
        let numbers: BTreeSet<String> = (0..2000).map(|order| telephone(order).1).collect();
        assert_eq!(numbers.len(), 2000);
        for number in numbers {
            let fictional = number.starts_with("447700900")
                || number.starts_with("3363998")
                || (number.starts_with('1') && number.get(4..9) == Some("55501"));
            assert!(fictional, "{number}");
        }
    }
}
