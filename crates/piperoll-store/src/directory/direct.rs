//! Writing large objects past the page cache.
//!
//! Copying a piece of a film into fresh pages of the cache costs more processor time than encrypting it, and the flush
//! that follows writes it out at once anyway. Small objects are read again soon by those who follow the ledger, and stay
//! in the cache.

use std::fs::File;
use std::io::{self, Write};

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};

/// From this length on: more than a commit of messages has, and no more than a piece of an attachment.
const DIRECT_BYTES_MIN: usize = 4 * 1024 * 1024;

/// What address, position and length of a write past the cache are multiples of on every disk.
const ALIGNMENT: usize = 4_096;

/// Bytes of one such write.
const CHUNK_BYTES: usize = 1024 * 1024;

/// Writes everything to a file, from where it stands. It is durable after a flush and not before.
pub(super) fn write_all(file: &mut File, bytes: &[u8]) -> io::Result<()> {
    let written = if bytes.len() < DIRECT_BYTES_MIN { 0 } else { write_direct(file, bytes)? };
    file.write_all(&bytes[written..])
}

/// Writes as much as goes past the cache and returns how much that was; nothing where the file system cannot do it.
fn write_direct(file: &mut File, bytes: &[u8]) -> io::Result<usize> {
    let flags = fcntl_getfl(&*file)?;
    if fcntl_setfl(&*file, flags | OFlags::DIRECT).is_err() {
        return Ok(0);
    }
    let written = write_chunks(file, &bytes[..bytes.len() - bytes.len() % ALIGNMENT]);
    fcntl_setfl(&*file, flags)?;
    written
}

fn write_chunks(file: &mut File, bytes: &[u8]) -> io::Result<usize> {
    let mut room = vec![0; CHUNK_BYTES + ALIGNMENT];
    let start = room.as_ptr().align_offset(ALIGNMENT);
    let Some(aligned) = room.get_mut(start..).and_then(|room| room.get_mut(..CHUNK_BYTES)) else {
        return Ok(0);
    };
    let mut written = 0;
    for chunk in bytes.chunks(CHUNK_BYTES) {
        let aligned = &mut aligned[..chunk.len()];
        aligned.copy_from_slice(chunk);
        match file.write(aligned) {
            Ok(length) => written += length,
            // The disk wants another alignment.
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => break,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => break,
            Err(error) => return Err(error),
        }
        if written % CHUNK_BYTES != 0 {
            break;
        }
    }
    Ok(written)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::disallowed_methods, reason = "tests may unwrap")]

    use super::*;

    #[test]
    fn every_length_is_written_whole() {
        let dir = tempfile::tempdir().unwrap();
        for (number, length) in [
            0,
            1,
            DIRECT_BYTES_MIN - 1,
            DIRECT_BYTES_MIN,
            DIRECT_BYTES_MIN + 1,
            DIRECT_BYTES_MIN + ALIGNMENT,
            DIRECT_BYTES_MIN + CHUNK_BYTES - 1,
            3 * DIRECT_BYTES_MIN + ALIGNMENT + 77,
        ]
        .into_iter()
        .enumerate()
        {
            let bytes: Vec<u8> = (0..length).map(|at| u8::try_from(at % 251).unwrap()).collect();
            let path = dir.path().join(number.to_string());
            let mut file = File::create(&path).unwrap();
            write_all(&mut file, &bytes).unwrap();
            file.write_all(b"after").unwrap();
            let found = std::fs::read(&path).unwrap();
            assert!(found.strip_suffix(b"after") == Some(&bytes), "{length}");
        }
    }

    #[test]
    fn full_device_is_an_error() {
        let mut full = File::options().write(true).open("/dev/full").unwrap();
        let error = write_all(&mut full, &vec![7; DIRECT_BYTES_MIN]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    }
}
