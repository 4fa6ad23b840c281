//! The policy file: TOML as it is written by people, and the checks that make a [`Policy`] of it.
//!
//! The JSON Schema in `schemas/policy.schema.json` is derived from these types; their comments are its descriptions.

use std::collections::BTreeSet;

use piperoll_format::Class;
use serde::Deserialize;

use crate::bucket::BucketPeriod;
use crate::error::PolicyError;
use crate::period::Period;
use crate::policy::Policy;
use crate::rule::{KindPattern, Rule};

/// A longer file is a mistake; the longest useful one lists some thousand numbers.
const FILE_BYTES_MAX: usize = 256 * 1024;
const RULES_MAX: usize = 64;
const VALUES_MAX: usize = 1_000;
const TITLE_CHARS_MAX: usize = 120;
const TEXT_CHARS_MAX: usize = 2_000;
/// What [`Class`] accepts.
const ID: &str = "1 to 32 characters a-z, 0-9 and -";

/// A retention policy of a Piperoll archive. `retention-policies/README.md` explains the format.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(title = "Piperoll retention policy"))]
pub(crate) struct PolicyFile {
    /// The policy's name and the name of its retention class; never reused for another meaning.
    #[cfg_attr(test, schemars(extend("pattern" = "^[a-z0-9-]{1,32}$")))]
    id: String,
    /// Raised with every change of the file's meaning.
    #[cfg_attr(test, schemars(range(min = 1)))]
    version: u32,
    /// A short name for people.
    #[cfg_attr(test, schemars(length(min = 1, max = 120)))]
    title: String,
    /// The citation of the rule that asks for the policy.
    #[cfg_attr(test, schemars(length(min = 1, max = 2000)))]
    legal_basis: String,
    /// What the policy does and for whom, in plain words.
    #[cfg_attr(test, schemars(length(min = 1, max = 2000)))]
    summary: String,
    /// The minimum, during which storage refuses deletion; counted from the end of the bucket.
    #[cfg_attr(test, schemars(extend("pattern" = "^[1-9][0-9]{0,9} (second|minute|hour|day|month|year)s?$")))]
    keep: String,
    /// The maximum, after which the bucket is due for disposal; at least as long as `keep`.
    #[cfg_attr(test, schemars(extend("pattern" = "^[1-9][0-9]{0,9} (second|minute|hour|day|month|year)s?$")))]
    dispose_after: String,
    /// The moment from which periods count: `recorded`, when the archive recorded the event.
    #[cfg_attr(test, schemars(extend("enum" = ["recorded"])))]
    clock: String,
    /// How long a bucket lasts; `month` if not given.
    #[cfg_attr(test, schemars(extend("type" = "string", "enum" = ["month", "day", "hour", "minute", "second"])))]
    bucket: Option<String>,
    /// Classes whose existing buckets are also kept and disposed of as this policy says, if that is later.
    #[cfg_attr(test, schemars(length(min = 1, max = 1000), extend("type" = "array"), inner(regex(pattern = "^[a-z0-9-]{1,32}$"))))]
    extends: Option<Vec<String>>,
    /// The policy is about an event when any of these holds.
    #[cfg_attr(test, schemars(length(min = 1, max = 64)))]
    r#match: Vec<MatchTable>,
}

/// Holds when all given fields hold; an empty one holds for every event.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename = "Match"))]
pub(crate) struct MatchTable {
    /// Kinds of event: a kind (`consent.given`), a group (`consent.*`) or all (`*`).
    #[cfg_attr(
        test,
        schemars(length(min = 1, max = 1000), extend("type" = "array"), inner(regex(pattern = r"^(\*|[a-z]+(\.([a-z]+|\*))?)$")))
    )]
    kinds: Option<Vec<String>>,
    /// Business numbers, by WhatsApp's `phone_number_id`.
    #[cfg_attr(test, schemars(length(min = 1, max = 1000), extend("type" = "array"), inner(regex(pattern = "^[0-9]{1,32}$"))))]
    numbers: Option<Vec<String>>,
    /// Every event but those of these business numbers; holds for events without a number.
    #[cfg_attr(test, schemars(length(min = 1, max = 1000), extend("type" = "array"), inner(regex(pattern = "^[0-9]{1,32}$"))))]
    except_numbers: Option<Vec<String>>,
    /// Where events came from, such as `whatsapp` or `api`.
    #[cfg_attr(test, schemars(length(min = 1, max = 1000), extend("type" = "array"), inner(regex(pattern = "^[a-z0-9-]{1,32}$"))))]
    sources: Option<Vec<String>>,
}

/// Reads and checks a policy file.
pub(crate) fn parse(file_name: &str, text: &str) -> Result<Policy, PolicyError> {
    let check = Check { file: file_name };
    if text.len() > FILE_BYTES_MAX {
        let expected = format!("at most {FILE_BYTES_MAX} bytes");
        return Err(check.value("file", expected, text.len().to_string()));
    }
    let file: PolicyFile = toml::from_str(text).map_err(|source| PolicyError::Syntax {
        file: file_name.to_owned(),
        place: place(text, &source),
        source: Box::new(source),
    })?;
    check.policy(file)
}

/// Names the line of a mistake; a key that is missing has none.
fn place(text: &str, error: &toml::de::Error) -> String {
    let missing = error.message().starts_with("missing field");
    let Some(start) = error.span().filter(|_| !missing).map(|span| span.start) else { return String::new() };
    let before = text.get(..start).unwrap_or(text);
    let number = before.matches('\n').count() + 1;
    let line: String = text.lines().nth(number - 1).unwrap_or_default().trim().chars().take(80).collect();
    format!(" line {number} `{line}`")
}

/// The checks, which all name the file.
struct Check<'a> {
    file: &'a str,
}

impl Check<'_> {
    fn policy(&self, file: PolicyFile) -> Result<Policy, PolicyError> {
        let id = self.id("id", &file.id)?;
        if file.version == 0 {
            return Err(self.value("version", "a whole number from 1", "0"));
        }
        if file.clock != "recorded" {
            let expected = "\"recorded\" (the only clock this version can count from)";
            return Err(self.value("clock", expected, quote(&file.clock)));
        }
        let keep = self.period("keep", &file.keep)?;
        let dispose_after = self.period("dispose_after", &file.dispose_after)?;
        if !dispose_after.covers(keep) {
            let expected = format!("on every date at least the {keep} of `keep`");
            return Err(self.value("dispose_after", expected, quote(&file.dispose_after)));
        }
        let policy = Policy {
            file: self.file.to_owned(),
            version: file.version,
            title: self.text("title", file.title, TITLE_CHARS_MAX)?,
            legal_basis: self.text("legal_basis", file.legal_basis, TEXT_CHARS_MAX)?,
            summary: self.text("summary", file.summary, TEXT_CHARS_MAX)?,
            keep,
            dispose_after,
            bucket: self.bucket(file.bucket.as_deref())?,
            extends: self.extends(&id, file.extends)?,
            rules: self.rules(file.r#match)?,
            id,
        };
        Ok(policy)
    }

    fn id(&self, key: &str, text: &str) -> Result<Class, PolicyError> {
        text.parse().map_err(|_| self.value(key, ID, quote(text)))
    }

    fn period(&self, key: &str, text: &str) -> Result<Period, PolicyError> {
        Period::parse(text).ok_or_else(|| self.value(key, Period::EXPECTED, quote(text)))
    }

    fn text(&self, key: &str, text: String, chars_max: usize) -> Result<String, PolicyError> {
        let text = text.trim().to_owned();
        let count = text.chars().count();
        if !(1..=chars_max).contains(&count) {
            return Err(self.value(key, format!("1 to {chars_max} characters"), count.to_string()));
        }
        if let Some(control) = text.chars().find(|c| c.is_control() && *c != '\n') {
            return Err(self.value(key, "no control characters but line ends", format!("{control:?}")));
        }
        Ok(text)
    }

    fn bucket(&self, name: Option<&str>) -> Result<BucketPeriod, PolicyError> {
        let Some(name) = name else { return Ok(BucketPeriod::Month) };
        BucketPeriod::ALL.into_iter().find(|period| period.as_str() == name).ok_or_else(|| {
            let expected = "\"month\", \"day\", \"hour\", \"minute\" or \"second\"";
            self.value("bucket", expected, quote(name))
        })
    }

    fn extends(&self, own: &Class, values: Option<Vec<String>>) -> Result<Vec<Class>, PolicyError> {
        let Some(values) = values else { return Ok(Vec::new()) };
        let ids = self.list("extends", values, ID, class)?;
        if ids.contains(own) {
            return Err(self.value("extends", "ids of other policies", quote(own.as_str())));
        }
        Ok(ids.into_iter().collect())
    }

    fn rules(&self, tables: Vec<MatchTable>) -> Result<Vec<Rule>, PolicyError> {
        if !(1..=RULES_MAX).contains(&tables.len()) {
            let expected = format!("1 to {RULES_MAX} `[[match]]` tables");
            return Err(self.value("match", expected, tables.len().to_string()));
        }
        tables.into_iter().enumerate().map(|(index, table)| self.rule(index + 1, table)).collect()
    }

    fn rule(&self, position: usize, table: MatchTable) -> Result<Rule, PolicyError> {
        const KIND: &str = "a kind such as \"consent.given\", a group such as \"consent.*\", or \"*\"";
        const NUMBER: &str = "a phone_number_id of 1 to 32 digits";
        const SOURCE: &str = "a source name of 1 to 32 characters a-z, 0-9 and -";
        let key = |name: &str| format!("match[{position}].{name}");
        let number = |text: &str| {
            let valid = (1..=32).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
            valid.then(|| text.to_owned())
        };
        let source = |text: &str| class(text).map(|name| name.as_str().to_owned());
        Ok(Rule {
            kinds: self.optional_list(&key("kinds"), table.kinds, KIND, KindPattern::parse)?,
            numbers: self.optional_list(&key("numbers"), table.numbers, NUMBER, number)?,
            except_numbers: self.optional_list(
                &key("except_numbers"),
                table.except_numbers,
                NUMBER,
                number,
            )?,
            sources: self.optional_list(&key("sources"), table.sources, SOURCE, source)?,
        })
    }

    fn optional_list<T: Ord>(
        &self,
        key: &str,
        values: Option<Vec<String>>,
        expected: &str,
        read: impl Fn(&str) -> Option<T>,
    ) -> Result<Option<BTreeSet<T>>, PolicyError> {
        values.map(|values| self.list(key, values, expected, read)).transpose()
    }

    /// Reads a list; an empty one would match nothing, which nobody means.
    fn list<T: Ord>(
        &self,
        key: &str,
        values: Vec<String>,
        expected: &str,
        read: impl Fn(&str) -> Option<T>,
    ) -> Result<BTreeSet<T>, PolicyError> {
        if !(1..=VALUES_MAX).contains(&values.len()) {
            return Err(self.value(key, format!("1 to {VALUES_MAX} values"), values.len().to_string()));
        }
        let one = |(index, text): (usize, &String)| {
            read(text).ok_or_else(|| self.value(format!("{key}[{}]", index + 1), expected, quote(text)))
        };
        values.iter().enumerate().map(one).collect()
    }

    fn value(
        &self,
        key: impl Into<String>,
        expected: impl Into<String>,
        found: impl Into<String>,
    ) -> PolicyError {
        PolicyError::Value {
            file: self.file.to_owned(),
            key: key.into(),
            expected: expected.into(),
            found: found.into(),
        }
    }
}

fn class(text: &str) -> Option<Class> {
    text.parse().ok()
}

/// Shows a value in a message: quoted, control characters escaped, cut to 60 characters.
fn quote(text: &str) -> String {
    format!("{:?}", text.chars().take(60).collect::<String>())
}
