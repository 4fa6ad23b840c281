//! The exact bytes of a delivery, put together again.

use piperoll_format::{Provenance, Seq, rebuild_body};

use crate::error::ReadError;
use crate::payload::Opened;
use crate::reader::LedgerReader;

/// A delivery's body as it was received, with what its signature can be checked against.
#[derive(Clone, Debug)]
pub struct Body {
    /// The exact bytes.
    pub bytes: Vec<u8>,
    /// Source, signature header and id of the secret that verified it.
    pub provenance: Provenance,
    /// The delivery event, for a body that was cut into items.
    pub delivery: Option<Seq>,
    /// The events whose payloads make up the body, ascending; for a body stored whole the event itself.
    pub pieces: Vec<Seq>,
}

impl LedgerReader {
    /// Returns the body that an event came in. For an item of a larger delivery, and for the delivery itself, it is
    /// put together from all its pieces.
    ///
    /// # Errors
    /// [`ReadError::Incomplete`] when the payload of a piece is gone, otherwise those of [`Self::payload`].
    pub async fn body(&self, seq: Seq) -> Result<Body, ReadError> {
        let opened = self.read(seq).await?.payload?;
        let placement = opened.payload.placement.as_ref();
        match placement.and_then(|placement| placement.delivery) {
            Some(delivery) => {
                let skeleton = match self.read(delivery).await?.payload {
                    Err(error) if error.is_destroyed() => {
                        return Err(ReadError::Incomplete { delivery, destroyed: vec![delivery] });
                    }
                    other => other?,
                };
                self.rebuild(delivery, skeleton).await
            }
            None if opened.payload.skeleton.is_some() => self.rebuild(seq, opened).await,
            None => {
                let bytes = opened.payload.parts.concat();
                Ok(Body { bytes, provenance: opened.payload.provenance, delivery: None, pieces: vec![seq] })
            }
        }
    }

    async fn rebuild(&self, delivery: Seq, opened: Opened) -> Result<Body, ReadError> {
        let damaged = |error| ReadError::damaged("payload", Some(delivery), error);
        let misfit =
            piperoll_format::DecodeError::Range { what: "delivery", expected: "a skeleton and one part" };
        let (Some(skeleton), [rest]) = (&opened.payload.skeleton, &opened.payload.parts[..]) else {
            return Err(damaged(misfit));
        };
        let seqs: Vec<Seq> = skeleton.items.iter().map(|item| item.seq).collect();
        let (mut items, mut destroyed) = (Vec::with_capacity(seqs.len()), Vec::new());
        for (seq, read) in seqs.iter().zip(self.payload_many(&seqs).await) {
            match read?.payload {
                Ok(item) => items.push(item.payload),
                Err(error) if error.is_destroyed() => destroyed.push(*seq),
                Err(error) => return Err(error),
            }
        }
        if !destroyed.is_empty() {
            return Err(ReadError::Incomplete { delivery, destroyed });
        }
        let slices: Result<Vec<_>, _> = items.iter().map(piperoll_format::Payload::item_slices).collect();
        let bytes = rebuild_body(skeleton, rest, &slices.map_err(damaged)?).map_err(damaged)?;
        let mut pieces = seqs;
        pieces.push(delivery);
        pieces.sort_unstable();
        pieces.dedup();
        Ok(Body { bytes, provenance: opened.payload.provenance, delivery: Some(delivery), pieces })
    }
}
