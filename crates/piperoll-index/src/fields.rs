//! The fields of the index, and how a document fills them.
//!
//! | field | holds | form |
//! |---|---|---|
//! | `text` | bodies, captions, titles, file names | words with positions, for phrases and proximity |
//! | `exact` | every other fact: kind, people, number, class … | one term a fact, its first letter says which |
//! | `id` | source ids and the ids it points at | a 48-bit hash each; a whole id would be half of the index |
//! | `seq` | the address | column |
//! | `time` | occurred, else recorded, in seconds | column |
//!
//! Nothing is stored and nothing is scored. Facts share one field because a field has a fixed cost in every
//! commit's files, and a small commit happens every second.

use piperoll_sources::{Direction, Message, Party};
use tantivy::schema::{Field, IndexRecordOption, NumericOptions, Schema, TextFieldIndexing, TextOptions};
use tantivy::tokenizer::{TextAnalyzer, TokenizerManager};
use tantivy::{TantivyDocument, Term};

use crate::analysis::{self, LineTokenizer, TEXT_BREAK, TextTokenizer};
use crate::document::Document;

/// The version of schema and analysis together. An index of another version is rebuilt, never migrated.
pub(crate) const INDEX_VERSION: u32 = 1;

/// Longer facts are cut, in documents and queries alike.
const FACT_BYTES_MAX: usize = 200;
const TEXT_TOKENIZER: &str = "piperoll-text";
const EXACT_TOKENIZER: &str = "piperoll-exact";

/// Which fact a term of the `exact` field states; the letter is the term's first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fact {
    Kind,
    Class,
    Bucket,
    Conversation,
    Direction,
    Type,
    Template,
    Number,
    From,
    To,
    Has,
}

impl Fact {
    const fn letter(self) -> char {
        match self {
            Self::Kind => 'k',
            Self::Class => 'c',
            Self::Bucket => 'b',
            Self::Conversation => 'v',
            Self::Direction => 'd',
            Self::Type => 't',
            Self::Template => 'p',
            Self::Number => 'n',
            Self::From => 'f',
            Self::To => 'r',
            Self::Has => 'h',
        }
    }
}

/// The fields, resolved.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fields {
    pub(crate) text: Field,
    pub(crate) exact: Field,
    pub(crate) id: Field,
    pub(crate) seq: Field,
    pub(crate) time: Field,
}

/// The name of the `seq` column.
pub(crate) const SEQ: &str = "seq";

/// Returns the schema with its fields.
pub(crate) fn schema() -> (Schema, Fields) {
    let mut builder = Schema::builder();
    let words = |tokenizer, record| {
        let indexing = TextFieldIndexing::default().set_tokenizer(tokenizer).set_index_option(record);
        TextOptions::default().set_indexing_options(indexing.set_fieldnorms(false))
    };
    let fields = Fields {
        text: builder.add_text_field("text", words(TEXT_TOKENIZER, IndexRecordOption::WithFreqsAndPositions)),
        exact: builder.add_text_field("exact", words(EXACT_TOKENIZER, IndexRecordOption::Basic)),
        id: builder.add_u64_field("id", NumericOptions::default().set_indexed()),
        seq: builder.add_u64_field(SEQ, NumericOptions::default().set_fast()),
        time: builder.add_u64_field("time", NumericOptions::default().set_fast()),
    };
    (builder.build(), fields)
}

/// Returns the analysers under the names that the schema uses.
pub(crate) fn tokenizers() -> TokenizerManager {
    let manager = TokenizerManager::default();
    manager.register(TEXT_TOKENIZER, TextAnalyzer::from(TextTokenizer::default()));
    manager.register(EXACT_TOKENIZER, TextAnalyzer::from(LineTokenizer::default()));
    manager
}

impl Fields {
    /// Turns a document into what tantivy indexes.
    pub(crate) fn fill(&self, document: &Document) -> TantivyDocument {
        let message = &document.message;
        let mut filled = TantivyDocument::default();
        let text = text(message);
        if !text.is_empty() {
            filled.add_text(self.text, &text);
        }
        filled.add_text(self.exact, facts(document));
        let ids = message.references.iter().map(|reference| &reference.source_id);
        for id in message.source_id.iter().chain(ids) {
            filled.add_u64(self.id, id_hash(id));
        }
        filled.add_u64(self.seq, document.seq);
        filled.add_u64(self.time, document.time_seconds());
        filled
    }

    /// Returns the term of a fact whose value is already normal.
    pub(crate) fn fact_term(&self, fact: Fact, value: &str) -> Term {
        let mut text = String::with_capacity(value.len() + 1);
        text.push(fact.letter());
        text.push_str(value);
        Term::from_field_text(self.exact, &text)
    }

    /// Returns the term of a source id.
    pub(crate) fn id_term(&self, id: &str) -> Term {
        Term::from_field_u64(self.id, id_hash(id))
    }
}

fn text(message: &Message) -> String {
    let names = message.attachments.iter().filter_map(|attachment| attachment.filename.as_ref());
    let mut joined = String::new();
    for text in message.texts.iter().chain(names).filter(|text| !text.is_empty()) {
        if !joined.is_empty() {
            joined.push(TEXT_BREAK);
        }
        joined.push_str(text);
    }
    joined
}

/// Writes every exact fact on a line of its own.
fn facts(document: &Document) -> String {
    let message = &document.message;
    let mut lines = String::with_capacity(256);
    let mut add = |fact: Fact, value: &str| {
        if !value.is_empty() {
            lines.push(fact.letter());
            lines.push_str(value);
            lines.push('\n');
        }
    };
    add(Fact::Kind, document.kind.as_str());
    add(Fact::Class, &normal(&document.class));
    add(Fact::Bucket, &normal(&document.bucket));
    add(Fact::Type, &normal(&message.message_type));
    if let Some(conversation) = &message.conversation {
        add(Fact::Conversation, &normal(conversation));
    }
    if let Some(direction) = message.direction {
        add(Fact::Direction, direction_value(direction));
    }
    if let Some(template) = &message.template {
        for value in [&template.name, &template.id].into_iter().flatten() {
            add(Fact::Template, &normal(value));
        }
    }
    if let Some(number) = &message.number {
        for value in [&number.id, &number.phone].into_iter().flatten() {
            add(Fact::Number, &digits(value));
        }
    }
    if !message.attachments.is_empty() {
        add(Fact::Has, HAS_ATTACHMENT);
    }
    for (fact, party) in message
        .from
        .iter()
        .map(|party| (Fact::From, party))
        .chain(message.to.iter().map(|party| (Fact::To, party)))
    {
        party_values(party, |value| add(fact, value));
    }
    lines
}

fn party_values(party: &Party, mut add: impl FnMut(&str)) {
    if let Some(phone) = &party.phone {
        add(&digits(phone));
    }
    for value in [&party.user_id, &party.username].into_iter().flatten() {
        add(&normal(value));
    }
    if let Some(name) = &party.name {
        for word in analysis::words(name) {
            add(&word);
        }
    }
}

/// The value of `has:attachment`.
pub(crate) const HAS_ATTACHMENT: &str = "attachment";

/// Returns the term value of a direction, which is also its canonical text.
pub(crate) const fn direction_value(direction: Direction) -> &'static str {
    match direction {
        Direction::Inbound => "in",
        Direction::Outbound => "out",
    }
}

/// Lower case, on one line, not longer than a term may be.
pub(crate) fn normal(value: &str) -> String {
    let mut normal = String::with_capacity(value.len());
    for character in value.trim().chars().flat_map(char::to_lowercase) {
        if normal.len() + character.len_utf8() > FACT_BYTES_MAX {
            break;
        }
        normal.push(if character.is_control() { ' ' } else { character });
    }
    normal
}

/// The digits of a phone number or numeric id.
pub(crate) fn digits(value: &str) -> String {
    value.chars().filter(char::is_ascii_digit).take(FACT_BYTES_MAX).collect()
}

/// FNV-1a with a final mix, cut to 48 bits: at a million ids a search meets a foreign one once in 280 million times,
/// and a hit is only an address anyway.
fn id_hash(id: &str) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in id.bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    (hash ^ (hash >> 33)) >> 16
}
