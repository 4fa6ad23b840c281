//! The parent's side: one child for each attachment, bounded in every respect.

use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};
use tokio::sync::Semaphore;

use crate::child::{ARGUMENT, TEXT, UNREADABLE};
use crate::format;

/// Bounds of one extraction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Largest attachment in bytes; a larger one is not tried.
    pub input_bytes: u64,
    /// Most text kept, in bytes.
    pub text_bytes: usize,
    /// Address space of the child in bytes.
    pub memory_bytes: u64,
    /// Processor time of the child in seconds.
    pub cpu_seconds: u64,
    /// How long the child may take in all.
    pub time: Duration,
    /// Children at the same time.
    pub children: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            input_bytes: 100 * 1024 * 1024,
            text_bytes: 1024 * 1024,
            memory_bytes: 1024 * 1024 * 1024,
            cpu_seconds: 20,
            time: Duration::from_secs(40),
            children: 2,
        }
    }
}

/// Text of an attachment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extracted {
    /// The text, never empty.
    pub text: String,
    /// Whether there was more than is kept.
    pub is_cut: bool,
}

/// Why an attachment has no searchable text. Never a reason to lose the attachment.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoText {
    /// Its type has no text, such as a picture.
    #[error("the type has no text")]
    Unsupported,
    /// There is no text in it, as in a scanned PDF.
    #[error("there is no text in it")]
    Empty,
    /// It is larger than the limit.
    #[error("expected at most {max} bytes, found {found}")]
    TooLarge {
        /// The limit.
        max: u64,
        /// The size.
        found: u64,
    },
    /// It is not what its type promises, or damaged.
    #[error("{0}")]
    Unreadable(String),
    /// The parser crashed or was stopped because of its memory or processor time.
    #[error("the parser was ended: {0}")]
    Ended(String),
    /// The parser took too long.
    #[error("the parser took longer than {} s", .0.as_secs())]
    TimedOut(Duration),
    /// No child could be started. Trying later makes sense, as with no other reason.
    #[error("the parser could not be started: {0}")]
    NotStarted(String),
}

/// Starts children. Cheap to clone; clones share the bound on children at the same time.
#[derive(Clone, Debug)]
pub struct Extractor {
    program: PathBuf,
    limits: Limits,
    permits: Arc<Semaphore>,
}

impl Extractor {
    /// Uses `program` as the child: started with [`ARGUMENT`], media type and file name it must call
    /// [`crate::child::run`], with the default limits.
    #[must_use]
    pub fn new(program: PathBuf, limits: Limits) -> Self {
        let permits = Arc::new(Semaphore::new(limits.children.max(1)));
        Self { program, limits, permits }
    }

    /// Tells whether an attachment of this claimed type may have text at all.
    #[must_use]
    pub fn supports(media_type: &str, file_name: Option<&str>) -> bool {
        format::claimed(media_type, file_name).is_some()
    }

    /// Takes the text out of `size` bytes that `input` gives.
    ///
    /// # Errors
    /// [`NoText`].
    pub async fn extract(
        &self,
        media_type: &str,
        file_name: Option<&str>,
        size: u64,
        input: impl AsyncRead + Unpin + Send,
    ) -> Result<Extracted, NoText> {
        if !Self::supports(media_type, file_name) {
            return Err(NoText::Unsupported);
        }
        if size > self.limits.input_bytes {
            return Err(NoText::TooLarge { max: self.limits.input_bytes, found: size });
        }
        let _permit = self.permits.acquire().await.expect("the semaphore is never closed");
        let mut child = self.start(media_type, file_name)?;
        let done = tokio::time::timeout(self.limits.time, self.converse(&mut child, input)).await;
        // Dropping the child kills it when it still runs.
        done.unwrap_or(Err(NoText::TimedOut(self.limits.time)))
    }

    fn start(&self, media_type: &str, file_name: Option<&str>) -> Result<Child, NoText> {
        let short = |text: &str| text.chars().filter(|c| !c.is_control()).take(200).collect::<String>();
        let mut command = Command::new(&self.program);
        command
            .arg(ARGUMENT)
            .args([short(media_type), short(file_name.unwrap_or_default())])
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command.spawn().map_err(|error| NoText::NotStarted(error.kind().to_string()))
    }

    async fn converse(
        &self,
        child: &mut Child,
        mut input: impl AsyncRead + Unpin + Send,
    ) -> Result<Extracted, NoText> {
        let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (Some(mut stdin), Some(stdout), Some(stderr)) = pipes else {
            return Err(NoText::NotStarted("no pipes".to_owned()));
        };
        let feed = async move {
            // A child that has seen enough closes its end; its exit code tells the rest.
            let _ = tokio::io::copy(&mut input, &mut stdin).await;
            let _ = stdin.shutdown().await;
        };
        let most = self.limits.text_bytes as u64 + 4;
        let (mut text, mut reason) = (Vec::new(), Vec::new());
        let (mut stdout, mut stderr) = (stdout.take(most), stderr.take(200));
        let ((), read, _) =
            tokio::join!(feed, stdout.read_to_end(&mut text), stderr.read_to_end(&mut reason));
        let status = child.wait().await.map_err(|error| NoText::Ended(error.kind().to_string()))?;
        match status.code() {
            Some(code) if code == i32::from(TEXT) && read.is_ok() => self.finish(text),
            Some(code) if code == i32::from(UNREADABLE) => {
                Err(NoText::Unreadable(String::from_utf8_lossy(&reason).into_owned()))
            }
            _ => Err(NoText::Ended(status.to_string())),
        }
    }

    fn finish(&self, bytes: Vec<u8>) -> Result<Extracted, NoText> {
        let mut text = String::from_utf8_lossy(&bytes).into_owned();
        let is_cut = text.len() > self.limits.text_bytes;
        text.truncate(text.floor_char_boundary(self.limits.text_bytes));
        if text.trim().is_empty() { Err(NoText::Empty) } else { Ok(Extracted { text, is_cut }) }
    }
}
