//! One object in both stores: is it there, is it what was committed, and is it locked as recorded.

use futures::future::try_join_all;
use piperoll_format::{ObjectDigest, ObjectEntry, ObjectName};

use super::{Absent, Going, Problem, Repair, Scrubber};
use crate::error::{ReplicaError, Side};
use crate::place::{Place, describe};

/// What an object must be.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub(super) name: ObjectName,
    pub(super) digest: ObjectDigest,
    pub(super) size: u64,
    /// End of its lock as recorded, in µs.
    pub(super) recorded: u64,
}

impl Wanted {
    pub(super) fn of_entry(name: ObjectName, entry: &ObjectEntry) -> Self {
        Self { name, digest: entry.digest, size: entry.size, recorded: entry.retain_until.0.0 }
    }
}

/// How an object was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// As committed, with this end of its lock in µs.
    Sound { retain_until: Option<u64> },
    /// Not there.
    Missing,
    /// With other bytes, described.
    Damaged { found: String },
}

/// What reading an object in one store has shown.
#[derive(Debug)]
struct Looked {
    side: Side,
    state: Found,
    bytes: u64,
}

/// Objects that are read at the same time.
const OBJECTS_AT_ONCE: usize = 8;

/// Bytes that are read at the same time from each store, unless a single object is larger.
const BYTES_AT_ONCE: u64 = 16 * 1024 * 1024;

/// Returns how many of the next objects are read at the same time; at least one.
fn group_len(wanted: &[Wanted]) -> usize {
    let mut bytes = 0;
    let fits = |wanted: &&Wanted| {
        bytes += wanted.size;
        bytes <= BYTES_AT_ONCE
    };
    wanted.iter().take(OBJECTS_AT_ONCE).take_while(fits).count().max(1)
}

impl Scrubber {
    /// Looks at an object in both stores, repairs what can be repaired, and takes note.
    pub(super) async fn object(
        &self,
        going: &mut Going,
        wanted: &Wanted,
        with_replica: bool,
    ) -> Result<(), ReplicaError> {
        let looked = self.look(wanted, with_replica).await?;
        self.settle(going, wanted, looked).await
    }

    /// Looks at several objects at a time, then repairs and takes note of each in its order.
    pub(super) async fn objects(
        &self,
        going: &mut Going,
        wanted: &[Wanted],
        with_replica: bool,
    ) -> Result<(), ReplicaError> {
        let mut rest = wanted;
        while !rest.is_empty() {
            let (group, later) = rest.split_at(group_len(rest));
            let looked = try_join_all(group.iter().map(|wanted| self.look(wanted, with_replica))).await?;
            for (wanted, looked) in group.iter().zip(looked) {
                self.settle(going, wanted, looked).await?;
            }
            rest = later;
        }
        Ok(())
    }

    /// Reads an object in both stores.
    async fn look(&self, wanted: &Wanted, with_replica: bool) -> Result<Vec<Looked>, ReplicaError> {
        let sides = self.sides().filter(|side| *side == Side::Primary || with_replica);
        let reads = sides.map(|side| async move {
            let place = self.place(side).expect("only stores that are there are looked at");
            let (state, bytes) = examine(place, wanted).await?;
            Ok(Looked { side, state, bytes })
        });
        try_join_all(reads).await
    }

    async fn settle(
        &self,
        going: &mut Going,
        wanted: &Wanted,
        looked: Vec<Looked>,
    ) -> Result<(), ReplicaError> {
        let mut found = Vec::with_capacity(2);
        for Looked { side, state, bytes } in looked {
            going.tally(side).bytes += bytes;
            going.step.bytes += bytes;
            found.push((side, state));
        }
        for (side, state) in &found {
            let is_good_elsewhere =
                found.iter().any(|(other, state)| other != side && matches!(state, Found::Sound { .. }));
            match state {
                Found::Sound { retain_until } => self.sound(going, *side, wanted, *retain_until).await?,
                // A lock that has ended leaves room for a disposal; the orders behind this will tell.
                Found::Missing if wanted.recorded <= self.clock.now_micros() => {
                    going.pass.absent.push(Absent {
                        object: wanted.name.to_string(),
                        store: side.as_str().to_owned(),
                        digest: wanted.digest.to_string(),
                    });
                }
                Found::Missing => self.missing(going, *side, wanted, is_good_elsewhere).await?,
                Found::Damaged { found } => {
                    self.damaged(going, *side, wanted, found, is_good_elsewhere).await?;
                }
            }
        }
        Ok(())
    }

    async fn sound(
        &self,
        going: &mut Going,
        side: Side,
        wanted: &Wanted,
        retain_until: Option<u64>,
    ) -> Result<(), ReplicaError> {
        going.tally(side).objects += 1;
        going.tally(side).sound += 1;
        let is_locked = retain_until.is_some_and(|until| until >= wanted.recorded);
        if is_locked || wanted.recorded <= self.clock.now_micros() {
            return Ok(());
        }
        match self.extend(side, wanted).await? {
            Ok(()) => going.step.repaired.push(wanted.repair(side, side, "unlocked")),
            Err(reason) => {
                let detail = format!("the lock is shorter than recorded: {reason}");
                going.tally(side).unlocked(wanted.problem(detail, None));
            }
        }
        Ok(())
    }

    async fn missing(
        &self,
        going: &mut Going,
        side: Side,
        wanted: &Wanted,
        is_good_elsewhere: bool,
    ) -> Result<(), ReplicaError> {
        going.tally(side).objects += 1;
        let good = is_good_elsewhere.then(|| side.other());
        match self.create(side, wanted, good).await? {
            Ok(from) => {
                going.tally(side).sound += 1;
                going.step.repaired.push(wanted.repair(side, from, "missing"));
            }
            Err(reason) => going.tally(side).missing(wanted.problem(reason, good)),
        }
        Ok(())
    }

    async fn damaged(
        &self,
        going: &mut Going,
        side: Side,
        wanted: &Wanted,
        found: &str,
        is_good_elsewhere: bool,
    ) -> Result<(), ReplicaError> {
        going.tally(side).objects += 1;
        let good = is_good_elsewhere.then(|| side.other());
        match self.replace(side, wanted, good).await? {
            Ok(from) => {
                going.tally(side).sound += 1;
                going.step.repaired.push(wanted.repair(side, from, "damaged"));
            }
            Err(reason) => {
                going.tally(side).damaged(wanted.problem(format!("found {found}: {reason}"), good));
            }
        }
        Ok(())
    }

    /// Decides about what is gone and was never ordered to go.
    pub(super) async fn settle_absent(
        &self,
        going: &mut Going,
        absent: &[Absent],
    ) -> Result<(), ReplicaError> {
        for gone in absent {
            let (Ok(name), Ok(digest)) = (ObjectName::parse(&gone.object), gone.digest.parse()) else {
                continue;
            };
            let side = gone.side();
            // Its lock has ended, so there is none to give it.
            let wanted = Wanted { name, digest, size: 0, recorded: 0 };
            let elsewhere = match self.place(side.other()) {
                Some(place) => place.get(&wanted.name).await?,
                None => None,
            };
            let is_good = elsewhere.is_some_and(|bytes| ObjectDigest::of(&bytes) == digest);
            self.missing(going, side, &wanted, is_good).await?;
        }
        Ok(())
    }
}

impl Wanted {
    fn problem(&self, detail: String, good: Option<Side>) -> Problem {
        let good_copy = good.map(|side| side.as_str().to_owned());
        Problem { object: self.name.to_string(), detail, good_copy }
    }

    fn repair(&self, store: Side, from: Side, was: &str) -> Repair {
        Repair {
            object: self.name.to_string(),
            store: store.as_str().to_owned(),
            from: from.as_str().to_owned(),
            was: was.to_owned(),
            digest: self.digest.to_string(),
        }
    }
}

/// Reads an object whole and returns how it is, and how many bytes that took.
async fn examine(place: &Place, wanted: &Wanted) -> Result<(Found, u64), ReplicaError> {
    let Some(meta) = place.head(&wanted.name).await? else { return Ok((Found::Missing, 0)) };
    if meta.size != wanted.size {
        // Not read: somebody may have put anything there.
        return Ok((Found::Damaged { found: format!("{} bytes instead of {}", meta.size, wanted.size) }, 0));
    }
    let Some(bytes) = place.get_as(&wanted.name, wanted.digest).await? else {
        return Ok((Found::Missing, 0));
    };
    let read = bytes.len() as u64;
    if ObjectDigest::of(&bytes) == wanted.digest {
        return Ok((Found::Sound { retain_until: meta.lock.retain_until }, read));
    }
    Ok((Found::Damaged { found: describe(&bytes) }, read))
}
