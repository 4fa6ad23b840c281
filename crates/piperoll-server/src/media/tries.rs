//! How often each attachment was tried in vain and when it is tried again: a small file, so that a restart does not
//! begin to ask anew.
//!
//! It decides nothing but the moment of a try; lost or damaged, everything that waits is tried at once.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use piperoll_format::{LedgerId, Seq};
use serde::{Deserialize, Serialize};

use super::AttachmentKey;
use crate::wire::hex;

/// Tries that are kept; of more the youngest messages begin anew.
const TRIES_MAX: usize = 100_000;

/// What is known about an attachment that was tried in vain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Tried {
    /// Tries that failed.
    pub(crate) attempts: u32,
    /// When it may be tried again, in microseconds since the epoch.
    pub(crate) next_at: u64,
}

#[derive(Serialize, Deserialize)]
struct File {
    ledger: String,
    /// Message, attachment, what is known.
    tries: Vec<(u64, u32, Tried)>,
}

/// The tries so far.
#[derive(Debug)]
pub(crate) struct Tries {
    path: PathBuf,
    ledger: String,
    known: BTreeMap<AttachmentKey, Tried>,
    is_changed: bool,
}

impl Tries {
    /// Reads the file of a ledger in `dir`; begins with nothing when there is none that fits.
    pub(crate) fn open(dir: &Path, ledger: LedgerId) -> Self {
        let (path, ledger) = (dir.join("media-tries.json"), hex(&ledger.0));
        let read = std::fs::read(&path).ok().and_then(|bytes| serde_json::from_slice::<File>(&bytes).ok());
        let tries = read.filter(|file| file.ledger == ledger).map(|file| file.tries).unwrap_or_default();
        let key = |message, index| AttachmentKey { message: Seq(message), index };
        let known = tries.into_iter().map(|(message, index, tried)| (key(message, index), tried)).collect();
        Self { path, ledger, known, is_changed: false }
    }

    /// Returns what is known about an attachment.
    pub(crate) fn get(&self, key: AttachmentKey) -> Option<Tried> {
        self.known.get(&key).copied()
    }

    /// Notes a try that failed.
    pub(crate) fn note(&mut self, key: AttachmentKey, tried: Tried) {
        let _old = self.known.insert(key, tried);
        self.is_changed = true;
    }

    /// Forgets an attachment that is not tried any more.
    pub(crate) fn forget(&mut self, key: AttachmentKey) {
        self.is_changed |= self.known.remove(&key).is_some();
    }

    /// Forgets everything that is not waited for.
    pub(crate) fn retain(&mut self, waits: impl Fn(AttachmentKey) -> bool) {
        let before = self.known.len();
        self.known.retain(|key, _| waits(*key));
        self.is_changed |= self.known.len() != before;
    }

    /// Returns whether something is not in the file yet.
    pub(crate) const fn is_changed(&self) -> bool {
        self.is_changed
    }

    /// Replaces the file.
    pub(crate) fn save(&mut self) -> io::Result<()> {
        let tries = self.known.iter().take(TRIES_MAX);
        let tries = tries.map(|(key, tried)| (key.message.0, key.index, *tried)).collect();
        let file = File { ledger: self.ledger.clone(), tries };
        let bytes = serde_json::to_vec(&file).expect("texts and numbers are always JSON");
        let staged = self.path.with_extension("new");
        std::fs::write(&staged, bytes)?;
        std::fs::rename(&staged, &self.path)?;
        self.is_changed = false;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::disallowed_methods, reason = "tests may unwrap")]

    use super::*;

    const KEY: AttachmentKey = AttachmentKey { message: Seq(4), index: 1 };
    const OTHER: AttachmentKey = AttachmentKey { message: Seq(5), index: 0 };

    #[test]
    fn tries_survive_and_those_of_another_ledger_or_damaged_ones_begin_anew() {
        let dir = tempfile::tempdir().unwrap();
        let open = |ledger| Tries::open(dir.path(), LedgerId([ledger; 16]));
        let (mut tries, tried) = (open(7), Tried { attempts: 3, next_at: 9 });
        tries.note(KEY, tried);
        tries.note(OTHER, tried);
        tries.save().unwrap();
        assert!(!tries.is_changed());
        let mut tries = open(7);
        assert_eq!((tries.get(KEY), tries.get(OTHER)), (Some(tried), Some(tried)));
        tries.forget(OTHER);
        tries.save().unwrap();
        assert_eq!((open(7).get(KEY), open(7).get(OTHER)), (Some(tried), None));
        assert_eq!(open(8).get(KEY), None);
        std::fs::write(dir.path().join("media-tries.json"), b"{\"ledger\"").unwrap();
        assert_eq!(open(7).get(KEY), None);
    }

    #[test]
    fn only_what_waits_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let mut tries = Tries::open(dir.path(), LedgerId([7; 16]));
        tries.retain(|_| false);
        assert!(!tries.is_changed());
        tries.note(KEY, Tried { attempts: 1, next_at: 1 });
        tries.retain(|key| key == OTHER);
        assert_eq!((tries.get(KEY), tries.is_changed()), (None, true));
    }
}
