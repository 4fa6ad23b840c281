//! The one writer of an index: applies documents, commits them with the cursor, forgets buckets.

use std::sync::Arc;
use std::thread::{self, JoinHandle};

use tantivy::indexer::{IndexWriterOptions, NoMergePolicy};
use tantivy::{IndexWriter, TantivyError};

use crate::document::Document;
use crate::error::{Doing, IndexError};
use crate::fields::{Fact, INDEX_VERSION, SEQ, normal};
use crate::index::{CommitPayload, Shared};
use crate::merge::{self, Extent};

/// The only writer of an index. After [`IndexError::Failed`] drop it and open it again: it continues at the cursor.
///
/// There is one indexing thread, so that documents are in `seq` order inside every file; searches rely on it. Whoever
/// needs both cores reads and parses events in another thread.
pub struct SearchWriter {
    pub(crate) shared: Arc<Shared>,
    writer: IndexWriter,
    /// The committed cursor.
    cursor: Option<u64>,
    /// The lowest seq that may come next.
    next_seq: u64,
    /// Whether documents were applied since the last commit.
    is_dirty: bool,
    /// Waits for the merge that is under way.
    merging: Option<JoinHandle<()>>,
}

impl SearchWriter {
    pub(crate) fn open(shared: Arc<Shared>) -> Result<Self, IndexError> {
        let options = IndexWriterOptions::builder()
            .num_worker_threads(1)
            .memory_budget_per_thread(shared.options.writer_heap_bytes)
            .num_merge_threads(1)
            .build();
        let writer = shared.index.writer_with_options(options).map_err(|source| match source {
            TantivyError::LockFailure(..) => IndexError::Locked { dir: shared.dir.clone() },
            _ => IndexError::from_tantivy("open the index for writing", source),
        })?;
        // Merges are planned here, by seq; tantivy's policies do not know it.
        writer.set_merge_policy(Box::new(NoMergePolicy));
        shared.refresh()?;
        let cursor = shared.snapshot().cursor;
        let mut opened =
            Self { shared, writer, cursor, next_seq: cursor.unwrap_or(0), is_dirty: false, merging: None };
        // A crash may have interrupted `forget` between its commit and the rewriting of files.
        opened.rewrite_files_with_deletions()?;
        Ok(opened)
    }

    /// Returns the next seq that is not committed; `None` if nothing ever was.
    #[must_use]
    pub const fn cursor(&self) -> Option<u64> {
        self.cursor
    }

    /// Adds documents in `seq` order. They become searchable with [`Self::commit`].
    ///
    /// # Errors
    /// [`IndexError::OutOfOrder`] if a seq is lower than the cursor or not higher than the one before it.
    pub fn apply(&mut self, documents: impl IntoIterator<Item = Document>) -> Result<(), IndexError> {
        for document in documents {
            if document.seq < self.next_seq {
                return Err(IndexError::OutOfOrder { expected: self.next_seq, found: document.seq });
            }
            let filled = self.shared.fields.fill(&document);
            self.writer.add_document(filled).doing("index a document")?;
            self.next_seq = document.seq + 1;
            self.is_dirty = true;
        }
        Ok(())
    }

    /// Makes everything applied durable and searchable, and moves the cursor to `next_seq` in the same step.
    ///
    /// # Errors
    /// [`IndexError::OutOfOrder`] if `next_seq` is lower than what was applied or committed before.
    pub fn commit(&mut self, next_seq: u64) -> Result<(), IndexError> {
        if next_seq < self.next_seq {
            return Err(IndexError::OutOfOrder { expected: self.next_seq, found: next_seq });
        }
        if self.cursor == Some(next_seq) && !self.is_dirty {
            return Ok(());
        }
        self.commit_at(next_seq)
    }

    /// Removes all documents of a bucket, and every trace of their words from the directory. Returns how many.
    ///
    /// What was applied before is committed with it.
    ///
    /// # Errors
    /// [`IndexError::Undeleted`] if a file with forgotten words could not be deleted.
    pub fn forget(&mut self, bucket: &str) -> Result<u64, IndexError> {
        // A merge that started before the deletion would carry the words into a new file.
        self.finish_merge();
        if self.is_dirty {
            self.commit_at(self.next_seq)?;
        }
        let before = self.shared.snapshot().searcher.num_docs();
        self.delete_bucket(bucket)?;
        self.rewrite_files_with_deletions()?;
        Ok(before - self.shared.snapshot().searcher.num_docs())
    }

    fn delete_bucket(&mut self, bucket: &str) -> Result<(), IndexError> {
        self.writer.delete_term(self.shared.fields.fact_term(Fact::Bucket, &normal(bucket)));
        self.commit_at(self.next_seq)
    }

    /// Waits for a merge that is under way; for tests, measurements and an orderly stop.
    pub fn finish_merge(&mut self) {
        if let Some(merging) = self.merging.take()
            && merging.join().is_err()
        {
            tracing::warn!("an index merge panicked and will be tried again");
        }
    }

    /// The index' commit point: tantivy syncs the files and swaps its metadata, with our cursor in it.
    fn commit_at(&mut self, next_seq: u64) -> Result<(), IndexError> {
        let payload = serde_json::to_string(&CommitPayload { version: INDEX_VERSION, cursor: next_seq })
            .expect("two integers are always JSON");
        let mut prepared = self.writer.prepare_commit().doing("write the index files")?;
        prepared.set_payload(&payload);
        prepared.commit().doing("commit the index")?;
        self.cursor = Some(next_seq);
        self.next_seq = next_seq;
        self.is_dirty = false;
        self.shared.refresh()
    }

    /// Starts the next merge in the background if one is worth it and none is under way: for after a commit. A failed
    /// merge costs nothing but speed.
    ///
    /// # Errors
    /// [`IndexError`] when the files cannot be read.
    pub fn merge(&mut self) -> Result<(), IndexError> {
        if self.merging.as_ref().is_some_and(|merging| !merging.is_finished()) {
            return Ok(());
        }
        if self.merging.is_some() {
            self.finish_merge();
            // The snapshot still shows the files from before the merge.
            self.shared.refresh()?;
        }
        let searcher = self.shared.snapshot().searcher;
        let mut extents = Vec::with_capacity(searcher.segment_readers().len());
        for segment in searcher.segment_readers() {
            let first_seq = segment.fast_fields().u64(SEQ).doing("read the seq column")?.min_value();
            extents.push(Extent { id: segment.segment_id(), first_seq, docs: segment.num_docs() });
        }
        let ids = merge::plan(&mut extents);
        if !ids.is_empty() {
            let merge = self.writer.merge(&ids);
            self.merging = Some(thread::spawn(move || {
                if let Err(error) = merge.wait() {
                    tracing::warn!(%error, "an index merge failed and will be tried again");
                }
            }));
        }
        Ok(())
    }

    /// A deleted document's words stay in its file until the file is written anew.
    fn rewrite_files_with_deletions(&mut self) -> Result<(), IndexError> {
        let searcher = self.shared.snapshot().searcher;
        let with_deletions = searcher.segment_readers().iter().filter(|segment| segment.has_deletes());
        let ids: Vec<_> = with_deletions.map(tantivy::SegmentReader::segment_id).collect();
        drop(searcher);
        for id in ids {
            self.writer.merge(&[id]).wait().doing("rewrite an index file without forgotten text")?;
        }
        self.shared.refresh()?;
        let collected = self.writer.garbage_collect_files().wait().doing("delete unused index files")?;
        if collected.failed_to_delete_files.is_empty() {
            Ok(())
        } else {
            Err(IndexError::Undeleted { files: collected.failed_to_delete_files })
        }
    }
}

#[cfg(test)]
impl SearchWriter {
    /// What a crash in the middle of [`Self::forget`] leaves.
    pub(crate) fn delete_without_rewriting(&mut self, bucket: &str) -> Result<(), IndexError> {
        self.finish_merge();
        self.delete_bucket(bucket)
    }
}
