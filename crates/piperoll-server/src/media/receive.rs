//! Taking a download: small ones in memory, large ones in a file without a name; hashed on the way.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use futures::{Stream, StreamExt as _};
use piperoll_graph::GraphError;
use sha2::{Digest as _, Sha256};
use tokio::sync::mpsc;

/// Bytes of one piece of an attachment (decision 0011).
pub(crate) const PIECE_BYTES: usize = 4 * 1024 * 1024;

/// Pieces of a download that wait to be hashed and written.
const AHEAD: usize = 32;

/// A whole download.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) size: u64,
    pub(crate) sha256: [u8; 32],
    bytes: Held,
}

#[derive(Debug)]
enum Held {
    Memory(Vec<u8>),
    File(Arc<File>),
}

/// Why a download is not whole.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReceiveError {
    #[error(transparent)]
    Graph(#[from] GraphError),
    #[error("the local disk failed")]
    Disk(#[from] io::Error),
}

/// Takes everything. What does not fit into one piece goes to a file in `dir` that has no name, so that nothing of it
/// is left when the process ends.
pub(crate) async fn receive(
    mut download: impl Stream<Item = Result<Bytes, GraphError>> + Unpin,
    dir: &Path,
) -> Result<Received, ReceiveError> {
    let mut first = Vec::new();
    while let Some(bytes) = download.next().await {
        let bytes = bytes?;
        if first.len() + bytes.len() > PIECE_BYTES {
            return spill(first.into(), bytes, download, dir).await;
        }
        first.extend_from_slice(&bytes);
    }
    let hashed = tokio::task::spawn_blocking(move || (<[u8; 32]>::from(Sha256::digest(&first)), first));
    let (sha256, first) = hashed.await.map_err(io::Error::other)?;
    Ok(Received { size: first.len() as u64, sha256, bytes: Held::Memory(first) })
}

async fn spill(
    first: Bytes,
    second: Bytes,
    mut download: impl Stream<Item = Result<Bytes, GraphError>> + Unpin,
    dir: &Path,
) -> Result<Received, ReceiveError> {
    let file = tempfile::tempfile_in(dir)?;
    let (sender, mut receiver) = mpsc::channel::<Bytes>(AHEAD);
    let written = tokio::task::spawn_blocking(move || -> io::Result<Received> {
        let (mut hasher, mut size, mut file) = (Sha256::new(), 0_u64, file);
        while let Some(bytes) = receiver.blocking_recv() {
            hasher.update(&bytes);
            file.write_all(&bytes)?;
            size += bytes.len() as u64;
        }
        Ok(Received { size, sha256: hasher.finalize().into(), bytes: Held::File(Arc::new(file)) })
    });
    let mut failed = None;
    let mut next = Some(Ok(first));
    let mut then = Some(Ok(second));
    while let Some(bytes) = next {
        match bytes {
            // An error means that writing failed, which is told below.
            Ok(bytes) => match sender.send(bytes).await {
                Ok(()) => {}
                Err(_) => break,
            },
            Err(error) => {
                failed = Some(error);
                break;
            }
        }
        next = match then.take() {
            Some(bytes) => Some(bytes),
            None => download.next().await,
        };
    }
    drop(sender);
    let received = written.await.map_err(io::Error::other)??;
    match failed {
        Some(error) => Err(error.into()),
        None => Ok(received),
    }
}

impl Received {
    /// Returns how many pieces it becomes; an empty attachment has none.
    pub(crate) fn pieces(&self) -> u64 {
        self.size.div_ceil(PIECE_BYTES as u64)
    }

    /// Reads one piece.
    pub(crate) async fn piece(&self, index: u64) -> io::Result<Vec<u8>> {
        let start = index * PIECE_BYTES as u64;
        let length = self.size.saturating_sub(start).min(PIECE_BYTES as u64);
        let length = usize::try_from(length).map_err(io::Error::other)?;
        let file = match &self.bytes {
            // There is only one piece in memory.
            Held::Memory(bytes) => return Ok(bytes.clone()),
            Held::File(file) => file.clone(),
        };
        let read = tokio::task::spawn_blocking(move || {
            let mut bytes = vec![0; length];
            file.read_exact_at(&mut bytes, start)?;
            Ok(bytes)
        });
        read.await.map_err(io::Error::other)?
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::disallowed_methods, reason = "tests may unwrap")]

    use futures::stream;

    use super::*;

    async fn take(pieces: Vec<Result<Bytes, GraphError>>) -> Result<Received, ReceiveError> {
        let dir = tempfile::tempdir().unwrap();
        receive(stream::iter(pieces), dir.path()).await
    }

    #[tokio::test]
    async fn every_length_comes_back_in_pieces() {
        for length in [0, 1, PIECE_BYTES - 1, PIECE_BYTES, PIECE_BYTES + 1, 2 * PIECE_BYTES + 77] {
            let all: Vec<u8> = (0..length).map(|at| u8::try_from(at % 251).unwrap()).collect();
            let chunks = all.chunks(700_001).map(|chunk| Ok(Bytes::copy_from_slice(chunk))).collect();
            let received = take(chunks).await.unwrap();
            let mut back = Vec::new();
            for index in 0..received.pieces() {
                back.extend(received.piece(index).await.unwrap());
            }
            assert!(back == all, "{length}");
            assert_eq!(received.sha256, <[u8; 32]>::from(Sha256::digest(&all)), "{length}");
        }
    }

    #[tokio::test]
    async fn broken_download_gives_its_error() {
        for first in [10, PIECE_BYTES + 10] {
            let cut = GraphError::Unavailable { reason: "cut".to_owned() };
            let found = take(vec![Ok(vec![7; first].into()), Err(cut.clone())]).await;
            assert!(matches!(found, Err(ReceiveError::Graph(error)) if error == cut));
        }
    }
}
