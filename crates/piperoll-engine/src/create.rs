//! Creating a ledger: its own command, never a side effect of starting.

use std::sync::Arc;

use bytes::Bytes;
use piperoll_format::{Dictionary, Genesis, Kek, LedgerId, ObjectName};
use piperoll_policy::{PolicySet, segment_retain_until};
use piperoll_store::{Lock, WormStore};

use crate::error::EngineError;
use crate::ledger::LedgerStore;

/// What a new ledger is made of.
#[derive(Debug)]
pub struct NewLedger<'a> {
    /// Its identity; random.
    pub ledger: LedgerId,
    /// Its C2SP origin, also the name of its key.
    pub origin: &'a str,
    /// The key that signs from event 0 on.
    pub public_key: [u8; 32],
    /// SHA-256 of the public key that may replace it.
    pub next_key_digest: [u8; 32],
    /// The key that wraps subject keys.
    pub kek: &'a Kek,
    /// The policy files, whole, in the order of their ids.
    pub policies: Vec<String>,
    /// The same policies, read.
    pub policy_set: &'a PolicySet,
    /// Now.
    pub created_at: piperoll_format::Timestamp,
}

/// Writes the dictionaries and the genesis object of a new ledger.
///
/// # Errors
/// [`EngineError::Invalid`] when the ledger exists, [`EngineError::Unavailable`] when the store fails.
pub async fn create_ledger(store: Arc<dyn WormStore>, new: NewLedger<'_>) -> Result<Genesis, EngineError> {
    let retain_until = segment_retain_until(new.policy_set, new.created_at);
    let lock = Lock::until(retain_until.0.0);
    let place = LedgerStore { store, ledger: new.ledger };
    let mut dictionaries = Vec::new();
    for dictionary in Dictionary::ALL {
        let name = ObjectName::Dictionary { number: dictionary.number };
        let bytes = Bytes::from_static(dictionary.bytes);
        create(&place, &name, bytes, &lock).await?;
        dictionaries.push((dictionary.number, dictionary.digest()));
    }
    let genesis = Genesis {
        ledger: new.ledger,
        origin: new.origin.to_owned(),
        public_key: new.public_key,
        next_key_digest: new.next_key_digest,
        created_at: new.created_at,
        kek: new.kek.id(),
        policies: new.policies,
        dictionaries,
        retain_until,
    };
    // The ledger exists from here on.
    create(&place, &ObjectName::Genesis, genesis.encode().into(), &lock).await?;
    Ok(genesis)
}

/// Creates an object. One that is there with the same bytes is of an earlier try, whose answer was lost.
async fn create(
    place: &LedgerStore,
    name: &ObjectName,
    bytes: Bytes,
    lock: &Lock,
) -> Result<(), EngineError> {
    let Err(error) = place.store.create(&place.key(name), bytes.clone(), lock).await else { return Ok(()) };
    if !error.must_read_back() {
        return Err(EngineError::unavailable(error));
    }
    match place.get(name).await {
        Ok(found) if found == bytes => Ok(()),
        Ok(_) => Err(EngineError::Invalid { reason: "the ledger exists already".to_owned() }),
        // Nothing is there, or nobody can say.
        Err(_) => Err(EngineError::unavailable(error)),
    }
}
