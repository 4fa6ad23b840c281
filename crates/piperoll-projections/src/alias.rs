//! Aliases: the forms under which a person is known.

use piperoll_sources::{Message, Party};

/// Returns the aliases of a party: `wa:<digits>`, `bsuid:<id>`, `parent:<id>`, `username:<name>`, in this order.
#[must_use]
pub fn aliases(party: &Party) -> Vec<String> {
    each_alias(party).collect()
}

/// Returns the first of the aliases of the person that a message is with.
pub(crate) fn first_alias(message: &Message) -> Option<String> {
    each_alias(person_of(message)?).next()
}

fn each_alias(party: &Party) -> impl Iterator<Item = String> {
    let parts = [
        ("wa:", party.phone.as_deref().filter(|phone| phone.bytes().all(|byte| byte.is_ascii_digit()))),
        ("bsuid:", party.user_id.as_deref()),
        ("parent:", party.parent_user_id.as_deref()),
        ("username:", party.username.as_deref()),
    ];
    let given = parts.into_iter().filter_map(|(prefix, id)| Some((prefix, id.filter(|id| !id.is_empty())?)));
    given.map(|(prefix, id)| [prefix, id].concat())
}

/// Reads an alias as people type it: with its prefix, or a phone number, or a business-scoped user id.
#[must_use]
pub fn alias_of(text: &str) -> Option<String> {
    let text = text.trim();
    let digits = |text: &str| text.chars().filter(char::is_ascii_digit).collect::<String>();
    let spelled = text.split_once(':').filter(|(_, id)| !id.is_empty());
    match spelled {
        Some(("wa", phone)) => Some(format!("wa:{}", digits(phone))).filter(|alias| alias.len() > 3),
        Some(("bsuid" | "parent" | "username", _)) => Some(text.to_owned()),
        Some(_) => None,
        None if text.starts_with('@') && text.len() > 1 => Some(format!("username:{}", &text[1..])),
        None if is_user_id(text) => Some(format!("bsuid:{text}")),
        None if text.chars().all(|c| c.is_ascii_digit() || " +-().".contains(c)) => {
            Some(format!("wa:{}", digits(text))).filter(|alias| alias.len() > 3)
        }
        None => None,
    }
}

/// `DE.1001`: a country, a dot, letters and digits.
fn is_user_id(text: &str) -> bool {
    let Some((country, rest)) = text.split_once('.') else { return false };
    country.len() == 2 && country.bytes().all(|byte| byte.is_ascii_uppercase()) && !rest.is_empty()
}

/// Returns the person that a message is with: who wrote it, or to whom the business wrote.
pub(crate) fn person_of(message: &Message) -> Option<&Party> {
    use piperoll_sources::Direction::Outbound;
    let is_received = message.direction == Some(Outbound) || message.from.is_none();
    if is_received { message.to.first() } else { message.from.as_ref() }
}
