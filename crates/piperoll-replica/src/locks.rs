//! Locks that grew on the primary after they were copied grow on the replica too.

use piperoll_format::ObjectName;
use piperoll_store::{LockStatus, ObjectKey, ObjectMeta, StoreError};

use crate::copy::Copier;
use crate::error::ReplicaError;
use crate::place::Place;

/// Objects asked for in one listing.
const PAGE: usize = 1_000;

/// What a comparison of the locks did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Locked {
    /// Objects that both stores have.
    pub compared: u64,
    /// Objects whose retention on the replica was made longer.
    pub extended: u64,
    /// Objects on which a hold was placed on the replica.
    pub held: u64,
    /// Objects whose hold on the replica was released.
    pub released: u64,
    /// Objects whose hold the replica did not release, because its identity there may not.
    pub still_held: u64,
}

impl Copier {
    /// Compares the locks of all objects and makes those on the replica at least as strong.
    ///
    /// A hold that was released on the primary is released on the replica by its records manager. Where there is none, or
    /// the service refuses, it stays and is counted: it keeps more than it must, never less. Retention is never
    /// shortened.
    ///
    /// # Errors
    /// [`ReplicaError::Store`].
    pub async fn copy_locks(&self) -> Result<Locked, ReplicaError> {
        let (mut locked, now) = (Locked::default(), self.clock.now_micros());
        let (mut left, mut right) = (Listing::new(&self.primary), Listing::new(&self.replica));
        let (mut original, mut copy) = (left.next().await?, right.next().await?);
        while let (Some(from), Some(to)) = (&original, &copy) {
            match from.key.cmp(&to.key) {
                std::cmp::Ordering::Less => original = left.next().await?,
                std::cmp::Ordering::Greater => copy = right.next().await?,
                std::cmp::Ordering::Equal => {
                    locked.compared += 1;
                    self.strengthen(&from.key, (from.lock, to.lock), now, &mut locked).await?;
                    (original, copy) = (left.next().await?, right.next().await?);
                }
            }
        }
        Ok(locked)
    }

    async fn strengthen(
        &self,
        key: &ObjectKey,
        (from, to): (LockStatus, LockStatus),
        now: u64,
        locked: &mut Locked,
    ) -> Result<(), ReplicaError> {
        let failed = |error| self.replica.failed(error);
        if let Some(until) = from.retain_until.filter(|until| *until > now)
            && to.retain_until.is_none_or(|found| found < until)
        {
            self.replica.store.extend_retention(key, until).await.map_err(failed)?;
            locked.extended += 1;
        }
        if from.hold && !to.hold {
            self.replica.store.set_hold(key, true).await.map_err(failed)?;
            locked.held += 1;
        }
        if to.hold && !from.hold {
            match self.replica.store.set_hold(key, false).await {
                Ok(()) => locked.released += 1,
                Err(error @ StoreError::Unavailable { .. }) => return Err(failed(error)),
                Err(error) => {
                    tracing::warn!(%error, object = %key, "the replica does not release a hold");
                    locked.still_held += 1;
                }
            }
        }
        Ok(())
    }
}

/// The created objects of a ledger in one store, in the order of their keys.
struct Listing<'a> {
    place: &'a Place,
    prefix: String,
    page: std::vec::IntoIter<ObjectMeta>,
    after: Option<ObjectKey>,
    is_last: bool,
}

impl<'a> Listing<'a> {
    fn new(place: &'a Place) -> Self {
        let prefix = format!("{}/", place.ledger);
        Self { place, prefix, page: Vec::new().into_iter(), after: None, is_last: false }
    }

    async fn next(&mut self) -> Result<Option<ObjectMeta>, ReplicaError> {
        loop {
            if let Some(meta) = self.page.next() {
                let name = ObjectName::parse(&meta.key.as_str()[self.prefix.len()..]);
                if name.is_ok_and(|name| !name.is_derived()) {
                    return Ok(Some(meta));
                }
                continue;
            }
            if self.is_last {
                return Ok(None);
            }
            let listed = self.place.store.list(&self.prefix, self.after.as_ref(), PAGE).await;
            let page = listed.map_err(|error| self.place.failed(error))?;
            self.is_last = page.len() < PAGE;
            self.after = page.last().map(|meta| meta.key.clone()).or(self.after.take());
            self.page = page.into_iter();
        }
    }
}
