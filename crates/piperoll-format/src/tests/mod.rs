//! Tests over the whole format: golden vectors, properties, fuzzing, and the CDDL files as a second description.

mod fuzz;
mod golden;
mod property;
mod sample;
mod schema;
mod sealing;
mod strategy;

use std::path::PathBuf;

use crate::{DecodeError, DisposalOrder, EventCore, Genesis, KeyObject, Payload, Segment};

/// Everything that is encoded as CBOR.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Encoded {
    Core,
    DisposalOrder,
    Genesis,
    KeyObject,
    Payload,
    Segment,
}

impl Encoded {
    const ALL: [Self; 6] =
        [Self::Core, Self::DisposalOrder, Self::Genesis, Self::KeyObject, Self::Payload, Self::Segment];

    /// Decodes and encodes again.
    fn reencode(self, bytes: &[u8]) -> Result<Vec<u8>, DecodeError> {
        match self {
            Self::Core => EventCore::decode(bytes).map(|core| core.encode()),
            Self::DisposalOrder => DisposalOrder::decode(bytes).map(|order| order.encode()),
            Self::Genesis => Genesis::decode(bytes).map(|genesis| genesis.encode()),
            Self::KeyObject => KeyObject::decode(bytes).map(|keys| keys.encode()),
            Self::Payload => Payload::decode(bytes).map(|payload| payload.encode()),
            Self::Segment => Segment::decode(bytes).map(|segment| segment.encode()),
        }
    }

    /// Asserts that bytes are either refused or the only encoding of what they decode to.
    #[track_caller]
    fn check_canonical(self, bytes: &[u8]) {
        if let Ok(again) = self.reencode(bytes) {
            assert!(again == bytes, "{self:?} accepts what it would not write: {bytes:02x?}");
        }
    }
}

/// The top of the repository, where schemas and fixtures are.
fn repository() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}
