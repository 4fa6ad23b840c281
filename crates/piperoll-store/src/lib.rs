//! The port to write-once storage, and its adapters.
//!
//! [`WormStore`] is what the archive needs from storage: create-only objects that carry a retain-until
//! date and a hold, exact reads, ordered listing, and a few replaceable derived objects. [`MemoryStore`]
//! serves tests, [`DirectoryStore`] is the embedded default, [`S3Store`] is a bucket under Object Lock,
//! [`FaultyStore`] wraps any of them and fails on demand. [`conformance`] holds one test per property of the port, to be run for every adapter.
//!
//! **Invariant:** this crate knows nothing about events, ledgers or policies. It sees keys, bytes and
//! dates, and it never decides how long something is kept.

pub mod clock;
pub mod conformance;
pub mod directory;
pub mod error;
pub mod faulty;
pub mod key;
pub mod memory;
pub mod metered;
pub mod port;
pub mod probe;
pub mod recent;
pub mod s3;

pub use clock::{Clock, ManualClock, SystemClock};
pub use directory::DirectoryStore;
pub use error::StoreError;
pub use faulty::FaultyStore;
pub use key::{KeyError, ObjectKey};
pub use memory::MemoryStore;
pub use metered::{Meter, MeteredStore, Reading};
pub use port::{Enforcement, Lock, LockMode, LockStatus, ObjectMeta, Shadow, StoreDescription, WormStore};
pub use probe::{ProbeCheck, ProbeOutcome, ProbeReport};
pub use recent::RecentStore;
pub use s3::{S3Credentials, S3Error, S3Location, S3Mode, S3Options, S3Store};
