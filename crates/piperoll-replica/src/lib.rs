//! The second copy of a ledger: copies each commit under the same locks, reads everything again over time, and
//! repairs one copy from the other.
//!
//! [`Copier`] copies what a primary store holds and the replica lacks; [`follow`] lets it run behind a writer;
//! [`compare`] says how far apart the two are; [`scrub`] reads every object of both again.
//!
//! **Invariant:** it writes only bytes that a segment names by digest, and never shortens a lock or lifts a hold. How
//! far the replica is stands in the replica itself: there is no local state that could be wrong about it.

mod compare;
mod copy;
mod derived;
mod dispose;
mod end;
mod error;
mod follow;
mod locks;
mod place;
pub mod scrub;

pub use compare::{Comparison, End, compare};
pub use copy::Copier;
pub use error::{ReplicaError, Side};
pub use follow::{FollowSettings, Progress, follow};
pub use place::{Pair, Stores};
