//! Opens an index directory and searches it.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use serde::{Deserialize, Serialize};
use tantivy::directory::{Directory, INDEX_WRITER_LOCK, MmapDirectory};
use tantivy::{Index, IndexReader, IndexSettings, ReloadPolicy, Searcher, TantivyError};

use crate::collect::Newest;
use crate::error::{Doing, IndexError};
use crate::fields::{self, Fields, INDEX_VERSION};
use crate::query::Query;
use crate::writer::SearchWriter;

/// How thoroughly [`SearchIndex::open`] looks for damage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Check {
    /// Every file is there and has the right form.
    #[default]
    Structure,
    /// Every file has its checksum too; reads the whole index once.
    Checksums,
}

/// Settings of an index.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Memory for documents that are not yet in a file; reaching it writes one. At least 15 MB.
    pub writer_heap_bytes: usize,
    /// What opening checks.
    pub check: Check,
}

impl Default for Options {
    fn default() -> Self {
        Self { writer_heap_bytes: 48 << 20, check: Check::Structure }
    }
}

/// A part of a result.
#[derive(Clone, Copy, Debug)]
pub struct Page {
    /// How many hits at most.
    pub limit: usize,
    /// Only hits with a lower seq: the last hit of the page before. Later events never move a page.
    pub before_seq: Option<u64>,
}

impl Page {
    /// Asks for the newest hits.
    #[must_use]
    pub const fn newest(limit: usize) -> Self {
        Self { limit, before_seq: None }
    }
}

/// The address of an event that matches; untrusted until the event is read again and proven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hit {
    /// The event's position in its ledger.
    pub seq: u64,
}

/// A search result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hits {
    /// The page asked for, newest event first.
    pub hits: Vec<Hit>,
    /// How many events match on all pages.
    pub total: u64,
    /// Every event with a lower seq was looked at.
    pub complete_to: u64,
}

/// A search index in a directory. Cheap to clone; all clones and the writer see the same commits.
#[derive(Clone)]
pub struct SearchIndex {
    shared: Arc<Shared>,
}

/// What index and writer share.
pub(crate) struct Shared {
    pub(crate) dir: PathBuf,
    pub(crate) options: Options,
    pub(crate) index: Index,
    pub(crate) fields: Fields,
    reader: IndexReader,
    /// A searcher and the cursor of exactly its commit.
    snapshot: RwLock<Snapshot>,
}

#[derive(Clone)]
pub(crate) struct Snapshot {
    pub(crate) searcher: Searcher,
    pub(crate) cursor: Option<u64>,
}

/// What is written with every tantivy commit, so that documents and cursor move together.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CommitPayload {
    pub(crate) version: u32,
    pub(crate) cursor: u64,
}

impl SearchIndex {
    /// Opens the index in `dir`; creates directory and index if there is none.
    ///
    /// # Errors
    /// [`IndexError::NeedsRebuild`] if the index is of another version or damaged; [`IndexError::Failed`] if the
    /// directory could not be read or written.
    pub fn open(dir: &Path, options: Options) -> Result<Self, IndexError> {
        std::fs::create_dir_all(dir).doing("create the index directory")?;
        let (schema, fields) = fields::schema();
        let directory =
            MmapDirectory::open(dir).map_err(TantivyError::from).doing("open the index directory")?;
        let exists = Index::exists(&directory).map_err(TantivyError::from).doing("look for an index")?;
        let mut index = if exists {
            open_existing(directory)?
        } else {
            // What a lost `meta.json` leaves behind would never be deleted otherwise.
            Self::reset(dir)?;
            let settings =
                IndexSettings { docstore_compress_dedicated_thread: false, ..IndexSettings::default() };
            let builder = Index::builder().schema(schema.clone()).settings(settings);
            builder.open_or_create(directory).doing("create the index")?
        };
        if index.schema() != schema {
            return Err(IndexError::NeedsRebuild { reason: "its fields are of another version".to_owned() });
        }
        index.set_tokenizers(fields::tokenizers());
        if options.check == Check::Checksums {
            let damaged = index.validate_checksum().doing("check the index files")?;
            if !damaged.is_empty() {
                return Err(IndexError::NeedsRebuild { reason: format!("damaged files: {damaged:?}") });
            }
        }
        let builder = index.reader_builder().reload_policy(ReloadPolicy::Manual);
        let reader: IndexReader = builder.try_into().doing("open the index files")?;
        let snapshot = RwLock::new(take_snapshot(&index, &reader)?);
        let shared = Shared { dir: dir.to_owned(), options, index, fields, reader, snapshot };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Deletes the index files in `dir`, and nothing else there. An index is only derived: rebuild it afterwards.
    ///
    /// # Errors
    /// [`IndexError::Locked`] while there is a writer; [`IndexError::Failed`] if a file could not be deleted.
    pub fn reset(dir: &Path) -> Result<(), IndexError> {
        if !dir.exists() {
            return Ok(());
        }
        let directory =
            MmapDirectory::open(dir).map_err(TantivyError::from).doing("open the index directory")?;
        let writer_lock = directory.acquire_lock(&INDEX_WRITER_LOCK);
        let _writer_lock = writer_lock.map_err(|_| IndexError::Locked { dir: dir.to_owned() })?;
        for entry in std::fs::read_dir(dir).doing("list the index directory")? {
            let path = entry.doing("list the index directory")?.path();
            if is_index_file(&path) {
                std::fs::remove_file(&path).doing("delete an index file")?;
            }
        }
        Ok(())
    }

    /// Returns the next seq that the index does not cover; `None` if nothing was ever committed.
    #[must_use]
    pub fn cursor(&self) -> Option<u64> {
        self.shared.snapshot().cursor
    }

    /// Returns how many events the index holds.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.shared.snapshot().searcher.num_docs()
    }

    /// Whether the index holds no event.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Opens the one writer.
    ///
    /// # Errors
    /// [`IndexError::Locked`] if there is another, in this process or elsewhere.
    pub fn writer(&self) -> Result<SearchWriter, IndexError> {
        SearchWriter::open(Arc::clone(&self.shared))
    }

    /// Makes commits of a writer in another process visible; a writer in this process does it itself.
    ///
    /// # Errors
    /// [`IndexError::NeedsRebuild`] if the files turn out damaged.
    pub fn refresh(&self) -> Result<(), IndexError> {
        self.shared.refresh()
    }

    /// Finds the events that match, newest first.
    ///
    /// # Errors
    /// [`IndexError::TooBroad`] if a prefix matches too many words.
    pub fn search(&self, query: &Query, page: Page) -> Result<Hits, IndexError> {
        let snapshot = self.shared.snapshot();
        let compiled = query.compile(&snapshot.searcher, &self.shared.fields)?;
        let newest = Newest { limit: page.limit, before_seq: page.before_seq };
        let found = snapshot.searcher.search(&*compiled, &newest).doing("search the index")?;
        Ok(Hits {
            hits: found.seqs.into_iter().map(|seq| Hit { seq }).collect(),
            total: found.total,
            complete_to: snapshot.cursor.unwrap_or(0),
        })
    }

    /// Finds the events of one conversation, newest first.
    ///
    /// # Errors
    /// As [`Self::search`].
    pub fn conversation(&self, id: &str, page: Page) -> Result<Hits, IndexError> {
        self.search(&Query::conversation(id), page)
    }
}

#[cfg(test)]
impl SearchIndex {
    /// Lets tests look into the files.
    pub(crate) fn shared_searcher(&self) -> Searcher {
        self.shared.snapshot().searcher
    }
}

impl Shared {
    pub(crate) fn snapshot(&self) -> Snapshot {
        self.snapshot.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Replaces the snapshot by the newest commit and lets go of the files of the older one.
    pub(crate) fn refresh(&self) -> Result<(), IndexError> {
        let snapshot = take_snapshot(&self.index, &self.reader)?;
        *self.snapshot.write().unwrap_or_else(PoisonError::into_inner) = snapshot;
        Ok(())
    }
}

/// Another process may commit between the two reads; then they are repeated.
const SNAPSHOT_TRIES: usize = 16;

fn take_snapshot(index: &Index, reader: &IndexReader) -> Result<Snapshot, IndexError> {
    let mut cursor = committed_cursor(index)?;
    for _ in 0..SNAPSHOT_TRIES {
        reader.reload().doing("open the newest commit")?;
        let after = committed_cursor(index)?;
        if after == cursor {
            break;
        }
        cursor = after;
    }
    Ok(Snapshot { searcher: reader.searcher(), cursor })
}

fn committed_cursor(index: &Index) -> Result<Option<u64>, IndexError> {
    let meta = index.load_metas().doing("read the index metadata")?;
    let Some(payload) = meta.payload else {
        return if meta.segments.is_empty() {
            Ok(None)
        } else {
            Err(IndexError::NeedsRebuild { reason: "its commit has no cursor".to_owned() })
        };
    };
    match serde_json::from_str::<CommitPayload>(&payload) {
        Ok(payload) if payload.version == INDEX_VERSION => Ok(Some(payload.cursor)),
        Ok(payload) => Err(IndexError::NeedsRebuild {
            reason: format!("expected index version {INDEX_VERSION}, found {}", payload.version),
        }),
        Err(error) => Err(IndexError::NeedsRebuild { reason: format!("its cursor is unreadable: {error}") }),
    }
}

/// Every failure to open existing metadata means a rebuild, except a failing disk.
fn open_existing(directory: MmapDirectory) -> Result<Index, IndexError> {
    Index::open(directory).map_err(|source| match source {
        TantivyError::IoError(_) => IndexError::from_tantivy("open the index", source),
        _ => IndexError::NeedsRebuild { reason: format!("could not open the index: {source}") },
    })
}

/// Whether tantivy made the file: `meta.json`, `.managed.json`, lock and temporary files, `<32 hex digits>.<kind>`.
fn is_index_file(path: &Path) -> bool {
    let Some(name) = path.file_name().and_then(|name| name.to_str()) else { return false };
    let is_segment_file = name
        .split_once('.')
        .is_some_and(|(stem, _)| stem.len() == 32 && stem.bytes().all(|byte| byte.is_ascii_hexdigit()));
    is_segment_file || matches!(name, "meta.json" | ".managed.json") || name.starts_with(".tmp")
}
