//! Zip files around an export: a text and its files, or many e-mails. Nothing is written to a disk.
//!
//! A file that would unpack to more than is reasonable is refused before anything of it is unpacked; one that lies
//! about its sizes, when it exceeds what it declared.

use std::io::{self, Read, Seek};

use zip::ZipArchive;
use zip::result::ZipError;

/// Most files in a zip.
const ENTRIES_MAX: usize = 100_000;
/// The largest single file, in bytes: as large as WhatsApp's largest.
pub(super) const ENTRY_BYTES_MAX: u64 = 100 << 20;
/// The most that all files may unpack to, in bytes.
const TOTAL_BYTES_MAX: u64 = 16 << 30;
/// How many times larger than its packed form a large file may be.
const RATIO_MAX: u64 = 200;
/// Files up to this size may be packed as tightly as they like.
const RATIO_FROM_BYTES: u64 = 1 << 20;

/// An open zip file.
#[derive(Debug)]
pub struct Bundle<R> {
    zip: ZipArchive<R>,
    entries: Vec<Entry>,
}

/// A file in a zip.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its name without folders.
    pub name: String,
    /// The size that it declares, in bytes.
    pub size: u64,
    index: usize,
}

/// Why a zip file is not read.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// It is none, or damaged.
    #[error("expected a zip file, found one that is damaged, encrypted or none")]
    Malformed(#[source] io::Error),
    /// It would unpack to too much.
    #[error("expected {expected}, found {found}: the zip file is refused")]
    Excessive {
        /// The limit.
        expected: String,
        /// What the file declares or holds.
        found: String,
    },
}

impl<R: Read + Seek> Bundle<R> {
    /// Opens a zip file and checks what it declares.
    ///
    /// # Errors
    /// [`BundleError`].
    pub fn open(reader: R) -> Result<Self, BundleError> {
        let mut zip = ZipArchive::new(reader).map_err(malformed)?;
        if zip.len() > ENTRIES_MAX {
            return Err(excessive(format!("at most {ENTRIES_MAX} files"), zip.len().to_string()));
        }
        let (mut entries, mut total) = (Vec::new(), 0_u64);
        for index in 0..zip.len() {
            let entry = zip.by_index_raw(index).map_err(malformed)?;
            if entry.is_dir() {
                continue;
            }
            let (size, packed) = (entry.size(), entry.compressed_size());
            if size > ENTRY_BYTES_MAX {
                return Err(excessive(
                    format!("files of at most {ENTRY_BYTES_MAX} bytes"),
                    format!("one of {size}"),
                ));
            }
            if size > RATIO_FROM_BYTES && size / packed.max(1) > RATIO_MAX {
                let found = format!("{packed} bytes that unpack to {size}");
                return Err(excessive(format!("files packed to no less than 1/{RATIO_MAX}"), found));
            }
            total += size;
            let path = entry.name().map_err(malformed)?;
            let name = path.rsplit(['/', '\\']).next().unwrap_or_default().to_owned();
            entries.push(Entry { name, size, index });
        }
        if total > TOTAL_BYTES_MAX {
            return Err(excessive(format!("at most {TOTAL_BYTES_MAX} bytes in all"), total.to_string()));
        }
        Ok(Self { zip, entries })
    }

    /// Returns the files, in the order of the zip.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Reads a file piece by piece, each of at most `piece_bytes`.
    ///
    /// # Errors
    /// [`BundleError::Excessive`] when it holds more than it declared; that of `take`, which gets the pieces.
    pub fn read<E: From<BundleError>>(
        &mut self,
        entry: &Entry,
        piece_bytes: usize,
        mut take: impl FnMut(Vec<u8>) -> Result<(), E>,
    ) -> Result<(), E> {
        let file = self.zip.by_index(entry.index).map_err(malformed)?;
        let mut rest = file.take(entry.size + 1);
        let mut read = 0;
        loop {
            let mut piece = Vec::new();
            let taken = rest.by_ref().take(piece_bytes as u64).read_to_end(&mut piece);
            let taken = taken.map_err(BundleError::Malformed)?;
            read += taken as u64;
            if read > entry.size {
                let expected = format!("the {} bytes that a file declares", entry.size);
                return Err(excessive(expected, "more".to_owned()).into());
            }
            if taken == 0 {
                return Ok(());
            }
            take(piece)?;
        }
    }

    /// Reads a whole file.
    ///
    /// # Errors
    /// Those of [`Self::read`].
    pub fn read_whole(&mut self, entry: &Entry) -> Result<Vec<u8>, BundleError> {
        let mut whole = Vec::new();
        self.read::<BundleError>(entry, 1 << 20, |mut piece| {
            whole.append(&mut piece);
            Ok(())
        })?;
        Ok(whole)
    }
}

fn malformed(error: ZipError) -> BundleError {
    BundleError::Malformed(error.into())
}

const fn excessive(expected: String, found: String) -> BundleError {
    BundleError::Excessive { expected, found }
}
