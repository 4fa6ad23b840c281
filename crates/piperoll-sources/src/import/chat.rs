//! Chats exported from the app: a line for each message, headed by date, time and name, in the form of the phone's
//! language. Lines without such a head belong to the message before them.
//!
//! | phone | head |
//! |---|---|
//! | Android | `21/11/2026, 10:05 - Ada: hello`, `11/21/26, 10:05 PM - Ada: hello`, `21.11.26, 10:05 - …` |
//! | iPhone | `[21.11.26, 10:05:33] Ada: hello`, `[11/21/26, 10:05:33 PM] Ada: hello` |
//!
//! A head without a name is the app's own. Observed forms; the app's maker documents none of them. How date and time
//! are written in which language is in [`super::stamp`].

use std::ops::Range;

use chrono::{NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, TimeZone as _};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

use super::stamp::{MARKS, stamp_of};
use super::{Context, Mistake, attachment_type, phone};
use crate::message::{Attachment, Direction, Message, Party};
use crate::text;

/// The longest head of a message, in bytes; names are at most 25 characters.
const HEAD_BYTES_MAX: usize = 400;

/// The order of day, month and year in a date.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DateOrder {
    /// Day, month, year.
    Dmy,
    /// Month, day, year.
    Mdy,
    /// Year, month, day.
    Ymd,
}

/// The line on which a message begins, and its bytes.
type Piece = (u64, Range<usize>);

/// Date and time as written, and what follows them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Head<'a> {
    date: [u32; 3],
    /// Whether the first number of the date has four digits.
    is_year_first: bool,
    time: NaiveTime,
    rest: &'a str,
}

/// Cuts a chat into messages, each with its line, and finds the order of dates.
pub(super) fn cut(bytes: &[u8], order: Option<DateOrder>) -> Result<(Vec<Piece>, DateOrder), Mistake> {
    let mut pieces: Vec<Piece> = Vec::new();
    let mut dates = Vec::new();
    let mut at = 0;
    for (line, number) in bytes.split_inclusive(|byte| *byte == b'\n').zip(1..) {
        let start = at;
        at += line.len();
        let end = start + trimmed(line).len();
        match head_of(line) {
            Some(head) => {
                dates.push((head.date, head.is_year_first));
                pieces.push((number, start..end));
            }
            None if start == end => {}
            None => match pieces.last_mut() {
                Some((_, range)) => range.end = end,
                None => {
                    let expected =
                        "a date, a time and a name such as `21/11/2026, 10:05 - Ada: hello`".to_owned();
                    let found = format!("a line of {} bytes without them", line.len());
                    return Err(Mistake { line: number, expected, found });
                }
            },
        }
    }
    let order = match order {
        Some(order) => order,
        None => find_order(&dates).ok_or_else(|| Mistake {
            line: 1,
            expected: "dates that show which number is the month, or the order given as `dmy` or `mdy`"
                .to_owned(),
            found: "dates that can be read both ways".to_owned(),
        })?,
    };
    Ok((pieces, order))
}

/// Finds the order in which all dates are dates, and ascend.
fn find_order(dates: &[([u32; 3], bool)]) -> Option<DateOrder> {
    let orders = [DateOrder::Ymd, DateOrder::Dmy, DateOrder::Mdy];
    let valid = orders.into_iter().filter(|order| {
        dates.iter().all(|(date, is_year_first)| {
            (*order == DateOrder::Ymd) == *is_year_first && date_in(*date, *order).is_some()
        })
    });
    let falls = |order: DateOrder| {
        let read: Vec<_> = dates.iter().filter_map(|(date, _)| date_in(*date, order)).collect();
        read.windows(2).filter(|pair| pair[1] < pair[0]).count()
    };
    let mut ranked: Vec<(usize, DateOrder)> = valid.map(|order| (falls(order), order)).collect();
    ranked.sort_by_key(|(falls, _)| *falls);
    match ranked[..] {
        [(_, only)] => Some(only),
        [(best, order), (next, _), ..] if best < next => Some(order),
        [(_, first), (_, second), ..] => {
            // Both ascend: it matters only where they read a date differently.
            let same = |(date, _): &([u32; 3], bool)| date_in(*date, first) == date_in(*date, second);
            dates.iter().all(same).then_some(first)
        }
        [] => dates.is_empty().then_some(DateOrder::Dmy),
    }
}

fn date_in([a, b, c]: [u32; 3], order: DateOrder) -> Option<NaiveDate> {
    let (year, month, day) = match order {
        DateOrder::Dmy => (c, b, a),
        DateOrder::Mdy => (c, a, b),
        DateOrder::Ymd => (a, b, c),
    };
    let year = if year < 100 { 2000 + year } else { year };
    NaiveDate::from_ymd_opt(i32::try_from(year).ok()?, month, day)
}

/// Reads one message.
pub(super) fn read(piece: &[u8], context: &Context) -> Result<Message, (&'static str, String)> {
    let expected = "a date that exists, in the order of the others";
    let head = head_of(piece).ok_or((expected, "none".to_owned()))?;
    let date = context.date_order.and_then(|order| date_in(head.date, order));
    let date = date.ok_or((expected, "another".to_owned()))?;
    // What follows the head goes on to the end of the piece.
    let head_bytes = head.rest.as_ptr() as usize - piece.as_ptr() as usize;
    let whole = String::from_utf8_lossy(&piece[head_bytes..]);
    let mut message =
        Message { occurred_at: Some(micros(date.and_time(head.time), context.zone)), ..Message::default() };
    let first = whole.lines().next().unwrap_or_default();
    let Some((name, _)) = first.split_once(": ").or_else(|| first.strip_suffix(':').map(|name| (name, "")))
    else {
        message.message_type = "system".to_owned();
        text::push(whole.trim_matches(MARKS), &mut message.texts);
        return Ok(message);
    };
    let body = whole[name.len() + 1..].trim_start_matches(' ');
    let name = name.trim_matches(MARKS).trim();
    message.direction =
        context.name.as_ref().map(|own| if own == name { Direction::Outbound } else { Direction::Inbound });
    let known = |is_person: bool| context.person.clone().filter(|_| is_person);
    if message.direction == Some(Direction::Outbound) {
        message.from = Some(Party { name: Some(name.to_owned()), ..Party::default() });
        message.to =
            known(true).map(|phone| Party { phone: Some(phone), ..Party::default() }).into_iter().collect();
    } else {
        let number = phone(name);
        let is_person = message.direction.is_some() && number.is_none();
        message.from = Some(Party {
            phone: number.clone().or_else(|| known(is_person)),
            name: Some(name.to_owned()).filter(|_| number.is_none()),
            ..Party::default()
        });
    }
    read_body(body, &mut message);
    Ok(message)
}

/// Adds text and file of a message.
fn read_body(body: &str, message: &mut Message) {
    let (first, rest) = body.split_once('\n').unwrap_or((body, ""));
    let first = first.trim_end_matches('\r').trim_matches(MARKS);
    message.message_type = "text".to_owned();
    let Some(filename) = file_in(first) else {
        text::push(body.trim_matches(MARKS).trim_end(), &mut message.texts);
        return;
    };
    let (attachment_type, mime_type) = attachment_type(filename);
    message.message_type = attachment_type.to_owned();
    message.attachments.push(Attachment {
        attachment_type: attachment_type.to_owned(),
        filename: Some(filename.to_owned()),
        mime_type: mime_type.map(str::to_owned),
        ..Attachment::default()
    });
    text::push(filename, &mut message.texts);
    text::push(rest.trim_end(), &mut message.texts);
}

/// Finds the file that a line names: `IMG-1.jpg (file attached)` or `<attached: 1-PHOTO.jpg>` in any language.
fn file_in(line: &str) -> Option<&str> {
    let named = match line.strip_prefix('<').and_then(|line| line.strip_suffix('>')) {
        Some(inner) => inner.split_once(": ")?.1,
        None => line.strip_suffix(')')?.rsplit_once(" (")?.0,
    };
    let named = named.trim_matches(MARKS);
    let (stem, ending) = named.rsplit_once('.')?;
    let is_ending = (2..=5).contains(&ending.len()) && ending.bytes().all(|c| c.is_ascii_alphanumeric());
    let is_plain = !stem.is_empty() && !stem.contains(['/', '\\', '<', '>', ':']);
    (is_ending && is_plain && named.len() <= 255).then_some(named)
}

/// Reads a local time. One that stands twice, when clocks go back, is the first; one that is skipped is an hour later.
fn micros(local: NaiveDateTime, zone: Tz) -> i64 {
    let found = zone.from_local_datetime(&local).earliest();
    let later = || zone.from_local_datetime(&(local + TimeDelta::hours(1))).earliest();
    found.or_else(later).map_or_else(|| local.and_utc().timestamp_micros(), |time| time.timestamp_micros())
}

fn trimmed(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// Reads the head of a line.
fn head_of(line: &[u8]) -> Option<Head<'_>> {
    let line = trimmed(line.split_inclusive(|byte| *byte == b'\n').next()?);
    let long = &line[..line.len().min(HEAD_BYTES_MAX)];
    // Only a start that is text can be a head; the rest of the line may be cut inside a character.
    let valid = long.utf8_chunks().next()?.valid();
    let line = std::str::from_utf8(line).unwrap_or(valid);
    let line = line.trim_start_matches(MARKS);
    match line.strip_prefix('[') {
        Some(line) => {
            let (stamp, rest) = line.split_once(']')?;
            let (date, is_year_first, time) = stamp_of(stamp)?;
            Some(Head { date, is_year_first, time, rest: rest.strip_prefix(' ').unwrap_or(rest) })
        }
        None => {
            let (stamp, rest) =
                line.split_once(" - ").or_else(|| Some((line.strip_suffix(" -")?, &line[line.len()..])))?;
            let (date, is_year_first, time) = stamp_of(stamp)?;
            Some(Head { date, is_year_first, time, rest })
        }
    }
}
