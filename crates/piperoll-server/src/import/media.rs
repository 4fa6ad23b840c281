//! The files beside the text of an import, and those inside its e-mails, as pieces of attachments.

use piperoll_format::{Facts, Kind, Seq};
use piperoll_sources::import::{self, BundleError, Entry, ImportItem};
use sha2::{Digest as _, Sha256};
use tokio::sync::mpsc;

use super::{Files, Importer, lock, refused};
use crate::error::ApiError;
use crate::media::CapturedDocument;
use crate::wire::hex;

/// The size of a piece of an attachment, in bytes.
const PIECE_BYTES: usize = 4 << 20;

/// Where the bytes of an attachment are.
enum Source {
    /// In the zip file, beside the text.
    Beside(Entry),
    /// Inside the message itself.
    Inside(Vec<u8>),
}

impl Importer<'_> {
    /// Takes the files that a message names or holds. `bytes` is the text that the message is in.
    pub(super) async fn take_files(
        &mut self,
        item: &ImportItem,
        seq: Seq,
        bytes: &[u8],
        files: &Files,
    ) -> Result<(), ApiError> {
        let is_mail = item.message.message_type == "email" && !item.message.attachments.is_empty();
        let inside = if is_mail { import::files_in_mail(&bytes[item.range.clone()]) } else { Vec::new() };
        let mut inside = inside.into_iter();
        for (attachment, index) in item.message.attachments.iter().zip(0_u32..) {
            let beside = || {
                let name = attachment.filename.as_ref()?;
                files.entries.iter().find(|entry| entry.name == *name).cloned().map(Source::Beside)
            };
            let Some(source) = inside.next().map(Source::Inside).or_else(beside) else {
                self.view.media_missing += u64::from(attachment.filename.is_some());
                continue;
            };
            let facts = Facts {
                subject: item.subject.clone(),
                number: item.message.number.as_ref().and_then(|number| number.id.clone()),
                occurred_at: item.message.occurred_at,
                ..Facts::default()
            };
            let (parts, size, sha256) = self.take_pieces(source, (seq, index), &facts, files).await?;
            let document = CapturedDocument {
                message_seq: seq.0,
                attachment: index,
                media_id: Some(format!("import:{}", hex(&sha256[..16]))),
                mime_type: attachment.mime_type.clone(),
                filename: attachment.filename.clone(),
                size,
                sha256: hex(&sha256),
                declared_sha256: None,
                matches_declared: None,
                parts,
                attempts: 1,
                source: "import".to_owned(),
            };
            let document = serde_json::to_vec(&document).expect("texts and numbers are always JSON");
            let facts = Facts { source_id: Some(format!("media:{}:{index}", seq.0)), ..facts };
            let captured = self.submission(Kind::MediaCaptured, "application/json", vec![document], facts);
            drop(self.submit(vec![captured]).await?);
            self.view.media += 1;
        }
        Ok(())
    }

    /// Commits a file piece by piece and returns the pieces' positions, the size and the digest. The same piece of the
    /// same message again gets its first position.
    async fn take_pieces(
        &self,
        source: Source,
        (seq, index): (Seq, u32),
        facts: &Facts,
        files: &Files,
    ) -> Result<(Vec<u64>, u64, [u8; 32]), ApiError> {
        let bundle = files.bundle.clone();
        let (sender, mut pieces) = mpsc::channel::<Vec<u8>>(1);
        let reading = tokio::task::spawn_blocking(move || {
            let send = |piece| sender.blocking_send(piece).map_err(|_| Broken(None));
            match source {
                Source::Beside(entry) => {
                    let bundle = bundle.expect("files beside a text are in a bundle");
                    lock(&bundle).read::<Broken>(&entry, PIECE_BYTES, send)
                }
                Source::Inside(bytes) => bytes.chunks(PIECE_BYTES).try_for_each(|piece| send(piece.to_vec())),
            }
        });
        let (mut parts, mut size, mut digest) = (Vec::new(), 0, Sha256::new());
        while let Some(piece) = pieces.recv().await {
            digest.update(&piece);
            size += piece.len() as u64;
            let source_id = Some(format!("import-part:{}:{index}:{}", seq.0, parts.len()));
            let facts = Facts { source_id, ..facts.clone() };
            let part = self.submission(Kind::MediaPart, "application/octet-stream", vec![piece], facts);
            let receipts = self.submit(vec![part]).await?;
            parts.extend(receipts.iter().map(|receipt| receipt.seq.0));
        }
        match reading.await.map_err(ApiError::internal)? {
            Err(Broken(Some(error))) => Err(refused(error)),
            _ => Ok((parts, size, digest.finalize().into())),
        }
    }
}

/// Why reading ended early; nothing when nobody takes the pieces any more.
struct Broken(Option<BundleError>);

impl From<BundleError> for Broken {
    fn from(error: BundleError) -> Self {
        Self(Some(error))
    }
}
