//! From a store and a place for local state to a ledger that can be written.

use std::path::Path;
use std::sync::Arc;

use piperoll_format::{Genesis, LedgerId, Seq};
use piperoll_store::WormStore;
use piperoll_tlog::note::key::NoteSigner;

use crate::components::{Settings, WriterKeys};
use crate::error::EngineError;
use crate::keyring::Keyring;
use crate::ledger::LedgerStore;
use crate::recover::{Recovered, read_genesis, recover};
use crate::state::State;

/// A ledger whose end is known, with local state that has everything up to there.
pub(crate) struct Ready {
    pub(crate) genesis: Genesis,
    pub(crate) signer: NoteSigner,
    pub(crate) state: Arc<State>,
    pub(crate) keyring: Keyring,
    pub(crate) recovered: Recovered,
}

impl Ready {
    /// Checks that the keys are the ledger's, and brings local state up to its end.
    pub(crate) async fn make(
        store: &LedgerStore,
        keys: &WriterKeys,
        state_dir: &Path,
        settings: &Settings,
    ) -> Result<Self, EngineError> {
        let (genesis, _) = read_genesis(store).await?;
        if genesis.public_key != keys.signing.verifying_key().to_bytes() {
            return Err(EngineError::fatal("the signing key is not the ledger's"));
        }
        if genesis.kek != keys.kek.id() {
            return Err(EngineError::fatal("the key-encryption key is not the ledger's"));
        }
        let signer = NoteSigner::new(&genesis.origin, keys.signing.clone())
            .map_err(|error| EngineError::fatal_from("the origin is no valid key name", error))?;
        let state = Arc::new(State::open(state_dir, store.ledger, settings.state_cache_bytes)?);
        let mut keyring = Keyring::new(keys.kek.clone());
        let key = signer.verifier_key();
        let recovered = recover(store, &state, &mut keyring, key, &settings.recovering).await?;
        Ok(Self { genesis, signer, state, keyring, recovered })
    }
}

/// Brings local state up to the end of a ledger, as [`Engine::open`](crate::Engine::open) does, without writing to
/// the ledger. Returns the events that changed the configuration, in their order: whoever restores an archive learns
/// from them what to open it with.
///
/// # Errors
/// Those of [`Engine::open`](crate::Engine::open).
pub async fn recover_local_state(
    store: Arc<dyn WormStore>,
    ledger: LedgerId,
    keys: &WriterKeys,
    state_dir: &Path,
    settings: &Settings,
) -> Result<Vec<Seq>, EngineError> {
    let store = LedgerStore { store, ledger };
    Ready::make(&store, keys, state_dir, settings).await?.state.configured()
}
