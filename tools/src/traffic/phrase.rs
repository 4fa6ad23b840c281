//! Phrase banks: for each language the sentences of a bank, a clinic and a shop, written for this project.
//!
//! A bank is a text file: `@name value|value` settings, `[unit topic]` headers, and lines marked `?` (the
//! customer opens), `=` (the business answers), `+` (the customer goes on), `.` (the business closes);
//! under `[any common]`: `t` thanks, `b` the last word of the business, `c` captions, `a` an advertisement as
//! `headline|body|greeting`.
//! Slots: `{name} {last} {ref} {amount} {date} {past} {time} {product}`.

use std::sync::OnceLock;

use chrono::{DateTime, Datelike};

use super::people::Customer;
use super::random::Random;

/// A language of customers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// `en`.
    English,
    /// `es`.
    Spanish,
    /// `pt`.
    Portuguese,
    /// `pl`.
    Polish,
    /// `id`.
    Indonesian,
    /// `hi`.
    Hindi,
    /// `ar`.
    Arabic,
    /// `zh`.
    Chinese,
    /// `ja`.
    Japanese,
    /// `th`.
    Thai,
}

impl Language {
    /// Every language that has a phrase bank.
    pub const ALL: [Self; 10] = [
        Self::English,
        Self::Spanish,
        Self::Portuguese,
        Self::Polish,
        Self::Indonesian,
        Self::Hindi,
        Self::Arabic,
        Self::Chinese,
        Self::Japanese,
        Self::Thai,
    ];

    /// Gives the ISO 639-1 code.
    #[must_use]
    pub fn code(self) -> &'static str {
        ["en", "es", "pt", "pl", "id", "hi", "ar", "zh", "ja", "th"][self as usize]
    }

    pub(crate) fn bank(self, phrases: Phrases) -> &'static Bank {
        static BANKS: OnceLock<Vec<[Bank; 3]>> = OnceLock::new();
        let banks = BANKS.get_or_init(|| {
            let parse = |source: &&'static str| {
                let all = Bank::parse(source);
                let [training, held_out] = [Phrases::Training, Phrases::HeldOut].map(|half| all.half(half));
                [all, training, held_out]
            };
            SOURCES.iter().map(parse).collect()
        });
        &banks[self as usize][phrases as usize]
    }
}

/// Which sentences are spoken. Every second one of each sort is kept for measurements, so that no figure
/// comes from sentences that the compression dictionary has seen. Names, products, dates and sums in their
/// slots are shared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phrases {
    /// All.
    All,
    /// The half that compression dictionaries are trained on.
    Training,
    /// The other half.
    HeldOut,
}

const SOURCES: [&str; 10] = [
    include_str!("phrases/en.txt"),
    include_str!("phrases/es.txt"),
    include_str!("phrases/pt.txt"),
    include_str!("phrases/pl.txt"),
    include_str!("phrases/id.txt"),
    include_str!("phrases/hi.txt"),
    include_str!("phrases/ar.txt"),
    include_str!("phrases/zh.txt"),
    include_str!("phrases/ja.txt"),
    include_str!("phrases/th.txt"),
];

/// A part of the firm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    Bank,
    Clinic,
    Shop,
}

/// One subject of conversation, with the lines of both sides.
#[derive(Debug, Clone, Default)]
pub(crate) struct Topic {
    pub(crate) name: &'static str,
    pub(crate) opening: Vec<&'static str>,
    pub(crate) answer: Vec<&'static str>,
    pub(crate) follow_up: Vec<&'static str>,
    pub(crate) closing: Vec<&'static str>,
}

/// An advertisement that opens a conversation.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Advertisement {
    pub(crate) headline: &'static str,
    pub(crate) body: &'static str,
    pub(crate) greeting: &'static str,
}

/// The phrases of one language.
#[derive(Debug, Clone, Default)]
pub(crate) struct Bank {
    months: Vec<&'static str>,
    date: &'static str,
    money: &'static str,
    name: &'static str,
    pub(crate) first: Vec<&'static str>,
    pub(crate) last: Vec<&'static str>,
    products: Vec<&'static str>,
    pub(crate) stop: Vec<&'static str>,
    topics: [Vec<Topic>; 3],
    pub(crate) thanks: Vec<&'static str>,
    pub(crate) goodbye: Vec<&'static str>,
    pub(crate) captions: Vec<&'static str>,
    pub(crate) advertisements: Vec<Advertisement>,
}

/// The sorts of lines of a topic.
const SORTS: [fn(&mut Topic) -> &mut Vec<&'static str>; 4] = [
    |topic| &mut topic.opening,
    |topic| &mut topic.answer,
    |topic| &mut topic.follow_up,
    |topic| &mut topic.closing,
];

impl Bank {
    fn parse(source: &'static str) -> Self {
        let mut bank = Self::default();
        let mut unit = None;
        for line in source.lines() {
            if let Some(setting) = line.strip_prefix('@') {
                bank.set(setting);
            } else if let Some(header) = line.strip_prefix('[') {
                unit = bank.open_topic(header.trim_end_matches(']'));
            } else if let Some((mark, text)) = line.split_once(' ') {
                bank.add_line(unit, mark, text);
            }
        }
        bank
    }

    fn set(&mut self, setting: &'static str) {
        let (name, value) = setting.split_once(' ').expect("a setting has a name and a value");
        let values = || value.split('|').collect();
        match name {
            "months" => self.months = values(),
            "date" => self.date = value,
            "money" => self.money = value,
            "name" => self.name = value,
            "first" => self.first = values(),
            "last" => self.last = values(),
            "products" => self.products = values(),
            "stop" => self.stop = values(),
            other => unreachable!("the phrase banks have no setting `{other}`"),
        }
    }

    fn open_topic(&mut self, header: &'static str) -> Option<usize> {
        let (unit, name) = header.split_once(' ').expect("a header names a unit and a topic");
        let position = ["bank", "clinic", "shop"].iter().position(|known| *known == unit)?;
        self.topics[position].push(Topic { name, ..Topic::default() });
        Some(position)
    }

    fn add_line(&mut self, unit: Option<usize>, mark: &str, text: &'static str) {
        let topic = unit.and_then(|position| self.topics[position].last_mut());
        match (mark, topic) {
            ("?", Some(topic)) => topic.opening.push(text),
            ("=", Some(topic)) => topic.answer.push(text),
            ("+", Some(topic)) => topic.follow_up.push(text),
            (".", Some(topic)) => topic.closing.push(text),
            ("t", None) => self.thanks.push(text),
            ("b", None) => self.goodbye.push(text),
            ("c", None) => self.captions.push(text),
            ("a", None) => {
                let mut parts = text.split('|');
                let mut part = || parts.next().expect("an advertisement has headline, body and greeting");
                self.advertisements.push(Advertisement { headline: part(), body: part(), greeting: part() });
            }
            _ => unreachable!("the phrase banks have no line like `{mark} {text}`"),
        }
    }

    /// Keeps one half of the sentences of each sort. A topic without a sentence of a sort borrows those of
    /// the other topics of its part of the firm.
    fn half(&self, phrases: Phrases) -> Self {
        let mut bank = self.clone();
        for topics in &mut bank.topics {
            for (sort, lines) in SORTS.iter().enumerate() {
                // Sorts alternate, so that no topic falls into one half as a whole.
                let mut position = sort / 2 + usize::from(phrases == Phrases::HeldOut);
                for topic in topics.iter_mut() {
                    keep_half(lines(topic), &mut position);
                }
                let all: Vec<&str> = topics.iter_mut().flat_map(|topic| lines(topic).clone()).collect();
                for topic in topics.iter_mut().filter_map(|topic| Some(lines(topic)).filter(|l| l.is_empty()))
                {
                    topic.clone_from(&all);
                }
            }
        }
        let first = usize::from(phrases == Phrases::HeldOut);
        for common in [&mut bank.thanks, &mut bank.goodbye, &mut bank.captions] {
            keep_half(common, &mut first.clone());
        }
        keep_half(&mut bank.advertisements, &mut first.clone());
        bank
    }

    /// Gives the topics of a part of the firm.
    pub(crate) fn topics(&self, unit: Unit) -> &[Topic] {
        &self.topics[unit as usize]
    }

    /// Puts a first and a last name together as the language does.
    pub(crate) fn full_name(&self, first: &str, last: &str) -> String {
        self.name.replace("{first}", first).replace("{last}", last)
    }
}

/// Keeps the entries at even positions, counted on from `position`.
fn keep_half<T>(list: &mut Vec<T>, position: &mut usize) {
    list.retain(|_| {
        *position += 1;
        *position % 2 == 1
    });
}

/// What a conversation keeps saying the same way: its reference, sum, product and doctor.
#[derive(Debug, Clone)]
pub(crate) struct Subject {
    bank: &'static Bank,
    name: String,
    reference: String,
    cents: i64,
    product: &'static str,
    last: &'static str,
}

impl Subject {
    pub(crate) fn new(customer: &Customer, topic: &Topic, random: &mut Random) -> Self {
        let bank = customer.bank();
        Self {
            bank,
            name: customer.name.clone(),
            reference: format!("{}-{}", random.characters(b"ABCDEFGHKLMNPRSTUVWX", 2), random.digits(6)),
            cents: if topic.name == "loan" {
                random.between(300, 4_000) * 10_000
            } else {
                random.between(900, 90_000)
            },
            product: *random.pick(&bank.products),
            last: *random.pick(&bank.last),
        }
    }

    /// Gives the reference number.
    pub(crate) fn reference(&self) -> &str {
        &self.reference
    }

    /// Gives the product.
    pub(crate) fn product(&self) -> &'static str {
        self.product
    }

    /// Gives the sum in hundredths of dollars.
    pub(crate) fn cents(&self) -> i64 {
        self.cents
    }

    /// Fills the slots of a sentence said at `at` (Unix seconds).
    pub(crate) fn fill(&self, sentence: &str, at: i64, random: &mut Random) -> String {
        let mut text = String::with_capacity(sentence.len() + 32);
        let mut rest = sentence;
        while let Some((before, slot)) = rest.split_once('{') {
            let (slot, after) = slot.split_once('}').expect("every slot of the phrase banks is closed");
            text.push_str(before);
            text.push_str(&self.slot(slot, at, random));
            rest = after;
        }
        text.push_str(rest);
        text
    }

    fn slot(&self, slot: &str, at: i64, random: &mut Random) -> String {
        match slot {
            "name" => self.name.clone(),
            "last" => self.last.to_owned(),
            "ref" => self.reference.clone(),
            "product" => self.product.to_owned(),
            "amount" => self.amount(),
            "date" => self.date(at, random.between(1, 9)),
            "past" => self.date(at, random.between(-9, -1)),
            "time" => format!("{}:{:02}", random.between(8, 18), random.below(12) * 5),
            other => unreachable!("the phrase banks have no slot `{other}`"),
        }
    }

    fn date(&self, at: i64, days_ahead: i64) -> String {
        let day = DateTime::from_timestamp(at + days_ahead * 86_400, 0).unwrap_or_default();
        self.bank
            .date
            .replace("{day}", &day.day().to_string())
            .replace("{month}", self.bank.months[day.month0() as usize])
    }

    /// Writes the sum in the currency and the notation of the language.
    pub(crate) fn amount(&self) -> String {
        let (whole, cents) = (self.cents / 100, self.cents % 100);
        let pattern = self.bank.money;
        if pattern.contains("{n}") {
            pattern.replace("{n}", &format!("{}.{cents:02}", grouped(whole, ",")))
        } else if pattern.contains("{m}") {
            pattern.replace("{m}", &format!("{},{cents:02}", grouped(whole, ".")))
        } else if pattern.contains("{y}") {
            pattern.replace("{y}", &grouped(whole * 100, ","))
        } else {
            pattern.replace("{r}", &grouped(whole * 1000, "."))
        }
    }
}

fn grouped(number: i64, separator: &str) -> String {
    let digits = number.to_string();
    let head = digits.len() % 3;
    let mut groups = Vec::new();
    if head > 0 {
        groups.push(&digits[..head]);
    }
    let mut rest = &digits[head..];
    while !rest.is_empty() {
        groups.push(&rest[..3]);
        rest = &rest[3..];
    }
    groups.join(separator)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{Bank, Language, Phrases, SORTS, SOURCES, Unit, grouped};

    fn sentences(bank: &Bank) -> BTreeSet<&'static str> {
        let mut bank = bank.clone();
        let mut all: BTreeSet<&str> =
            [&bank.thanks[..], &bank.goodbye, &bank.captions].concat().into_iter().collect();
        all.extend(bank.advertisements.iter().flat_map(|text| [text.headline, text.body, text.greeting]));
        for topic in bank.topics.iter_mut().flatten() {
            for lines in SORTS {
                assert!(!lines(topic).is_empty(), "{}", topic.name);
                all.extend(lines(topic).iter());
            }
        }
        all
    }

    #[test]
    fn the_halves_share_no_sentence_and_make_the_whole() {
        for language in Language::ALL {
            let [all, training, held_out] = [Phrases::All, Phrases::Training, Phrases::HeldOut]
                .map(|phrases| sentences(language.bank(phrases)));
            assert!(training.is_disjoint(&held_out), "{}", language.code());
            assert_eq!(&training | &held_out, all, "{}", language.code());
            assert!(training.len() * 3 > all.len() && held_out.len() * 3 > all.len(), "{}", language.code());
        }
    }

    #[test]
    fn every_language_has_enough_sentences() {
        for (language, source) in Language::ALL.into_iter().zip(SOURCES) {
            let lines = source.lines().filter(|line| !line.starts_with(['@', '['])).count();
            let expected = if language.code().is_ascii() && (language as usize) < 5 { 40 } else { 20 };
            assert!(lines >= expected, "{}: {lines}", language.code());
            for unit in [Unit::Bank, Unit::Clinic, Unit::Shop] {
                for topic in language.bank(Phrases::All).topics(unit) {
                    let parts = [&topic.opening, &topic.answer, &topic.follow_up, &topic.closing];
                    assert!(parts.iter().all(|part| !part.is_empty()), "{} {}", language.code(), topic.name);
                }
            }
        }
    }

    #[test]
    fn thousands_are_grouped() {
        assert_eq!(
            ["7", "950", "1.250", "12.250", "1.000.000"],
            [7, 950, 1250, 12250, 1_000_000].map(|number| grouped(number, "."))[..]
        );
    }
}
