//! Opening of payloads.

use std::ops::Range;

use bytes::Bytes;
use futures::{StreamExt as _, stream};
use piperoll_format::{
    Codec, LedgerId, ObjectEntry, ObjectName, Payload, SALT_LEN, Seq, SubjectKey, commitment, open_payload,
};
use zeroize::Zeroize as _;

use crate::error::{Damage, ReadError};
use crate::keys::KeyRequest;
use crate::pool::with_codec;
use crate::reader::{LedgerReader, PARALLEL_READS};
use crate::segment::StoredEvent;

/// Whether the bytes below others might open what could not be opened.
fn is_damaged(opened: &Result<Opened, ReadError>) -> bool {
    matches!(opened, Err(ReadError::Damaged { .. }))
}

/// An opened payload; it meets the commitment in the core.
#[derive(Clone, Debug)]
pub struct Opened {
    /// The salt of the commitment.
    pub salt: [u8; SALT_LEN],
    /// The payload bytes, which the commitment covers.
    pub bytes: Vec<u8>,
    /// The same, decoded.
    pub payload: Payload,
}

/// An event with its payload, as far as that could be read.
#[derive(Clone, Debug)]
pub struct ReadEvent {
    /// The event.
    pub event: StoredEvent,
    /// Its payload, or why there is none.
    pub payload: Result<Opened, ReadError>,
}

impl LedgerReader {
    /// Reads and opens the payload of an event.
    ///
    /// # Errors
    /// [`ReadError::Disposed`] when the pack is gone after its lock had ended, [`ReadError::Missing`] when it is
    /// gone before, [`ReadError::NoKey`], [`ReadError::Damaged`], [`ReadError::Store`].
    pub async fn payload(&self, event: &StoredEvent) -> Result<Opened, ReadError> {
        let opened = self.open_once(event).await;
        if is_damaged(&opened) { self.open_original(event).await.or(opened) } else { opened }
    }

    /// Opens those again that could not be opened, from what was committed, whatever lies over it.
    pub(crate) async fn open_again(&self, events: &mut [ReadEvent]) {
        for read in events.iter_mut().filter(|read| is_damaged(&read.payload)) {
            if let Ok(opened) = self.open_original(&read.event).await {
                read.payload = Ok(opened);
            }
        }
    }

    async fn open_once(&self, event: &StoredEvent) -> Result<Opened, ReadError> {
        let (pack, range) = place(event)?;
        let name = pack.name(event.segment);
        let stored = self.pack_range(&name, pack, range, event.seq()).await?;
        self.open_stored(event, &name, &stored).await
    }

    /// Opens a payload from the pack that was committed, whatever somebody put over it.
    async fn open_original(&self, event: &StoredEvent) -> Result<Opened, ReadError> {
        let (pack, range) = place(event)?;
        let name = pack.name(event.segment);
        let whole = self.get_original(&name).await?;
        let stored = usize::try_from(range.start).ok().zip(usize::try_from(range.end).ok());
        let Some(stored) = stored.and_then(|(start, end)| whole.get(start..end)) else {
            let (expected, found) = (format!("{} bytes", pack.size), format!("{} bytes", whole.len()));
            return Err(ReadError::damaged(&name, Some(event.seq()), Damage::Place { expected, found }));
        };
        self.open_stored(event, &name, stored).await
    }

    async fn open_stored(
        &self,
        event: &StoredEvent,
        name: &ObjectName,
        stored: &[u8],
    ) -> Result<Opened, ReadError> {
        let (pack, _) = place(event)?;
        let key = match event.core.payload.key {
            None => None,
            Some(id) => {
                let request = KeyRequest { id, segment: event.segment };
                let found = self.keys().keys(&pack.bucket, &[request]).await?;
                Some(found.into_iter().flatten().next().ok_or(ReadError::NoKey { seq: event.seq() })?)
            }
        };
        with_codec(|codec| open(codec, self.ledger(), event, name, stored, key.as_ref()))
    }

    /// Reads an event and its payload. A payload that cannot be read is part of the result.
    ///
    /// # Errors
    /// Those of [`Self::event`].
    pub async fn read(&self, seq: Seq) -> Result<ReadEvent, ReadError> {
        let event = self.event(seq).await?;
        let payload = self.payload(&event).await;
        Ok(ReadEvent { event, payload })
    }

    /// Reads events with their payloads, in the order asked for, reading in parallel: for a page of hits.
    ///
    /// Each result is that of [`Self::read`].
    pub async fn payload_many(&self, seqs: &[Seq]) -> Vec<Result<ReadEvent, ReadError>> {
        let reads: Vec<_> = seqs.iter().map(|seq| self.read(*seq)).collect();
        stream::iter(reads).buffered(PARALLEL_READS).collect().await
    }

    /// Reads bytes of a pack that must be there unless it was disposed of.
    pub(crate) async fn pack_range(
        &self,
        name: &ObjectName,
        pack: &ObjectEntry,
        range: Range<u64>,
        seq: Seq,
    ) -> Result<Bytes, ReadError> {
        match self.store().get_range(&self.key(name), range).await {
            Ok(bytes) => Ok(bytes),
            Err(error) if error.is_not_found() => Err(self.gone(name, pack, seq)),
            Err(piperoll_store::StoreError::OutOfRange { size, .. }) => {
                let expected = format!("{} bytes", pack.size);
                let damage = Damage::Place { expected, found: format!("{size} bytes") };
                Err(ReadError::damaged(name, Some(seq), damage))
            }
            Err(error) => Err(ReadError::store(error)),
        }
    }

    /// Tells disposal from loss: nothing is disposed of before its lock has ended by the ledger's own time.
    fn gone(&self, name: &ObjectName, pack: &ObjectEntry, seq: Seq) -> ReadError {
        let object = name.to_string();
        let lock_ended = self.head().is_some_and(|head| head.recorded_at >= pack.retain_until.0);
        if lock_ended { ReadError::Disposed { seq, object } } else { ReadError::Missing { object } }
    }
}

/// Returns the pack that holds the event's payload, and the payload's bytes in it.
pub(crate) fn place(event: &StoredEvent) -> Result<(&ObjectEntry, Range<u64>), ReadError> {
    let seq = Some(event.seq());
    let segment = ObjectName::Segment(event.segment);
    let pack = event.pack.as_deref().ok_or_else(|| ReadError::damaged(&segment, seq, Damage::Unplaced))?;
    let (offset, stored, size) = (event.core.payload.offset, event.core.payload.stored, pack.size);
    match offset.checked_add(stored) {
        Some(end) if end <= size => Ok((pack, offset..end)),
        _ => Err(ReadError::damaged(&segment, seq, Damage::Outside { size, offset, stored })),
    }
}

/// Opens a stored payload and checks its commitment.
pub(crate) fn open(
    codec: &mut Codec,
    ledger: LedgerId,
    event: &StoredEvent,
    pack: &ObjectName,
    stored: &[u8],
    key: Option<&SubjectKey>,
) -> Result<Opened, ReadError> {
    let damaged = |source: Damage| ReadError::damaged(pack, Some(event.seq()), source);
    let reference = &event.core.payload;
    let (mut salt, bytes) = open_payload(codec, stored, reference, key, (ledger, event.seq()))
        .map_err(|error| damaged(error.into()))?;
    if commitment(&salt, &bytes) != reference.commitment {
        salt.zeroize();
        return Err(damaged(Damage::Commitment));
    }
    let payload = Payload::decode(&bytes).map_err(|error| damaged(error.into()))?;
    Ok(Opened { salt, bytes, payload })
}
