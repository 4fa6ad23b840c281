//! Requests to send that were passed on while nothing could be archived: a small file beside the state, so that the gap
//! is known after a crash that comes before the store does.
//!
//! One entry is one line of JSON and on the disk before its request is passed on. It has ids, the business's own
//! number, times and counts: nothing of a person, no text, no token. The file is empty in ordinary times.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

/// Entries that are kept apart; beyond them those of a number are added up.
const ENTRIES_MAX: usize = 10_000;

/// Bytes that are read of a file.
const BYTES_MAX: u64 = 16 * 1024 * 1024;

/// Something that went through without being archived.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Unarchived {
    /// The journal id of the request.
    pub(crate) id: String,
    /// The business number's id.
    pub(crate) number: String,
    /// The first moment, microseconds since the epoch.
    pub(crate) from: u64,
    /// The last moment.
    pub(crate) to: u64,
    /// Requests and answers that are missing.
    pub(crate) events: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Line {
    Missing(Unarchived),
    Settled { settled: Vec<String> },
}

/// The file. Cheap to clone; clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Unrecorded {
    path: PathBuf,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    entries: BTreeMap<String, Unarchived>,
    /// Entries of this process whose request is still under way: it may yet be archived.
    under_way: BTreeSet<String>,
    file: Option<File>,
}

impl Unrecorded {
    /// Reads what a process before this one could not record any more. A last line that is not whole, which a crash
    /// leaves, says nothing.
    pub(crate) fn open(dir: &Path) -> Self {
        let path = dir.join("unrecorded-sends.jsonl");
        let mut entries = BTreeMap::new();
        match read(&path) {
            Ok(text) => {
                for line in text.lines().filter_map(|line| serde_json::from_str(line).ok()) {
                    match line {
                        Line::Missing(entry) => drop(entries.insert(entry.id.clone(), entry)),
                        Line::Settled { settled } => entries.retain(|id, _| !settled.contains(id)),
                    }
                }
            }
            Err(error) => {
                tracing::error!(%error, "the list of sends that were not archived cannot be read");
            }
        }
        Self { path, state: Arc::new(Mutex::new(State { entries, ..State::default() })) }
    }

    /// Keeps an entry, which replaces one with its id. It is kept in memory also when the disk fails. While its request is
    /// under way it is not among [`Self::entries`]; after a crash it is.
    ///
    /// # Errors
    /// Those of the disk.
    pub(crate) fn add(&self, entry: Unarchived, is_under_way: bool) -> io::Result<()> {
        let mut state = self.state();
        if is_under_way {
            let _new = state.under_way.insert(entry.id.clone());
        } else {
            let _known = state.under_way.remove(&entry.id);
        }
        let line = Line::Missing(entry.clone());
        drop(state.entries.insert(entry.id.clone(), entry));
        if state.entries.len() > ENTRIES_MAX {
            state.entries = added_up(&state.entries);
            return self.write_anew(&mut state);
        }
        self.append(&mut state, &line)
    }

    /// Forgets entries: they are on the record.
    ///
    /// # Errors
    /// Those of the disk; they may be recorded once more then.
    pub(crate) fn settle(&self, ids: &[String]) -> io::Result<()> {
        let mut state = self.state();
        let known = state.entries.len();
        state.under_way.retain(|id| !ids.contains(id));
        state.entries.retain(|id, _| !ids.contains(id));
        if state.entries.len() == known {
            return Ok(());
        }
        if state.entries.is_empty() {
            return self.write_anew(&mut state);
        }
        self.append(&mut state, &Line::Settled { settled: ids.to_vec() })
    }

    /// Returns what is not on the record.
    pub(crate) fn entries(&self) -> Vec<Unarchived> {
        let state = self.state();
        state.entries.values().filter(|entry| !state.under_way.contains(&entry.id)).cloned().collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn append(&self, state: &mut State, line: &Line) -> io::Result<()> {
        let mut bytes = serde_json::to_vec(line).expect("texts and numbers are always JSON");
        bytes.push(b'\n');
        let file = match &mut state.file {
            Some(file) => file,
            None => {
                let mut file = File::options().create(true).append(true).open(&self.path)?;
                // A line that a crash cut off is closed, so that this one stands alone.
                file.write_all(b"\n")?;
                sync_folder(&self.path)?;
                state.file.insert(file)
            }
        };
        file.write_all(&bytes)?;
        file.sync_data()
    }

    /// Replaces the file by one with exactly the entries.
    fn write_anew(&self, state: &mut State) -> io::Result<()> {
        state.file = None;
        let staged = self.path.with_extension("new");
        let mut file = File::create(&staged)?;
        for entry in state.entries.values() {
            serde_json::to_writer(&mut file, entry)?;
            file.write_all(b"\n")?;
        }
        file.sync_all()?;
        std::fs::rename(&staged, &self.path)?;
        sync_folder(&self.path)
    }
}

fn read(path: &Path) -> io::Result<String> {
    let mut bytes = Vec::new();
    match File::open(path) {
        Ok(file) => drop(file.take(BYTES_MAX).read_to_end(&mut bytes)?),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn sync_folder(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}

/// Adds the entries of each number up to one.
fn added_up(entries: &BTreeMap<String, Unarchived>) -> BTreeMap<String, Unarchived> {
    let mut sums: BTreeMap<&str, Unarchived> = BTreeMap::new();
    for entry in entries.values() {
        match sums.get_mut(entry.number.as_str()) {
            None => drop(sums.insert(&entry.number, entry.clone())),
            Some(sum) => {
                sum.from = sum.from.min(entry.from);
                sum.to = sum.to.max(entry.to);
                sum.events += entry.events;
            }
        }
    }
    sums.into_values().map(|sum| (sum.id.clone(), sum)).collect()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::disallowed_methods, reason = "tests may unwrap")]

    use super::*;

    fn entry(id: &str, events: u64) -> Unarchived {
        Unarchived { id: id.to_owned(), number: "100".to_owned(), from: 1, to: 2, events }
    }

    #[test]
    fn entries_survive_until_they_are_settled() {
        let dir = tempfile::tempdir().unwrap();
        let first = Unrecorded::open(dir.path());
        first.add(entry("a", 2), true).unwrap();
        first.add(entry("b", 2), false).unwrap();
        assert_eq!(first.entries(), [entry("b", 2)], "the other is under way");
        first.add(entry("a", 1), true).unwrap();
        let second = Unrecorded::open(dir.path());
        assert_eq!(second.entries(), [entry("a", 1), entry("b", 2)]);
        second.settle(&["a".to_owned(), "unknown".to_owned()]).unwrap();
        assert_eq!(Unrecorded::open(dir.path()).entries(), [entry("b", 2)]);
        second.settle(&["b".to_owned()]).unwrap();
        assert_eq!(Unrecorded::open(dir.path()).entries(), []);
        assert_eq!(std::fs::metadata(dir.path().join("unrecorded-sends.jsonl")).unwrap().len(), 0);
    }

    #[test]
    fn a_line_that_was_cut_off_loses_no_other() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("unrecorded-sends.jsonl");
        Unrecorded::open(dir.path()).add(entry("a", 2), false).unwrap();
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, [&whole[..], br#"{"id":"b","num"#].concat()).unwrap();
        let second = Unrecorded::open(dir.path());
        second.add(entry("c", 1), false).unwrap();
        assert_eq!(Unrecorded::open(dir.path()).entries(), [entry("a", 2), entry("c", 1)]);
    }

    #[test]
    fn many_entries_are_added_up() {
        let entries: BTreeMap<_, _> =
            (0..ENTRIES_MAX).map(|at| (at.to_string(), entry(&at.to_string(), 2))).collect();
        let dir = tempfile::tempdir().unwrap();
        let list = Unrecorded::open(dir.path());
        list.state().entries = entries;
        list.add(entry("x", 2), false).unwrap();
        let found = Unrecorded::open(dir.path()).entries();
        assert_eq!((found.len(), found[0].events), (1, 2 * ENTRIES_MAX as u64 + 2));
    }
}
