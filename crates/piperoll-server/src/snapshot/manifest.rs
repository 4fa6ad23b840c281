//! What a snapshot says about itself. It is read as if an enemy had written it, although nobody without the KEK can.

use std::collections::HashSet;

use piperoll_engine::{STATE_FILE, STATE_VERSION, StoredPiece};
use piperoll_format::{
    ChainHash, LedgerId, PIECE_BYTES_MAX, PieceId, SEALED_PIECE_BYTES_MAX, Seq, Timestamp,
};
use piperoll_index::SearchIndex;
use piperoll_projections::Projections;
use serde::{Deserialize, Serialize};

use super::Doubt;
use crate::place::PROJECTIONS_FILE;

/// Changed whenever a snapshot is made or read in another way.
const VERSION: u32 = 2;

/// How much of a file is a piece.
pub(super) const PIECE_BYTES: usize = 4 * 1024 * 1024;

/// Files of a snapshot; an index has a few dozen segments of ten files each.
const FILES_MAX: usize = 4_096;

/// Bytes of all files together.
const BYTES_MAX: u64 = 1 << 42;

const _: () = assert!(PIECE_BYTES <= PIECE_BYTES_MAX);

/// A snapshot: index and projections as they were after all events before `cursor`, and local state of about that time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Manifest {
    version: u32,
    ledger: String,
    /// The first event that one of both lacks.
    pub(super) cursor: u64,
    /// Chain hash of the event before `cursor`, as hexadecimal digits: it commits to all events before.
    chain: String,
    /// When it was taken, in microseconds.
    pub(super) taken_at: u64,
    pub(super) index: Part,
    pub(super) projections: Part,
    /// Its cursor counts segments.
    pub(super) state: Part,
}

/// What is restored by itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Part {
    /// The version of its content.
    version: u64,
    /// The first event that it lacks.
    pub(super) cursor: u64,
    pub(super) files: Vec<FileEntry>,
}

/// What is taken at a time, with what each part lacks.
#[derive(Clone, Debug)]
pub(super) struct Taken {
    pub(super) index: (u64, Vec<FileEntry>),
    pub(super) projections: (u64, Vec<FileEntry>),
    /// With the first segment that it lacks.
    pub(super) state: (u64, Vec<FileEntry>),
}

/// A file, and the pieces that it is cut into.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FileEntry {
    pub(super) name: String,
    pub(super) length: u64,
    /// Each piece's id, and its length in the store.
    pub(super) pieces: Vec<(String, u32)>,
}

impl Manifest {
    /// Describes parts that were taken at a time.
    pub(super) fn new(
        (ledger, chain): (LedgerId, ChainHash),
        taken_at: Timestamp,
        Taken { index, projections, state }: Taken,
    ) -> Self {
        Self {
            version: VERSION,
            ledger: ledger.to_string(),
            cursor: index.0.min(projections.0),
            chain: chain.to_string(),
            taken_at: taken_at.0,
            index: Part { version: u64::from(SearchIndex::VERSION), cursor: index.0, files: index.1 },
            projections: Part { version: Projections::VERSION, cursor: projections.0, files: projections.1 },
            state: Part { version: STATE_VERSION, cursor: state.0, files: state.1 },
        }
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("texts and numbers are always JSON")
    }

    /// Reads a manifest and checks everything that needs no other object.
    ///
    /// # Errors
    /// [`Doubt`], with what was expected.
    pub(super) fn decode(bytes: &[u8], ledger: LedgerId, cursor: Seq) -> Result<Self, Doubt> {
        let manifest: Self = serde_json::from_slice(bytes)
            .map_err(|error| Doubt::new(format!("its manifest has another form: {error}")))?;
        manifest.check(ledger, cursor)?;
        Ok(manifest)
    }

    fn check(&self, ledger: LedgerId, cursor: Seq) -> Result<(), Doubt> {
        let same = |what: &str, expected: u64, found: u64| match expected == found {
            true => Ok(()),
            false => Err(Doubt::new(format!("expected {what} {expected}, found {found}"))),
        };
        same("version", u64::from(VERSION), u64::from(self.version))?;
        same("index version", u64::from(SearchIndex::VERSION), self.index.version)?;
        same("projections' version", Projections::VERSION, self.projections.version)?;
        same("local state's version", STATE_VERSION, self.state.version)?;
        if self.ledger != ledger.to_string() {
            return Err(Doubt::new("it is of another ledger"));
        }
        same("cursor", cursor.0, self.cursor)?;
        same("lowest cursor", self.index.cursor.min(self.projections.cursor), self.cursor)?;
        if self.cursor == 0 || self.state.cursor == 0 || self.chain.parse::<ChainHash>().is_err() {
            return Err(Doubt::new("it says nothing about the event before it"));
        }
        if self.files().count() > FILES_MAX || self.bytes().is_none_or(|bytes| bytes > BYTES_MAX) {
            return Err(Doubt::new("it is larger than any index"));
        }
        let mut names = HashSet::new();
        for file in self.index.files.iter() {
            if !SearchIndex::is_file_of_copy(&file.name) || !names.insert(&file.name) {
                return Err(Doubt::new("it has a file that no index has"));
            }
        }
        for (part, name) in [(&self.projections, PROJECTIONS_FILE), (&self.state, STATE_FILE)] {
            if part.files.len() != 1 || part.files[0].name != name {
                return Err(Doubt::new(format!("expected one file `{name}`")));
            }
        }
        self.files().try_for_each(FileEntry::check)
    }

    /// Returns the chain hash of the event before the cursor.
    pub(super) fn chain(&self) -> Option<ChainHash> {
        self.chain.parse().ok()
    }

    /// Returns all files.
    pub(super) fn files(&self) -> impl Iterator<Item = &FileEntry> {
        self.index.files.iter().chain(&self.projections.files).chain(&self.state.files)
    }

    fn bytes(&self) -> Option<u64> {
        self.files().try_fold(0_u64, |sum, file| sum.checked_add(file.length))
    }

    /// Returns the names of all pieces.
    pub(super) fn pieces(&self) -> HashSet<PieceId> {
        self.files().flat_map(|file| &file.pieces).filter_map(|(id, _)| id.parse().ok()).collect()
    }

    /// Finds the pieces of a file that never changes.
    pub(super) fn immutable_file(&self, name: &str, length: u64) -> Option<&FileEntry> {
        let is_immutable = SearchIndex::is_immutable_file(name);
        self.index.files.iter().find(|file| is_immutable && file.name == name && file.length == length)
    }
}

impl FileEntry {
    fn check(&self) -> Result<(), Doubt> {
        let wrong = || Doubt::new("a file of it has pieces that cannot be");
        if self.pieces.len() as u64 != self.length.div_ceil(PIECE_BYTES as u64) {
            return Err(wrong());
        }
        let fits = |(id, length): &(String, u32)| {
            id.parse::<PieceId>().is_ok() && *length as usize <= SEALED_PIECE_BYTES_MAX
        };
        if self.pieces.iter().all(fits) { Ok(()) } else { Err(wrong()) }
    }

    /// Returns the pieces with the place of each in the file, and how long it is there.
    pub(super) fn placed(&self) -> impl Iterator<Item = (StoredPiece, u64, u64)> {
        let offsets = (0..self.length).step_by(PIECE_BYTES);
        self.pieces.iter().zip(offsets).filter_map(|((id, length), offset)| {
            let piece = StoredPiece { id: id.parse().ok()?, length: *length };
            Some((piece, offset, (self.length - offset).min(PIECE_BYTES as u64)))
        })
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests may unwrap")]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const LEDGER: LedgerId = LedgerId([7; 16]);

    fn file(name: &str, length: u64) -> FileEntry {
        let pieces = (0..length.div_ceil(PIECE_BYTES as u64)).map(|_| ("ab".repeat(32), 100)).collect();
        FileEntry { name: name.to_owned(), length, pieces }
    }

    fn sample() -> Manifest {
        let index = vec![file("meta.json", 10), file("0123456789abcdef0123456789abcdef.idx", 9_000_000)];
        let projections = vec![file(PROJECTIONS_FILE, 4_194_304)];
        let state = vec![file(STATE_FILE, 12_288)];
        let taken = Taken { index: (8, index), projections: (7, projections), state: (3, state) };
        Manifest::new((LEDGER, ChainHash([5; 32])), Timestamp(1), taken)
    }

    fn read(bytes: &[u8]) -> Result<Manifest, Doubt> {
        Manifest::decode(bytes, LEDGER, Seq(7))
    }

    #[test]
    fn manifests_read_back() {
        let manifest = sample();
        assert_eq!(read(&manifest.encode()).unwrap(), manifest);
        let lengths: Vec<_> =
            manifest.index.files[1].placed().map(|(_, offset, length)| (offset, length)).collect();
        assert_eq!(lengths, [(0, 4_194_304), (4_194_304, 4_194_304), (8_388_608, 611_392)]);
        assert_eq!(manifest.projections.files[0].placed().count(), 1);
        assert_eq!(manifest.pieces().len(), 1);
        let immutable = manifest.immutable_file("0123456789abcdef0123456789abcdef.idx", 9_000_000);
        assert_eq!(immutable, Some(&manifest.index.files[1]));
        assert_eq!(manifest.immutable_file("meta.json", 10), None);
        assert_eq!(manifest.immutable_file("0123456789abcdef0123456789abcdef.idx", 9_000_001), None);
    }

    #[test]
    fn whatever_is_odd_is_doubted() {
        type Change = fn(&mut Value);
        let odd: &[(&str, Change)] = &[
            ("version", |m| m["version"] = json!(1)),
            ("local state's version", |m| m["state"]["version"] = json!(99)),
            ("no segment", |m| m["state"]["cursor"] = json!(0)),
            ("local state elsewhere", |m| m["state"]["files"][0]["name"] = json!("../state.redb")),
            ("no local state", |m| m["state"]["files"] = json!([])),
            ("index version", |m| m["index"]["version"] = json!(99)),
            ("projections' version", |m| m["projections"]["version"] = json!(99)),
            ("other ledger", |m| m["ledger"] = json!("00".repeat(16))),
            ("other cursor", |m| m["cursor"] = json!(8)),
            ("cursors that do not fit", |m| m["projections"]["cursor"] = json!(9)),
            ("no chain hash", |m| m["chain"] = json!("")),
            ("another member", |m| m["more"] = json!(1)),
            ("a missing member", |m| drop(m.as_object_mut().unwrap().remove("taken_at"))),
            ("negative length", |m| m["index"]["files"][0]["length"] = json!(-1)),
            ("a path", |m| m["index"]["files"][0]["name"] = json!("../meta.json")),
            ("an absolute path", |m| m["index"]["files"][0]["name"] = json!("/etc/passwd")),
            ("a name twice", |m| {
                let file = m["index"]["files"][0].clone();
                m["index"]["files"].as_array_mut().unwrap().push(file);
            }),
            ("projections elsewhere", |m| m["projections"]["files"][0]["name"] = json!("../p.redb")),
            ("two projections", |m| {
                let file = m["projections"]["files"][0].clone();
                m["projections"]["files"].as_array_mut().unwrap().push(file);
            }),
            ("no projections", |m| m["projections"]["files"] = json!([])),
            ("a piece too few", |m| {
                drop(m["index"]["files"][1]["pieces"].as_array_mut().unwrap().pop());
            }),
            ("a piece too many", |m| m["index"]["files"][0]["pieces"] = json!([["ab", 1], ["ab", 1]])),
            ("no id", |m| m["index"]["files"][0]["pieces"][0][0] = json!("../../x")),
            ("a piece too long", |m| m["index"]["files"][0]["pieces"][0][1] = json!(u32::MAX)),
            ("endless", |m| m["index"]["files"][1]["length"] = json!(u64::MAX)),
            ("too many files", |m| {
                let files =
                    (0..5_000).map(|n| json!({"name": format!("{n:032x}.idx"), "length": 0, "pieces": []}));
                m["index"]["files"] = files.collect();
            }),
        ];
        for (name, change) in odd {
            let mut value = serde_json::to_value(sample()).unwrap();
            change(&mut value);
            let found = read(&serde_json::to_vec(&value).unwrap());
            assert!(found.is_err(), "{name}: {found:?}");
        }
        for bytes in [&b""[..], b"{}", b"[]", b"\xff", &sample().encode()[1..]] {
            assert!(read(bytes).is_err());
        }
    }

    #[test]
    fn a_manifest_of_nothing_is_doubted() {
        let (projections, state) = ((0, vec![file(PROJECTIONS_FILE, 1)]), (1, vec![file(STATE_FILE, 1)]));
        let taken = Taken { index: (0, Vec::new()), projections, state };
        let nothing = Manifest::new((LEDGER, ChainHash([0; 32])), Timestamp(1), taken);
        assert!(Manifest::decode(&nothing.encode(), LEDGER, Seq(0)).is_err());
    }
}
