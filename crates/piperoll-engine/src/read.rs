//! Reading committed events back: to tell a repeat from a conflict, and to replay after a crash.

use piperoll_format::{
    Bucket, Codec, EventCore, KeyId, KeyObject, ObjectEntry, ObjectName, ObjectType, Payload, Segment,
    SegmentNo, Seq, open_payload,
};
use piperoll_store::StoreError;
use piperoll_tlog::hash::{NodeHash, leaf_hash};

use crate::error::EngineError;
use crate::keyring::Keyring;
use crate::ledger::LedgerStore;
use crate::state::State;

/// A committed event with its payload.
#[derive(Debug)]
pub(crate) struct Committed {
    pub(crate) event_hash: NodeHash,
    pub(crate) payload: Payload,
}

/// Reads a committed event; `None` when its payload or key was disposed of.
pub(crate) async fn read_event(
    (store, state): (&LedgerStore, &State),
    keyring: &mut Keyring,
    codec: &mut Codec,
    seq: Seq,
) -> Result<Option<Committed>, EngineError> {
    let damaged =
        |error| EngineError::fatal_from("a committed event is damaged; run `piperoll verify`", error);
    let missing =
        || EngineError::fatal("the local state names an event that is not there; delete it and start again");
    let number = state.segment_of(seq)?.ok_or_else(missing)?;
    let bytes = store.get(&ObjectName::Segment(number)).await.map_err(EngineError::unavailable)?;
    let segment = Segment::decode(&bytes).map_err(damaged)?;
    let index = seq.0.checked_sub(segment.first_seq.0).and_then(|index| usize::try_from(index).ok());
    let core_bytes = index.and_then(|index| segment.cores.get(index)).ok_or_else(missing)?;
    let core = EventCore::decode(core_bytes).map_err(damaged)?;
    let reference = &core.payload;
    let is_pack = |o: &&piperoll_format::ObjectEntry| {
        o.object == ObjectType::Pack && o.digest.prefix() == reference.pack && *o.bucket.class() == core.class
    };
    let pack = segment.objects.iter().find(is_pack).ok_or_else(missing)?;
    let key = match reference.key {
        None => None,
        Some(id) => match keyring.find((store, state), &pack.bucket, id).await? {
            Some(key) => Some(key),
            None => return Ok(None),
        },
    };
    let range = reference.offset..reference.offset + reference.stored;
    let stored = match store.store.get_range(&store.key(&pack.name(number)), range).await {
        Ok(stored) => stored,
        Err(StoreError::NotFound { .. }) => return Ok(None),
        Err(error) => return Err(EngineError::unavailable(error)),
    };
    let place = (core.ledger, core.seq);
    let (_, payload) = open_payload(codec, &stored, reference, key.as_deref(), place).map_err(damaged)?;
    Ok(Some(Committed {
        event_hash: leaf_hash(core_bytes),
        payload: Payload::decode(&payload).map_err(damaged)?,
    }))
}

/// Reads the ids of the keys that a segment's key objects hold; destroyed objects hold none.
pub(crate) async fn stored_keys(
    store: &LedgerStore,
    number: SegmentNo,
    objects: &[ObjectEntry],
) -> Result<Vec<(Bucket, Vec<KeyId>)>, EngineError> {
    let damaged = |error| EngineError::fatal_from("a key object is damaged; run `piperoll verify`", error);
    let mut keys = Vec::new();
    for entry in objects.iter().filter(|entry| entry.object == ObjectType::Keys) {
        match store.get(&entry.name(number)).await {
            Ok(bytes) => {
                let object = KeyObject::decode(&bytes).map_err(damaged)?;
                keys.push((entry.bucket.clone(), object.keys.iter().map(|(id, _)| *id).collect()));
            }
            Err(error) if error.is_not_found() => {}
            Err(error) => return Err(EngineError::unavailable(error)),
        }
    }
    Ok(keys)
}
