//! What is still to be fetched, what became of each attachment, and what was last observed: on local disk, derived
//! from the ledger.
//!
//! It holds positions, counts, digests and business numbers; no name, no address, no captured byte. It is made again
//! from the ledger whenever it is missing, damaged or of another version.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use piperoll_format::{LedgerId, Seq};
use redb::{Database, ReadableDatabase as _, ReadableTable as _, TableDefinition};

/// Changed whenever the tables get another meaning.
const VERSION: u64 = 2;

/// Memory for pages.
const CACHE_BYTES: usize = 8 * 1024 * 1024;

const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
const LEDGER: TableDefinition<'_, &str, [u8; 16]> = TableDefinition::new("ledger");
/// Message and attachment → when the message was recorded, tries so far, business number.
const WAITING: TableDefinition<'_, (u64, u32), (u64, u32, &str)> = TableDefinition::new("waiting");
/// Message and attachment → whether it was captured, the event that says so.
const DONE: TableDefinition<'_, (u64, u32), (bool, u64)> = TableDefinition::new("done");
/// What was observed → its digest, when.
const OBSERVED: TableDefinition<'_, &str, ([u8; 32], u64)> = TableDefinition::new("observed");

/// Captured attachments whose text was neither taken out nor found to be missing, by the event that says so.
const WITHOUT_TEXT: TableDefinition<'_, u64, ()> = TableDefinition::new("without-text");

/// An attachment: the message that names it, and which of its attachments it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct AttachmentKey {
    pub(crate) message: Seq,
    pub(crate) index: u32,
}

/// An attachment that is neither captured nor given up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Waiting {
    pub(crate) key: AttachmentKey,
    /// When the message was recorded, in microseconds.
    pub(crate) since: u64,
    /// Tries that failed.
    pub(crate) attempts: u32,
    /// The business number, empty if unknown.
    pub(crate) number: String,
}

/// What became of an attachment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Done {
    Captured(Seq),
    Unavailable(Seq),
}

/// What an event changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    Wait(Waiting),
    Done(AttachmentKey, Done),
    /// This `media.captured` event is about an attachment that may have text.
    WantsText(Seq),
    /// The text of this `media.captured` event's attachment is committed, or why there is none.
    HasText(Seq),
    Observed {
        key: String,
        digest: [u8; 32],
        at: u64,
    },
}

/// Why the local state could not be used.
#[derive(Debug, thiserror::Error)]
#[error("the local state of media failed; delete `media.redb` and start again")]
pub struct MediaStateError(#[source] Box<dyn std::error::Error + Send + Sync>);

fn broken(error: impl Into<redb::Error>) -> MediaStateError {
    MediaStateError(Box::new(error.into()))
}

/// The database. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct MediaState(Arc<Database>, Arc<Path>);

impl MediaState {
    /// Opens the database, or starts an empty one when there is none that fits.
    pub(crate) fn open(dir: &Path, ledger: LedgerId) -> Result<Self, MediaStateError> {
        let path = dir.join("media.redb");
        let failed = |error: std::io::Error| MediaStateError(Box::new(error));
        std::fs::create_dir_all(dir).map_err(failed)?;
        let open = || Database::builder().set_cache_size(CACHE_BYTES).create(&path);
        // The database panics on pages that make no sense; a damaged one is as good as none.
        let fitting = catch_unwind(AssertUnwindSafe(|| {
            let state = Self(Arc::new(open().ok()?), dir.into());
            state.is_of(ledger).unwrap_or(false).then_some(state)
        }));
        if let Ok(Some(state)) = fitting {
            return Ok(state);
        }
        if path.exists() {
            tracing::info!("making the local state of media anew");
            std::fs::remove_file(&path).map_err(failed)?;
        }
        let state = Self(Arc::new(open().map_err(broken)?), dir.into());
        state.begin(ledger)?;
        Ok(state)
    }

    /// Returns the folder that the database is in.
    pub(crate) fn dir(&self) -> &Path {
        &self.1
    }

    fn is_of(&self, ledger: LedgerId) -> Result<bool, MediaStateError> {
        let read = self.0.begin_read().map_err(broken)?;
        let version = read.open_table(META).map_err(broken)?.get("version").map_err(broken)?;
        let of = read.open_table(LEDGER).map_err(broken)?.get("id").map_err(broken)?;
        Ok(version.is_some_and(|version| version.value() == VERSION)
            && of.is_some_and(|id| id.value() == ledger.0))
    }

    fn begin(&self, ledger: LedgerId) -> Result<(), MediaStateError> {
        let write = self.0.begin_write().map_err(broken)?;
        {
            let mut meta = write.open_table(META).map_err(broken)?;
            let _ = meta.insert("version", VERSION).map_err(broken)?;
            let _ = meta.insert("cursor", 0).map_err(broken)?;
            let _ = write.open_table(LEDGER).map_err(broken)?.insert("id", ledger.0).map_err(broken)?;
            let _ = write.open_table(WAITING).map_err(broken)?;
            let _ = write.open_table(DONE).map_err(broken)?;
            let _ = write.open_table(OBSERVED).map_err(broken)?;
            let _ = write.open_table(WITHOUT_TEXT).map_err(broken)?;
        }
        write.commit().map_err(broken)
    }

    /// Returns the first event that was not looked at.
    pub(crate) fn cursor(&self) -> Result<u64, MediaStateError> {
        let read = self.0.begin_read().map_err(broken)?;
        let cursor = read.open_table(META).map_err(broken)?.get("cursor").map_err(broken)?;
        Ok(cursor.map_or(0, |cursor| cursor.value()))
    }

    /// Makes the changes of the events before `cursor`. Waiting for what is done already changes nothing.
    pub(crate) fn apply(&self, changes: &[Change], cursor: u64) -> Result<(), MediaStateError> {
        let write = self.0.begin_write().map_err(broken)?;
        {
            let mut waiting = write.open_table(WAITING).map_err(broken)?;
            let mut done = write.open_table(DONE).map_err(broken)?;
            let mut observed = write.open_table(OBSERVED).map_err(broken)?;
            let mut without_text = write.open_table(WITHOUT_TEXT).map_err(broken)?;
            for change in changes {
                match change {
                    Change::Wait(new) => {
                        let value = (new.since, new.attempts, &*new.number);
                        if done.get(place(new.key)).map_err(broken)?.is_none() {
                            let _ = waiting.insert(place(new.key), value).map_err(broken)?;
                        }
                    }
                    Change::Done(key, what) => {
                        let _ = waiting.remove(place(*key)).map_err(broken)?;
                        let (captured, by) = match what {
                            Done::Captured(by) => (true, by.0),
                            Done::Unavailable(by) => (false, by.0),
                        };
                        // What was captured after all counts more than that it was given up.
                        let known = done.get(place(*key)).map_err(broken)?.map(|known| known.value());
                        if captured || known.is_none_or(|(captured, _)| !captured) {
                            let _ = done.insert(place(*key), (captured, by)).map_err(broken)?;
                        }
                    }
                    Change::WantsText(captured) => {
                        let _ = without_text.insert(captured.0, ()).map_err(broken)?;
                    }
                    Change::HasText(captured) => {
                        let _ = without_text.remove(captured.0).map_err(broken)?;
                    }
                    Change::Observed { key, digest, at } => {
                        let _ = observed.insert(&**key, (*digest, *at)).map_err(broken)?;
                    }
                }
            }
            let _ = write.open_table(META).map_err(broken)?.insert("cursor", cursor).map_err(broken)?;
        }
        write.commit().map_err(broken)
    }

    /// Returns everything that waits, oldest message first.
    pub(crate) fn waiting(&self) -> Result<Vec<Waiting>, MediaStateError> {
        let read = self.0.begin_read().map_err(broken)?;
        let table = read.open_table(WAITING).map_err(broken)?;
        let mut found = Vec::new();
        for row in table.iter().map_err(broken)? {
            let (key, value) = row.map_err(broken)?;
            let ((message, index), (since, attempts, number)) = (key.value(), value.value());
            let key = AttachmentKey { message: Seq(message), index };
            found.push(Waiting { key, since, attempts, number: number.to_owned() });
        }
        Ok(found)
    }

    /// Notes a try that failed.
    pub(crate) fn tried(&self, waiting: &Waiting) -> Result<(), MediaStateError> {
        let write = self.0.begin_write().map_err(broken)?;
        {
            let mut table = write.open_table(WAITING).map_err(broken)?;
            let is_waiting = table.get(place(waiting.key)).map_err(broken)?.is_some();
            if is_waiting {
                let value = (waiting.since, waiting.attempts, &*waiting.number);
                let _ = table.insert(place(waiting.key), value).map_err(broken)?;
            }
        }
        write.commit().map_err(broken)
    }

    /// Forgets an attachment whose message is gone.
    pub(crate) fn forget(&self, key: AttachmentKey) -> Result<(), MediaStateError> {
        let write = self.0.begin_write().map_err(broken)?;
        let _ = write.open_table(WAITING).map_err(broken)?.remove(place(key)).map_err(broken)?;
        write.commit().map_err(broken)
    }

    /// Returns up to `limit` captured attachments whose text is still to be taken out, oldest first.
    pub(crate) fn without_text(&self, limit: usize) -> Result<Vec<Seq>, MediaStateError> {
        let read = self.0.begin_read().map_err(broken)?;
        let table = read.open_table(WITHOUT_TEXT).map_err(broken)?;
        let rows = table.iter().map_err(broken)?.take(limit);
        rows.map(|row| Ok(Seq(row.map_err(broken)?.0.value()))).collect()
    }

    /// Notes that the text of a captured attachment needs no more work.
    pub(crate) fn has_text(&self, captured: Seq) -> Result<(), MediaStateError> {
        let write = self.0.begin_write().map_err(broken)?;
        let _ = write.open_table(WITHOUT_TEXT).map_err(broken)?.remove(captured.0).map_err(broken)?;
        write.commit().map_err(broken)
    }

    /// Returns what became of an attachment.
    pub(crate) fn done(&self, key: AttachmentKey) -> Result<Option<Done>, MediaStateError> {
        let read = self.0.begin_read().map_err(broken)?;
        let found = read.open_table(DONE).map_err(broken)?.get(place(key)).map_err(broken)?;
        Ok(found.map(|found| match found.value() {
            (true, by) => Done::Captured(Seq(by)),
            (false, by) => Done::Unavailable(Seq(by)),
        }))
    }

    /// Returns the digest of what was last observed under a key, and when that was.
    pub(crate) fn observed(&self, key: &str) -> Result<Option<([u8; 32], u64)>, MediaStateError> {
        let read = self.0.begin_read().map_err(broken)?;
        let found = read.open_table(OBSERVED).map_err(broken)?.get(key).map_err(broken)?;
        Ok(found.map(|found| found.value()))
    }
}

const fn place(key: AttachmentKey) -> (u64, u32) {
    (key.message.0, key.index)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::disallowed_methods, reason = "tests may unwrap")]

    use super::*;

    const KEY: AttachmentKey = AttachmentKey { message: Seq(4), index: 0 };

    fn wait() -> Change {
        Change::Wait(Waiting { key: KEY, since: 7, attempts: 0, number: "100".to_owned() })
    }

    #[test]
    fn what_waits_survives_and_is_done_once() {
        let dir = tempfile::tempdir().unwrap();
        let ledger = LedgerId([7; 16]);
        let state = MediaState::open(dir.path(), ledger).unwrap();
        state.apply(&[wait()], 5).unwrap();
        let mut tried = state.waiting().unwrap().remove(0);
        tried.attempts = 3;
        state.tried(&tried).unwrap();
        drop(state);
        let state = MediaState::open(dir.path(), ledger).unwrap();
        assert_eq!((state.cursor().unwrap(), state.waiting().unwrap()), (5, vec![tried.clone()]));
        state.apply(&[Change::Done(KEY, Done::Captured(Seq(9)))], 10).unwrap();
        // Neither a repeat nor a late failure brings it back.
        state.apply(&[wait(), Change::Done(KEY, Done::Unavailable(Seq(10)))], 11).unwrap();
        state.tried(&tried).unwrap();
        assert_eq!(state.waiting().unwrap(), []);
        assert_eq!(state.done(KEY).unwrap(), Some(Done::Captured(Seq(9))));
    }

    #[test]
    fn damaged_state_or_that_of_another_ledger_begins_anew() {
        let dir = tempfile::tempdir().unwrap();
        let state = MediaState::open(dir.path(), LedgerId([7; 16])).unwrap();
        state.apply(&[wait()], 5).unwrap();
        drop(state);
        let other = MediaState::open(dir.path(), LedgerId([8; 16])).unwrap();
        assert_eq!(other.cursor().unwrap(), 0);
        drop(other);
        std::fs::write(dir.path().join("media.redb"), [7; 9_000]).unwrap();
        let state = MediaState::open(dir.path(), LedgerId([8; 16])).unwrap();
        assert_eq!((state.cursor().unwrap(), state.waiting().unwrap().len()), (0, 0));
    }
}
