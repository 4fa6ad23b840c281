//! The only writer of a ledger: submit, commit, recover, dispose.
//!
//! Submissions wait in a bounded pool, one commit at a time takes them, and a receipt goes out when the segment
//! exists. The engine reads no HTTP and no JSON and knows nothing about search; what can be computed again from the
//! store is derived state and never decides whether an event is committed.

mod batch;
mod bell;
mod commit;
mod components;
mod create;
mod dispose;
mod engine;
mod error;
mod keyring;
mod ledger;
mod local;
mod pool;
mod publish;
mod read;
mod ready;
mod receipt;
mod recover;
mod repeat;
mod rival;
mod running;
mod snapshot;
mod spare;
mod state;
mod watch;
mod writer;

pub use components::{Components, Entropy, Executor, Recovering, Settings, SystemEntropy, WriterKeys};
pub use create::{NewLedger, create_ledger};
pub use dispose::Disposed;
pub use engine::Engine;
pub use error::{Cause, EngineError};
pub use ledger::Head;
pub use local::{LocalEnd, LocalState, STATE_FILE, STATE_VERSION, local_end};
pub use ready::recover_local_state;
pub use receipt::Receipt;
pub use snapshot::{ManifestName, SealedPiece, Shelf, ShelfError, StoredPiece};
pub use state::InventoryObject;
pub use watch::ClockJump;
