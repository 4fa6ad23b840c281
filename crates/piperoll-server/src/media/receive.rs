//! Taking a download: in memory as far as there is room for it, the rest in a file without a name; hashed on the way.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use futures::{Stream, StreamExt as _};
use piperoll_graph::GraphError;
use sha2::{Digest as _, Sha256};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

/// Bytes of one piece of an attachment (decision 0011).
pub(crate) const PIECE_BYTES: usize = 4 * 1024 * 1024;

/// Chunks of a download that wait to be hashed and kept.
const AHEAD: usize = 8;

/// Pieces of one download that are kept in memory at most: a film as people send it has fewer.
const IN_MEMORY_MAX: usize = 8;

/// Where downloads are kept until they are committed.
#[derive(Clone, Debug)]
pub(crate) struct Keep {
    /// The room in memory for all downloads together, in pieces.
    pub(crate) room: Arc<Semaphore>,
    /// Where files without a name are made for what does not fit.
    pub(crate) dir: PathBuf,
}

/// A whole download.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) size: u64,
    pub(crate) sha256: [u8; 32],
    /// Its pieces in their order; an empty attachment has none.
    pub(crate) pieces: Vec<Piece>,
}

/// A piece of a download.
#[derive(Debug)]
pub(crate) enum Piece {
    /// In memory; one that is a download of its own takes no room from others.
    Memory { bytes: Vec<u8>, room: Option<OwnedSemaphorePermit> },
    /// In a file.
    File { file: Arc<File>, start: u64, length: usize },
}

/// Why a download is not whole.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReceiveError {
    #[error(transparent)]
    Graph(#[from] GraphError),
    #[error("the local disk failed")]
    Disk(#[from] io::Error),
}

/// Takes everything. What does not fit into one piece is kept as far as there is room, else in a file that has no name,
/// so that nothing of it is left when the process ends.
pub(crate) async fn receive(
    mut download: impl Stream<Item = Result<Bytes, GraphError>> + Unpin,
    keep: &Keep,
) -> Result<Received, ReceiveError> {
    let mut first = Vec::new();
    while let Some(bytes) = download.next().await {
        let bytes = bytes?;
        if first.len() + bytes.len() > PIECE_BYTES {
            return receive_long(first, bytes, download, keep).await;
        }
        first.extend_from_slice(&bytes);
    }
    let hashed = tokio::task::spawn_blocking(move || (<[u8; 32]>::from(Sha256::digest(&first)), first));
    let (sha256, first) = hashed.await.map_err(io::Error::other)?;
    let size = first.len() as u64;
    let pieces = if size == 0 { Vec::new() } else { vec![Piece::Memory { bytes: first, room: None }] };
    Ok(Received { size, sha256, pieces })
}

async fn receive_long(
    first: Vec<u8>,
    second: Bytes,
    mut download: impl Stream<Item = Result<Bytes, GraphError>> + Unpin,
    keep: &Keep,
) -> Result<Received, ReceiveError> {
    let (sender, mut receiver) = mpsc::channel::<Bytes>(AHEAD);
    let mut taken = Taken::new(first, keep.clone());
    let kept = tokio::task::spawn_blocking(move || -> io::Result<Received> {
        while let Some(bytes) = receiver.blocking_recv() {
            taken.take(&bytes)?;
        }
        taken.end()
    });
    let mut failed = None;
    let mut next = Some(Ok(second));
    while let Some(bytes) = next {
        match bytes {
            // An error means that keeping it failed, which is told below.
            Ok(bytes) => match sender.send(bytes).await {
                Ok(()) => {}
                Err(_) => break,
            },
            Err(error) => {
                failed = Some(error);
                break;
            }
        }
        next = download.next().await;
    }
    drop(sender);
    let received = kept.await.map_err(io::Error::other)??;
    match failed {
        Some(error) => Err(error.into()),
        None => Ok(received),
    }
}

/// What has been taken of a long download.
struct Taken {
    keep: Keep,
    hasher: Sha256,
    size: u64,
    pieces: Vec<Piece>,
    /// The piece that is being filled.
    current: Vec<u8>,
    /// What found no room in memory, and how long it is.
    file: Option<(Arc<File>, u64)>,
}

impl Taken {
    fn new(first: Vec<u8>, keep: Keep) -> Self {
        let hasher = Sha256::new_with_prefix(&first);
        let size = first.len() as u64;
        Self { keep, hasher, size, pieces: Vec::new(), current: first, file: None }
    }

    fn take(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        self.hasher.update(bytes);
        self.size += bytes.len() as u64;
        while !bytes.is_empty() {
            self.current.reserve_exact(PIECE_BYTES - self.current.len());
            let (now, later) = bytes.split_at(bytes.len().min(PIECE_BYTES - self.current.len()));
            self.current.extend_from_slice(now);
            bytes = later;
            if self.current.len() == PIECE_BYTES {
                self.put_away()?;
            }
        }
        Ok(())
    }

    /// Puts the piece that is being filled to the others.
    fn put_away(&mut self) -> io::Result<()> {
        let is_short = self.pieces.len() < IN_MEMORY_MAX;
        if is_short && let Ok(room) = self.keep.room.clone().try_acquire_owned() {
            let bytes = std::mem::take(&mut self.current);
            self.pieces.push(Piece::Memory { bytes, room: Some(room) });
            return Ok(());
        }
        let (file, start) = match &self.file {
            Some((file, end)) => (file.clone(), *end),
            None => (Arc::new(tempfile::tempfile_in(&self.keep.dir)?), 0),
        };
        (&*file).write_all(&self.current)?;
        let length = self.current.len();
        self.file = Some((file.clone(), start + length as u64));
        self.pieces.push(Piece::File { file, start, length });
        self.current.clear();
        Ok(())
    }

    fn end(mut self) -> io::Result<Received> {
        if !self.current.is_empty() {
            self.put_away()?;
        }
        Ok(Received { size: self.size, sha256: self.hasher.finalize().into(), pieces: self.pieces })
    }
}

impl Piece {
    /// Returns the bytes, and the room that they take in memory until they are gone.
    pub(crate) async fn bytes(self) -> io::Result<(Vec<u8>, Option<OwnedSemaphorePermit>)> {
        let (file, start, length) = match self {
            Self::Memory { bytes, room } => return Ok((bytes, room)),
            Self::File { file, start, length } => (file, start, length),
        };
        let read = tokio::task::spawn_blocking(move || -> io::Result<Vec<u8>> {
            let mut bytes = vec![0; length];
            file.read_exact_at(&mut bytes, start)?;
            Ok(bytes)
        });
        Ok((read.await.map_err(io::Error::other)??, None))
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::disallowed_methods, reason = "tests may unwrap")]

    use futures::stream;

    use super::*;

    async fn take(
        pieces: Vec<Result<Bytes, GraphError>>,
        room: &Arc<Semaphore>,
    ) -> Result<Received, ReceiveError> {
        let dir = tempfile::tempdir().unwrap();
        let keep = Keep { room: room.clone(), dir: dir.path().to_owned() };
        receive(stream::iter(pieces), &keep).await
    }

    #[tokio::test]
    async fn every_length_comes_back_in_pieces_from_memory_and_file() {
        for length in [0, 1, PIECE_BYTES - 1, PIECE_BYTES, PIECE_BYTES + 1, 2 * PIECE_BYTES + 77] {
            let all: Vec<u8> = (0..length).map(|at| u8::try_from(at % 251).unwrap()).collect();
            for permits in [0, 1, 9] {
                let room = Arc::new(Semaphore::new(permits));
                let chunks = all.chunks(700_001).map(|chunk| Ok(Bytes::copy_from_slice(chunk))).collect();
                let received = take(chunks, &room).await.unwrap();
                assert_eq!(received.size, length as u64);
                assert_eq!(received.sha256, <[u8; 32]>::from(Sha256::digest(&all)), "{length}");
                assert_eq!(received.pieces.len(), length.div_ceil(PIECE_BYTES));
                if received.pieces.len() > 1 {
                    assert_eq!(room.available_permits(), permits.saturating_sub(received.pieces.len()));
                }
                let mut back = Vec::new();
                for piece in received.pieces {
                    let (bytes, _room) = piece.bytes().await.unwrap();
                    assert!(bytes.len() <= PIECE_BYTES);
                    back.extend(bytes);
                }
                assert!(back == all, "{length} with room for {permits}");
                assert_eq!(room.available_permits(), permits, "the room is free again");
            }
        }
    }

    #[tokio::test]
    async fn broken_download_gives_its_error() {
        for first in [10, PIECE_BYTES + 10] {
            let cut = GraphError::Unavailable { reason: "cut".to_owned() };
            let room = Arc::new(Semaphore::new(1));
            let found = take(vec![Ok(vec![7; first].into()), Err(cut.clone())], &room).await;
            assert_eq!(room.available_permits(), 1);
            assert!(matches!(found, Err(ReceiveError::Graph(error)) if error == cut));
        }
    }
}
