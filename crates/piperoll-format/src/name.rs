//! Object names: the only place where a path in the store is spelled (`FORMAT.md` section 3).

use std::fmt;

use crate::class::Bucket;
use crate::compress::DICTIONARY_NUMBER_MAX;
use crate::error::DecodeError;
use crate::id::{DigestPrefix, LedgerId, PieceId, SegmentNo, Seq};

/// The name of an object, without the ledger's prefix.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ObjectName {
    /// The first object of a ledger.
    Genesis,
    /// A compression dictionary, kept so that the ledger explains itself.
    Dictionary {
        /// Its number.
        number: u8,
    },
    /// A commit.
    Segment(SegmentNo),
    /// Stored payloads.
    Pack {
        /// Class and period.
        bucket: Bucket,
        /// The segment that names it.
        segment: SegmentNo,
        /// Start of its digest.
        digest: DigestPrefix,
    },
    /// Wrapped keys.
    Keys {
        /// Class and period.
        bucket: Bucket,
        /// The segment that names it.
        segment: SegmentNo,
        /// Start of its digest.
        digest: DigestPrefix,
    },
    /// The newest checkpoint; derived.
    Checkpoint,
    /// A tile of the tree or an entry bundle, by its C2SP path; derived.
    Tile(String),
    /// The list of files of a snapshot of index and projections; derived.
    SnapshotManifest {
        /// The first event that is not in it.
        cursor: Seq,
        /// Its name as a sealed piece.
        id: PieceId,
    },
    /// Bytes of a snapshot's files; derived.
    SnapshotPiece(PieceId),
}

impl ObjectName {
    /// Returns the key under which the object is stored.
    #[must_use]
    pub fn key(&self, ledger: LedgerId) -> String {
        format!("{ledger}/{self}")
    }

    /// Whether the object can be made again from the others, and is therefore not locked.
    #[must_use]
    pub const fn is_derived(&self) -> bool {
        matches!(
            self,
            Self::Checkpoint | Self::Tile(_) | Self::SnapshotManifest { .. } | Self::SnapshotPiece(_)
        )
    }

    /// Reads the name of an object back, given without the ledger's prefix.
    ///
    /// # Errors
    /// [`DecodeError::Text`] when it is the name of no object of this format.
    pub fn parse(text: &str) -> Result<Self, DecodeError> {
        let foreign = DecodeError::Text { what: "object name", expected: "a name of this format" };
        let name = match text.split_once('/') {
            None if text == "genesis" => Self::Genesis,
            None if text == "checkpoint" => Self::Checkpoint,
            Some(("log", rest)) => {
                Self::Segment(rest.strip_suffix(".seg").and_then(number).ok_or(foreign.clone())?)
            }
            Some(("dictionaries", rest)) => Self::Dictionary {
                number: rest
                    .strip_suffix(".zdict")
                    .and_then(|n| n.parse().ok())
                    .filter(|n| (1..=DICTIONARY_NUMBER_MAX).contains(n))
                    .ok_or(foreign.clone())?,
            },
            Some(("tile", rest)) if is_tile(rest) => Self::Tile(text.to_owned()),
            Some(("snapshot", rest)) => snapshot(rest).ok_or(foreign.clone())?,
            Some(("payloads", rest)) => {
                let (bucket, segment, digest) = bucketed(rest, ".pack").ok_or(foreign.clone())?;
                Self::Pack { bucket, segment, digest }
            }
            Some(("keys", rest)) => {
                let (bucket, segment, digest) = bucketed(rest, ".keys").ok_or(foreign.clone())?;
                Self::Keys { bucket, segment, digest }
            }
            _ => return Err(foreign),
        };
        // Only the spelling that `Display` writes is a name.
        if name.to_string() == text { Ok(name) } else { Err(foreign) }
    }
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Genesis => f.write_str("genesis"),
            Self::Dictionary { number } => write!(f, "dictionaries/{number}.zdict"),
            Self::Segment(number) => write!(f, "log/{number}.seg"),
            Self::Pack { bucket, segment, digest } => write!(f, "payloads/{bucket}/{segment}-{digest}.pack"),
            Self::Keys { bucket, segment, digest } => write!(f, "keys/{bucket}/{segment}-{digest}.keys"),
            Self::Checkpoint => f.write_str("checkpoint"),
            Self::Tile(path) => f.write_str(path),
            Self::SnapshotManifest { cursor, id } => write!(f, "snapshot/manifest/{:020}-{id}", cursor.0),
            Self::SnapshotPiece(id) => write!(f, "snapshot/piece/{id}"),
        }
    }
}

fn number(digits: &str) -> Option<SegmentNo> {
    digits.parse().ok().map(SegmentNo).filter(|number| *number <= SegmentNo::MAX)
}

fn snapshot(rest: &str) -> Option<ObjectName> {
    match rest.split_once('/')? {
        ("manifest", name) => {
            let (cursor, id) = name.split_once('-')?;
            Some(ObjectName::SnapshotManifest { cursor: Seq(cursor.parse().ok()?), id: id.parse().ok()? })
        }
        ("piece", id) => Some(ObjectName::SnapshotPiece(id.parse().ok()?)),
        _ => None,
    }
}

/// Whether `<level or "entries">/<number in groups of three digits>[.p/<width>]` is spelled as C2SP tlog-tiles says.
fn is_tile(path: &str) -> bool {
    let plain =
        |digits: &str, most: u8| digits.parse().is_ok_and(|n: u8| n <= most && n.to_string() == digits);
    let Some((level, rest)) = path.split_once('/') else { return false };
    let (groups, width) =
        rest.split_once(".p/").map_or((rest, None), |(groups, width)| (groups, Some(width)));
    let (high, last) = groups.rsplit_once('/').map_or((None, groups), |(high, last)| (Some(high), last));
    let three = |digits: &str| digits.len() == 3 && digits.bytes().all(|c| c.is_ascii_digit());
    (level == "entries" || plain(level, 63))
        && width.is_none_or(|width| width != "0" && plain(width, 255))
        && three(last)
        && high.is_none_or(|high| {
            !high.starts_with("x000")
                && high.split('/').all(|group| group.strip_prefix('x').is_some_and(three))
        })
}

fn bucketed(rest: &str, suffix: &str) -> Option<(Bucket, SegmentNo, DigestPrefix)> {
    let (bucket, file) = rest.rsplit_once('/')?;
    let (segment, digest) = file.strip_suffix(suffix)?.split_once('-')?;
    Some((bucket.parse().ok()?, number(segment)?, digest.parse().ok()?))
}
