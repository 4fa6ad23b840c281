//! What can be made good: a missing object is created again, a damaged one only when no lock keeps it.

use piperoll_format::ObjectDigest;
use piperoll_store::StoreError;

use super::Scrubber;
use super::examine::Wanted;
use crate::copy::copied_lock;
use crate::error::{ReplicaError, Side};
use crate::place::Place;

/// What became of a repair: where the bytes came from, or why there was none.
type Outcome<T> = Result<Result<T, String>, ReplicaError>;

const NOT_WANTED: &str = "repairs are switched off";
const NO_COPY: &str = "no store has a good copy";

impl Scrubber {
    /// Makes the lock of an object as long as recorded.
    pub(super) async fn extend(&self, side: Side, wanted: &Wanted) -> Outcome<()> {
        let Some(place) = self.place(side).filter(|_| self.repairs) else {
            return Ok(Err(NOT_WANTED.to_owned()));
        };
        refused(place, place.store.extend_retention(&place.key(&wanted.name), wanted.recorded).await)
    }

    /// Creates a missing object again from the other store.
    pub(super) async fn create(&self, side: Side, wanted: &Wanted, good: Option<Side>) -> Outcome<Side> {
        let Some(place) = self.place(side).filter(|_| self.repairs) else {
            return Ok(Err(NOT_WANTED.to_owned()));
        };
        let Some((from, source)) = good.and_then(|good| Some((good, self.place(good)?))) else {
            return Ok(Err(NO_COPY.to_owned()));
        };
        let bytes = source.get_as(&wanted.name, wanted.digest).await?;
        let Some(bytes) = bytes.filter(|bytes| ObjectDigest::of(bytes) == wanted.digest) else {
            return Ok(Err(NO_COPY.to_owned()));
        };
        let lock = copied_lock(source, &wanted.name, wanted.recorded, self.clock.now_micros()).await?;
        match place.create(&wanted.name, &bytes, &lock).await {
            Ok(()) => Ok(Ok(from)),
            Err(ReplicaError::Store {
                source: error @ (StoreError::Denied { .. } | StoreError::Full { .. }),
                ..
            }) => Ok(Err(error.to_string())),
            Err(error @ ReplicaError::Conflict { .. }) => Ok(Err(error.to_string())),
            Err(error) => Err(error),
        }
    }

    /// Replaces a damaged object, which is possible only when the store gives it up.
    pub(super) async fn replace(&self, side: Side, wanted: &Wanted, good: Option<Side>) -> Outcome<Side> {
        let Some(place) = self.place(side).filter(|_| self.repairs) else {
            return Ok(Err(NOT_WANTED.to_owned()));
        };
        if good.is_none() {
            return Ok(Err(NO_COPY.to_owned()));
        }
        let now = self.clock.now_micros();
        let lock = place.head(&wanted.name).await?.map(|meta| meta.lock);
        if lock.is_some_and(|lock| !lock.is_free(now)) || wanted.recorded > now {
            return Ok(
                Err("it is locked and cannot be replaced; the other store has a good copy".to_owned()),
            );
        }
        match refused(place, place.store.delete(&place.key(&wanted.name)).await)? {
            Ok(()) => self.create(side, wanted, good).await,
            Err(reason) => Ok(Err(reason)),
        }
    }
}

/// Takes what a store refuses for good as a reason, and everything else as a failure.
fn refused(place: &Place, result: Result<(), StoreError>) -> Outcome<()> {
    match result {
        Ok(()) => Ok(Ok(())),
        Err(error @ StoreError::Unavailable { .. }) => Err(place.failed(error)),
        Err(error) => Ok(Err(error.to_string())),
    }
}
