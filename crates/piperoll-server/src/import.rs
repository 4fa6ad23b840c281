//! Bringing in messages from exports of other systems.
//!
//! A file is spooled to the disk without a name, cut and read, and its messages are committed in groups. What was
//! brought in before is known again by its content, so an import that broke off is simply started again. What was
//! captured live is not stored a second time when its id says so, and marked when only its words and its minute do.

mod completed;
mod live;
mod media;

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::sync::Arc;
use std::time::Duration;

use piperoll_engine::{EngineError, Receipt};
use piperoll_format::{Facts, Kind, Payload, Provenance, Submission, SubmissionGroup, Timestamp};
use piperoll_sources::import::{self, Bundle, BundleError, Context, Entry, Format, Import, ImportItem};
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use self::live::{Live, Sighting};
use crate::archive::Archive;
use crate::error::{ApiError, ErrorCode};
use crate::tokens::Caller;
use crate::wire::{ImportMistake, ImportView, hex};

/// The largest text, in bytes; it is held in memory.
const TEXT_BYTES_MAX: u64 = 256 << 20;
/// Messages committed together.
const GROUP_ITEMS: usize = 200;
/// Bytes of pieces committed together, beside the first piece.
const GROUP_BYTES: usize = 2 << 20;
/// Mistakes that are named one by one.
const MISTAKES_MAX: usize = 100;
/// How often a full writer is asked again, and after which pause.
const BUSY: (u32, Duration) = (120, Duration::from_millis(250));

/// The source of everything that is imported.
const SOURCE: &str = "import";

/// One import under way.
struct Importer<'a> {
    archive: &'a Archive,
    caller: &'a Caller,
    received_at: Timestamp,
    batch: String,
    view: ImportView,
}

/// The text files of an import, one after another, and its other files.
struct Files {
    bundle: Option<Arc<std::sync::Mutex<Bundle<File>>>>,
    texts: Vec<Text>,
    entries: Vec<Entry>,
}

enum Text {
    Whole(File),
    Packed(Entry),
}

/// What an import brought, as it is recorded.
#[derive(Serialize)]
struct Completed<'a> {
    batch: &'a str,
    context: &'a Context,
    sha256: &'a str,
    size: u64,
    items: u64,
    known: u64,
    probable: u64,
    mistakes: u64,
    media: u64,
    media_missing: u64,
}

impl Archive {
    /// Imports a file.
    ///
    /// # Errors
    /// [`ErrorCode::Invalid`] naming line and expectation; those of reading and of a commit: what was committed until
    /// then is kept and known the next time.
    pub(crate) async fn import(
        &self,
        caller: &Caller,
        context: Context,
        file: File,
    ) -> Result<ImportView, ApiError> {
        let (file, digest, size) = blocking(move || digest(file)).await?;
        let written = import::write(&context);
        let batch = hex(&Sha256::new().chain_update(digest).chain_update(&written).finalize()[..8]);
        let format = context.format;
        let files = blocking(move || Files::open(file, format)).await?;
        self.catch_up().await;
        let view = ImportView { batch: batch.clone(), ..ImportView::default() };
        let mut importer = Importer { archive: self, caller, received_at: self.now(), batch, view };
        let mut read_as = context.clone();
        let several = files.texts.len() > 1;
        for text in &files.texts {
            let bytes = files.text(text).await?;
            let label = match text {
                Text::Packed(entry) if several => Some(entry.name.as_str()),
                _ => None,
            };
            let import = match import::read(&bytes, context.clone()) {
                Ok(import) => import,
                Err(mistake) => return Err(ApiError::new(ErrorCode::Invalid, mistake.to_string())),
            };
            read_as = import.context.clone();
            importer.take(&bytes, import, label, &files).await?;
        }
        importer.complete(&read_as, &hex(&digest), size).await
    }
}

impl Importer<'_> {
    /// Takes what one text brings.
    async fn take(
        &mut self,
        bytes: &[u8],
        import: Import,
        label: Option<&str>,
        files: &Files,
    ) -> Result<(), ApiError> {
        for mistake in &import.mistakes {
            self.view.mistakes += 1;
            if self.view.mistaken.len() < MISTAKES_MAX {
                let file = label.map(str::to_owned);
                let message = mistake.to_string();
                self.view.mistaken.push(ImportMistake { file, line: mistake.line, message });
            }
        }
        let context = import::write(&import.context);
        let live = Live::around(self.archive, &import).await?;
        let mut group: Vec<(&ImportItem, Submission)> = Vec::new();
        let mut group_bytes = 0;
        for item in &import.items {
            self.view.items += 1;
            let mut flags = vec![format!("batch:{}", self.batch), format!("line:{}", item.line)];
            match live.find(self.archive, item).await? {
                Sighting::Known => {
                    self.view.known += 1;
                    continue;
                }
                Sighting::Probable(seq) => {
                    self.view.probable += 1;
                    flags.push(format!("probably:{seq}"));
                }
                Sighting::Differs(seq) => flags.push(format!("differs-from:{seq}")),
                Sighting::None => {}
            }
            let parts = vec![bytes[item.range.clone()].to_vec(), context.clone()];
            let facts = Facts {
                subject: item.subject.clone(),
                source_id: Some(item.source_id.clone()),
                number: Some(import.context.number.clone()),
                occurred_at: item.message.occurred_at,
                flags,
                ..Facts::default()
            };
            group_bytes += item.range.len();
            group
                .push((item, self.submission(Kind::ImportMessage, "application/octet-stream", parts, facts)));
            if group.len() >= GROUP_ITEMS || group_bytes > GROUP_BYTES {
                self.commit(std::mem::take(&mut group), bytes, files).await?;
                group_bytes = 0;
            }
        }
        self.commit(group, bytes, files).await
    }

    /// Commits messages, then their files.
    async fn commit(
        &mut self,
        group: Vec<(&ImportItem, Submission)>,
        bytes: &[u8],
        files: &Files,
    ) -> Result<(), ApiError> {
        if group.is_empty() {
            return Ok(());
        }
        let (items, submissions): (Vec<_>, Vec<_>) = group.into_iter().unzip();
        let receipts = self.submit(submissions).await?;
        for (item, receipt) in items.into_iter().zip(receipts) {
            if receipt.repeated {
                self.view.repeated += 1;
            } else {
                self.view.stored += 1;
            }
            self.take_files(item, receipt.seq, bytes, files).await?;
        }
        Ok(())
    }

    fn submission(&self, kind: Kind, media_type: &str, parts: Vec<Vec<u8>>, facts: Facts) -> Submission {
        let provenance = Provenance {
            source: SOURCE.to_owned(),
            received_at: Some(self.received_at),
            media_type: media_type.to_owned(),
            signature: None,
            signature_key: Some(format!("token:{}", self.caller.name)),
        };
        Submission { kind, payload: Payload { parts, provenance, facts, placement: None, skeleton: None } }
    }

    /// Commits a group, waiting while the writer is full: an import is in no hurry.
    async fn submit(&self, items: Vec<Submission>) -> Result<Vec<Receipt>, ApiError> {
        let group = SubmissionGroup { delivery: None, items };
        let mut tries = 0;
        loop {
            match self.archive.engine.submit(group.clone()).await {
                Err(EngineError::Busy { .. }) if tries < BUSY.0 => tries += 1,
                Err(error) => {
                    return Err(ApiError::from(error).hint(
                        "what was imported so far is kept; start the same import again and it goes on from there",
                    ));
                }
                Ok(receipts) => return Ok(receipts),
            }
            tokio::time::sleep(BUSY.1).await;
        }
    }

    /// Records that the import is done.
    ///
    /// One batch has one record, that of the first time: what is known of it can differ the next time, since more may
    /// have been captured live.
    async fn complete(mut self, context: &Context, sha256: &str, size: u64) -> Result<ImportView, ApiError> {
        if let Some(first) = completed::find(self.archive, &self.batch).await? {
            self.view.recorded_as = Some(first.into());
            return Ok(self.view);
        }
        let view = &self.view;
        let document = Completed {
            batch: &self.batch,
            context,
            sha256,
            size,
            items: view.items,
            known: view.known,
            probable: view.probable,
            mistakes: view.mistakes,
            media: view.media,
            media_missing: view.media_missing,
        };
        let document = serde_json::to_vec(&document).expect("texts and numbers are always JSON");
        let facts = Facts {
            source_id: Some(format!("import-completed:{}", self.batch)),
            number: Some(context.number.clone()),
            occurred_at: i64::try_from(self.received_at.0).ok(),
            ..Facts::default()
        };
        let completed = self.submission(Kind::ImportCompleted, "application/json", vec![document], facts);
        let receipts = self.submit(vec![completed]).await?;
        let receipt = *receipts.first().expect("a group of one has one receipt");
        self.view.recorded_as = Some(receipt.into());
        Ok(self.view)
    }
}

impl Files {
    /// Looks into a file: a text, or a zip with texts of the format and other files.
    fn open(mut file: File, format: Format) -> Result<Self, ApiError> {
        let mut magic = Vec::new();
        let _ = (&mut file).take(4).read_to_end(&mut magic).map_err(ApiError::internal)?;
        let _ = file.seek(SeekFrom::Start(0)).map_err(ApiError::internal)?;
        if !magic.starts_with(b"PK\x03\x04") {
            let texts = vec![Text::Whole(file)];
            return Ok(Self { bundle: None, texts, entries: Vec::new() });
        }
        let bundle = Bundle::open(file).map_err(refused)?;
        let entries = bundle.entries().to_vec();
        let is_text = |entry: &&Entry| {
            let name = entry.name.to_lowercase();
            match format {
                Format::Chat => name == "_chat.txt" || name.starts_with("whatsapp") && name.ends_with(".txt"),
                Format::Jsonl => name.ends_with(".jsonl") || name.ends_with(".ndjson"),
                Format::Eml => name.ends_with(".eml"),
            }
        };
        let mut texts: Vec<Text> = entries.iter().filter(is_text).cloned().map(Text::Packed).collect();
        if texts.is_empty() && format == Format::Chat {
            // Chats exported in other languages have other names; a chat has one text of its own.
            let only: Vec<_> =
                entries.iter().filter(|entry| entry.name.to_lowercase().ends_with(".txt")).collect();
            if let [only] = only[..] {
                texts.push(Text::Packed(only.clone()));
            }
        }
        if texts.is_empty() {
            let expected = match format {
                Format::Chat => "`_chat.txt` or one `.txt` file",
                Format::Jsonl => "a `.jsonl` file",
                Format::Eml => "`.eml` files",
            };
            let message =
                format!("expected {expected} in the zip file, found none among {} files", entries.len());
            return Err(ApiError::new(ErrorCode::Invalid, message));
        }
        let bundle = Some(Arc::new(std::sync::Mutex::new(bundle)));
        Ok(Self { bundle, texts, entries })
    }

    /// Reads a text whole.
    async fn text(&self, text: &Text) -> Result<Vec<u8>, ApiError> {
        match text {
            Text::Whole(file) => {
                let file = file.try_clone().map_err(ApiError::internal)?;
                blocking(move || {
                    let mut bytes = Vec::new();
                    let mut limited = file.take(TEXT_BYTES_MAX + 1);
                    let _ = limited.read_to_end(&mut bytes).map_err(ApiError::internal)?;
                    if bytes.len() as u64 > TEXT_BYTES_MAX {
                        let message = format!("expected a text of at most {TEXT_BYTES_MAX} bytes");
                        return Err(ApiError::new(ErrorCode::TooLarge, message));
                    }
                    Ok(bytes)
                })
                .await
            }
            Text::Packed(entry) => {
                let bundle = self.bundle.clone().expect("packed texts are in a bundle");
                let entry = entry.clone();
                blocking(move || lock(&bundle).read_whole(&entry).map_err(refused)).await
            }
        }
    }
}

fn lock(bundle: &std::sync::Mutex<Bundle<File>>) -> std::sync::MutexGuard<'_, Bundle<File>> {
    bundle.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn digest(mut file: File) -> Result<(File, [u8; 32], u64), ApiError> {
    let _ = file.seek(SeekFrom::Start(0)).map_err(ApiError::internal)?;
    let (mut digest, mut buffer, mut size) = (Sha256::new(), vec![0; 1 << 16], 0);
    loop {
        let read = file.read(&mut buffer).map_err(ApiError::internal)?;
        if read == 0 {
            break;
        }
        digest.update(&buffer[..read]);
        size += read as u64;
    }
    let _ = file.seek(SeekFrom::Start(0)).map_err(ApiError::internal)?;
    Ok((file, digest.finalize().into(), size))
}

fn refused(error: BundleError) -> ApiError {
    ApiError::new(ErrorCode::Invalid, error.to_string())
}

/// Runs work that waits for the disk or computes for long.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ApiError> + Send + 'static,
) -> Result<T, ApiError> {
    tokio::task::spawn_blocking(work).await.map_err(ApiError::internal)?
}
