//! Reading every object of both stores again: digest, lock and presence, and repairing one copy from the other.
//!
//! A [`Pass`] is a plain value that knows how far it is: whoever keeps it can stop and go on later, also in another
//! process. What is gone is looked up in the disposal orders, which always come behind what they name. A damaged
//! object whose lock still runs cannot be replaced by anybody; the pass says where the good copy is.

mod examine;
mod orders;
mod repair;
mod tally;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use piperoll_format::{
    DisposalOrder, EventCore, Genesis, ObjectDigest, ObjectName, Segment, SegmentNo, Seq, chain_hash,
};
use piperoll_store::{Clock, WormStore};
use serde::{Deserialize, Serialize};

use crate::end::find_end;
use crate::error::{ReplicaError, Side};
use crate::place::{Place, Stores};
use examine::Wanted;
pub use tally::{NAMED_MAX, Problem, Repair, Tally};

/// A pass over all objects, as far as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pass {
    /// When it began, in µs since the Unix epoch.
    pub begun_at: u64,
    /// The segment that comes next.
    pub next: u64,
    /// Segments in the writer's store when it began.
    pub segments: u64,
    /// What was found in the writer's store.
    pub primary: Tally,
    /// What was found in the replica; `None` without one.
    pub replica: Option<Tally>,
    /// How many objects were made good.
    pub repaired: u64,
    /// Objects whose lock had ended and that are gone; an order that comes later explains them.
    absent: Vec<Absent>,
    /// Digest of the segment before the next one, in hexadecimal digits; empty when it is not known.
    previous: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Absent {
    object: String,
    store: String,
    digest: String,
}

impl Absent {
    fn side(&self) -> Side {
        if self.store == Side::Replica.as_str() { Side::Replica } else { Side::Primary }
    }
}

impl Pass {
    /// Tells whether everything is as it should be, or was made so.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        let is_sound = |tally: &Tally| tally.damaged_count + tally.missing_count + tally.unlocked_count == 0;
        is_sound(&self.primary) && self.replica.as_ref().is_none_or(is_sound)
    }

    /// The absences may be many: a step does not copy them.
    fn without_absences(&self) -> Self {
        Self {
            begun_at: self.begun_at,
            next: self.next,
            segments: self.segments,
            primary: self.primary.clone(),
            replica: self.replica.clone(),
            repaired: self.repaired,
            absent: Vec::new(),
            previous: self.previous.clone(),
        }
    }

    /// Takes what was ordered to go out of what is absent.
    fn explain(&mut self, orders: &[DisposalOrder]) {
        let named = orders.iter().flat_map(|order| &order.objects);
        let named: HashMap<&str, String> =
            named.map(|(name, digest)| (name.as_str(), digest.to_string())).collect();
        if named.is_empty() {
            return;
        }
        let mut disposed = Vec::new();
        self.absent.retain(|gone| {
            let is_named = named.get(gone.object.as_str()).is_some_and(|digest| *digest == gone.digest);
            if is_named {
                disposed.push(gone.side());
            }
            !is_named
        });
        for side in disposed {
            self.tally(side).disposed += 1;
        }
    }

    fn tally(&mut self, side: Side) -> &mut Tally {
        match side {
            Side::Primary => &mut self.primary,
            Side::Replica => self.replica.get_or_insert_default(),
        }
    }
}

/// What one step did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Step {
    /// Bytes that were read.
    pub bytes: u64,
    /// What was made good.
    pub repaired: Vec<Repair>,
}

/// How fast a pass goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// As fast as the stores answer.
    Unlimited,
    /// At most so many bytes a second.
    BytesPerSecond(u64),
    /// So that the whole archive takes about this long.
    Over(Duration),
}

impl Pace {
    /// Returns the pause after a step that read `bytes` bytes, in a pass over `segments` segments.
    #[must_use]
    pub fn pause(self, bytes: u64, segments: u64) -> Duration {
        match self {
            Self::Unlimited => Duration::ZERO,
            Self::BytesPerSecond(rate) => {
                Duration::from_micros(bytes.saturating_mul(1_000_000) / rate.max(1))
            }
            Self::Over(period) => period / u32::try_from(segments.max(1)).unwrap_or(u32::MAX),
        }
    }
}

/// Reads everything again, one segment at a time.
#[derive(Debug)]
pub struct Scrubber {
    primary: Place,
    replica: Option<Place>,
    clock: Arc<dyn Clock>,
    repairs: bool,
    /// The segment that the step before looked ahead at.
    ahead: Option<(SegmentNo, Copies)>,
}

/// A step under way: it takes effect when it has succeeded.
#[derive(Debug)]
struct Going {
    /// The pass after the step, with the absences of this step only.
    pass: Pass,
    step: Step,
    /// The disposals that this step came by.
    orders: Vec<DisposalOrder>,
}

impl Going {
    fn tally(&mut self, side: Side) -> &mut Tally {
        self.pass.tally(side)
    }
}

/// The bytes that stand under one name in each store.
#[derive(Clone, Debug, Default)]
struct Copies {
    primary: Option<Bytes>,
    replica: Option<Bytes>,
}

impl Copies {
    fn of(&self, side: Side) -> Option<&Bytes> {
        match side {
            Side::Primary => self.primary.as_ref(),
            Side::Replica => self.replica.as_ref(),
        }
    }

    fn each(&self) -> impl Iterator<Item = &Bytes> {
        self.primary.iter().chain(&self.replica)
    }
}

impl Scrubber {
    /// Looks at the stores and repairs each from the other; in a store alone nothing but a short lock can be repaired.
    #[must_use]
    pub fn new(stores: &Stores) -> Self {
        let place =
            |side, store: &Arc<dyn WormStore>| Place { side, store: store.clone(), ledger: stores.ledger };
        Self {
            primary: place(Side::Primary, &stores.primary),
            replica: stores.replica.as_ref().map(|store| place(Side::Replica, store)),
            clock: stores.clock.clone(),
            repairs: true,
            ahead: None,
        }
    }

    /// Only looks and changes nothing.
    #[must_use]
    pub fn without_repairs(mut self) -> Self {
        self.repairs = false;
        self
    }

    /// Takes a pass that was kept if it fits these stores, and begins one otherwise.
    ///
    /// # Errors
    /// [`ReplicaError::Store`].
    pub async fn resume(&self, kept: Option<Pass>) -> Result<Pass, ReplicaError> {
        match kept.filter(|pass| pass.replica.is_some() == self.replica.is_some()) {
            Some(pass) => Ok(pass),
            None => self.begin().await,
        }
    }

    /// Begins a pass.
    ///
    /// # Errors
    /// [`ReplicaError::Store`].
    pub async fn begin(&self) -> Result<Pass, ReplicaError> {
        Ok(Pass {
            begun_at: self.clock.now_micros(),
            segments: find_end(&self.primary, SegmentNo(0)).await?.0,
            replica: self.replica.as_ref().map(|_| Tally::default()),
            ..Pass::default()
        })
    }

    /// Takes the next segment with everything that it names; returns `None` when the pass is over and nothing was left
    /// to do.
    ///
    /// # Errors
    /// [`ReplicaError::Store`] and [`ReplicaError::Read`]; the pass is as it was, and the step can be repeated.
    pub async fn step(&mut self, pass: &mut Pass) -> Result<Option<Step>, ReplicaError> {
        let mut going = Going { pass: pass.without_absences(), step: Step::default(), orders: Vec::new() };
        if self.advance(&mut going).await? {
            let added = std::mem::take(&mut going.pass.absent);
            going.pass.absent = std::mem::take(&mut pass.absent);
            going.pass.absent.extend(added);
            going.pass.explain(&going.orders);
        } else if pass.absent.is_empty() {
            return Ok(None);
        } else {
            self.settle_absent(&mut going, &pass.absent).await?;
        }
        going.pass.repaired += going.step.repaired.len() as u64;
        *pass = going.pass;
        Ok(Some(going.step))
    }

    /// Returns false when there is no segment left.
    async fn advance(&mut self, going: &mut Going) -> Result<bool, ReplicaError> {
        let number = SegmentNo(going.pass.next);
        if number == SegmentNo(0) {
            self.fixed_objects(going).await?;
        }
        let copies = match self.ahead.take() {
            Some((ahead, copies)) if ahead == number => copies,
            _ => self.read(&ObjectName::Segment(number)).await?,
        };
        let ends_at_primary = copies.primary.is_none() && !has_later(&self.primary, number).await?;
        let ends_at_replica = match &self.replica {
            Some(replica) if copies.replica.is_none() => !has_later(replica, number).await?,
            Some(_) => false,
            None => true,
        };
        if ends_at_primary && ends_at_replica {
            return Ok(false);
        }
        let following = self.read(&ObjectName::Segment(number.next())).await?;
        let good = self.segment(going, number, &copies, &following, ends_at_replica).await?;
        self.ahead = Some((number.next(), following));
        going.pass.previous =
            good.as_ref().map(|bytes| ObjectDigest::of(bytes).to_string()).unwrap_or_default();
        if let Some(bytes) = good {
            let segment = Segment::decode(&bytes).expect("only segments that can be decoded are good");
            let wanted: Vec<Wanted> =
                segment.objects.iter().map(|entry| Wanted::of_entry(entry.name(number), entry)).collect();
            // What the replica has not been given yet cannot be missing there.
            self.objects(going, &wanted, !ends_at_replica).await?;
            self.follow_orders(going, &segment).await?;
        }
        going.pass.next += 1;
        Ok(true)
    }

    /// Looks at genesis and dictionaries.
    async fn fixed_objects(&self, going: &mut Going) -> Result<(), ReplicaError> {
        let name = ObjectName::Genesis;
        let copies = self.read(&name).await?;
        // The first segment names the genesis object by its digest.
        let first = self.read(&ObjectName::Segment(SegmentNo(0))).await?;
        let vouched: Vec<ObjectDigest> = first.each().filter_map(|bytes| previous_of(bytes)).collect();
        let is_good = |bytes: &Bytes| {
            let genesis = Genesis::decode(bytes).is_ok_and(|genesis| genesis.ledger == self.primary.ledger);
            genesis && (vouched.is_empty() || vouched.contains(&ObjectDigest::of(bytes)))
        };
        let Some(bytes) = copies.each().find(|bytes| is_good(bytes)).cloned() else {
            let problem = self.undecided(&name);
            going.tally(Side::Primary).damaged(problem);
            return Ok(());
        };
        let genesis = Genesis::decode(&bytes).expect("a good genesis object can be decoded");
        let recorded = genesis.retain_until.0.0;
        let has_replica = self.has_begun().await?;
        let digest = ObjectDigest::of(&bytes);
        self.object(going, &Wanted { name, digest, size: bytes.len() as u64, recorded }, has_replica).await?;
        for (number, digest) in &genesis.dictionaries {
            let name = ObjectName::Dictionary { number: *number };
            let copies = self.read(&name).await?;
            let size = copies.each().find(|bytes| ObjectDigest::of(bytes) == *digest).map_or(0, Bytes::len);
            let wanted = Wanted { name, digest: *digest, size: size as u64, recorded };
            self.object(going, &wanted, has_replica).await?;
        }
        going.pass.previous = digest.to_string();
        Ok(())
    }

    /// Whether the replica has been begun: otherwise nothing is missing there.
    async fn has_begun(&self) -> Result<bool, ReplicaError> {
        match &self.replica {
            Some(replica) => Ok(replica.head(&ObjectName::Segment(SegmentNo(0))).await?.is_some()
                || replica.head(&ObjectName::Genesis).await?.is_some()),
            None => Ok(false),
        }
    }

    /// Finds out which copy of a segment is the right one, looks at both, and returns it.
    async fn segment(
        &self,
        going: &mut Going,
        number: SegmentNo,
        copies: &Copies,
        following: &Copies,
        ends_at_replica: bool,
    ) -> Result<Option<Bytes>, ReplicaError> {
        let name = ObjectName::Segment(number);
        // The segment that follows names this one by its digest.
        let vouched: Vec<ObjectDigest> = following.each().filter_map(|bytes| previous_of(bytes)).collect();
        let is_good = |bytes: &&Bytes| {
            self.is_in_place(bytes, number, &going.pass.previous)
                && (vouched.is_empty() || vouched.contains(&ObjectDigest::of(bytes)))
        };
        let mut good: Vec<&Bytes> = copies.each().filter(is_good).collect();
        good.dedup();
        let [bytes] = good[..] else {
            let problem = self.undecided(&name);
            for side in self.sides() {
                match copies.of(side) {
                    Some(_) => going.tally(side).damaged(problem.clone()),
                    None if side == Side::Replica && ends_at_replica => continue,
                    None => going.tally(side).missing(problem.clone()),
                }
                going.tally(side).objects += 1;
            }
            return Ok(None);
        };
        let bytes = bytes.clone();
        let recorded = Segment::decode(&bytes).expect("a good segment can be decoded").retain_until.0.0;
        let size = bytes.len() as u64;
        let wanted = Wanted { name, digest: ObjectDigest::of(&bytes), size, recorded };
        self.object(going, &wanted, !ends_at_replica).await?;
        Ok(Some(bytes))
    }

    /// Whether bytes are a segment of this ledger in its place, with a chain that ends where it says.
    fn is_in_place(&self, bytes: &[u8], number: SegmentNo, previous: &str) -> bool {
        let Ok(segment) = Segment::decode(bytes) else { return false };
        let last = segment.cores.last().map(|core| chain_hash(core));
        (segment.ledger, segment.number) == (self.primary.ledger, number)
            && (previous.is_empty() || segment.previous.to_string() == previous)
            && last == Some(segment.chain_head)
            && segment.cores.iter().all(|core| EventCore::decode(core).is_ok())
    }

    async fn read(&self, name: &ObjectName) -> Result<Copies, ReplicaError> {
        let primary = self.primary.get(name).await?;
        let replica = match &self.replica {
            Some(replica) => replica.get(name).await?,
            None => None,
        };
        Ok(Copies { primary, replica })
    }

    fn sides(&self) -> impl Iterator<Item = Side> + use<> {
        std::iter::once(Side::Primary).chain(self.replica.is_some().then_some(Side::Replica))
    }

    fn place(&self, side: Side) -> Option<&Place> {
        match side {
            Side::Primary => Some(&self.primary),
            Side::Replica => self.replica.as_ref(),
        }
    }

    fn undecided(&self, name: &ObjectName) -> Problem {
        let detail = if self.replica.is_some() {
            "no store has a copy that fits between its neighbours, or the two differ and both fit"
        } else {
            "it does not fit between its neighbours"
        };
        Problem { object: name.to_string(), detail: detail.to_owned(), good_copy: None }
    }
}

/// Returns the digest that a segment gives of the one before it.
fn previous_of(bytes: &[u8]) -> Option<ObjectDigest> {
    Segment::decode(bytes).ok().map(|segment| segment.previous)
}

/// Whether a store has a segment behind this one.
async fn has_later(place: &Place, number: SegmentNo) -> Result<bool, ReplicaError> {
    let prefix = format!("{}/log/", place.ledger);
    let key = place.key(&ObjectName::Segment(number));
    let later = place.store.list(&prefix, Some(&key), 1).await.map_err(|error| place.failed(error))?;
    Ok(!later.is_empty())
}

/// The position of the event at `index` of a segment.
fn seq_at(segment: &Segment<'_>, index: usize) -> Seq {
    Seq(segment.first_seq.0 + index as u64)
}
