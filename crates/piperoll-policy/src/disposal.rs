//! The plan of a disposal: which buckets go now, and why each other one stays.
//!
//! The unit of disposal is the whole bucket: its packs share the subject keys in its key objects, so taking one
//! object while another is still locked could make kept evidence unreadable. A bucket therefore waits for the
//! latest lock among its objects. Locks are taken as the store recorded them: a policy that got shorter since does
//! not count.

use std::collections::BTreeMap;
use std::fmt;

use piperoll_format::{Bucket, Class, RetainUntil, Timestamp};

use crate::error::LabelError;
use crate::set::PolicySet;

/// A bucket as it is in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredBucket {
    /// The class and period.
    pub bucket: Bucket,
    /// Its packs, media and key objects.
    pub objects: Vec<StoredObject>,
}

/// An object of a bucket, with the lock that the store reports for it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct StoredObject {
    /// The object's full name.
    pub key: String,
    /// Its stored size in bytes.
    pub size: u64,
    /// The end of its lock.
    pub retain_until: RetainUntil,
}

/// What a disposal would do now. Nothing happened yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DisposalPlan {
    /// The moment for which the plan was made.
    pub now: Timestamp,
    /// The buckets that are due, by class and period.
    pub entries: Vec<DisposalEntry>,
    /// The buckets that stay, by class and period.
    pub skipped: Vec<SkippedBucket>,
}

/// A bucket that is due and no longer locked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DisposalEntry {
    /// The class and period.
    pub bucket: Bucket,
    /// The policy that sets the date: the class's own, or one that extends it.
    pub policy: Class,
    /// That policy's version.
    pub version: u32,
    /// Since when the bucket is due.
    pub due_since: Timestamp,
    /// The reason in words, to be recorded with the disposal.
    pub reason: String,
    /// Every object of the bucket, by key.
    pub objects: Vec<StoredObject>,
}

/// A bucket that stays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SkippedBucket {
    /// The class and period.
    pub bucket: Bucket,
    /// Why it stays.
    pub reason: SkipReason,
    /// When it can go, as far as policies and locks tell today; nothing if they do not.
    pub due_at: Option<Timestamp>,
}

/// Why a bucket stays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SkipReason {
    /// Its time has not come.
    NotDue {
        /// The policy that sets the date.
        policy: Class,
    },
    /// It is due, but the store still locks objects of it.
    Locked {
        /// How many of its objects are locked.
        locked: usize,
        /// How many objects it has.
        objects: usize,
        /// The object with the latest lock.
        key: String,
        /// The end of that lock.
        until: RetainUntil,
    },
    /// No policy of the set is about its class.
    NoPolicy,
    /// The label is none, so its time is unknown.
    BadLabel(LabelError),
    /// It has no objects.
    Empty,
}

/// Plans the disposal of stored buckets at `now`.
///
/// A bucket is listed when its `dispose_after` has passed and every lock on its objects ended before `now`. Buckets
/// that come more than once are taken together.
#[must_use]
pub fn plan_disposal(
    buckets: impl IntoIterator<Item = StoredBucket>,
    set: &PolicySet,
    now: Timestamp,
) -> DisposalPlan {
    let mut merged: BTreeMap<Bucket, Vec<StoredObject>> = BTreeMap::new();
    for stored in buckets {
        merged.entry(stored.bucket).or_default().extend(stored.objects);
    }
    let mut plan = DisposalPlan { now, entries: Vec::new(), skipped: Vec::new() };
    for (bucket, mut objects) in merged {
        objects.sort();
        objects.dedup();
        match judge(set, now, &bucket, &objects) {
            Ok(Due { policy, version, since, reason }) => plan.entries.push(DisposalEntry {
                bucket,
                policy,
                version,
                due_since: since,
                reason,
                objects,
            }),
            Err((reason, due_at)) => plan.skipped.push(SkippedBucket { bucket, reason, due_at }),
        }
    }
    plan
}

/// A judgement that a bucket goes.
struct Due {
    policy: Class,
    version: u32,
    since: Timestamp,
    reason: String,
}

fn judge(
    set: &PolicySet,
    now: Timestamp,
    bucket: &Bucket,
    objects: &[StoredObject],
) -> Result<Due, (SkipReason, Option<Timestamp>)> {
    let dispose_at = set.dispose_at(bucket).map_err(|error| (SkipReason::BadLabel(error), None))?;
    let Some((since, policy)) = dispose_at else { return Err((SkipReason::NoPolicy, None)) };
    let Some(last) = objects.iter().max_by_key(|object| object.retain_until) else {
        return Err((SkipReason::Empty, None));
    };
    let due_at = Some(since.max(last.retain_until.0));
    if now < since {
        return Err((SkipReason::NotDue { policy: policy.id().clone() }, due_at));
    }
    // "Until" is read as including the moment itself, so that a plan is never earlier than the store.
    let locked = objects.iter().filter(|object| object.retain_until.0 >= now).count();
    if locked > 0 {
        let (key, until) = (last.key.clone(), last.retain_until);
        return Err((SkipReason::Locked { locked, objects: objects.len(), key, until }, due_at));
    }
    let reason = format!(
        "policy `{}` version {} disposes {} after the end of the bucket; the last lock ended {}",
        policy.id(),
        policy.version(),
        policy.dispose_after(),
        last.retain_until
    );
    Ok(Due { policy: policy.id().clone(), version: policy.version(), since, reason })
}

impl DisposalPlan {
    /// Returns how many objects would go.
    #[must_use]
    pub fn object_count(&self) -> usize {
        self.entries.iter().map(|entry| entry.objects.len()).sum()
    }

    /// Returns how many bytes would go.
    #[must_use]
    pub fn byte_count(&self) -> u64 {
        self.entries.iter().flat_map(|entry| &entry.objects).map(|object| object.size).sum()
    }
}

impl fmt::Display for DisposalPlan {
    /// Writes the plan for people, one line per bucket and object.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (buckets, objects, bytes) = (self.entries.len(), self.object_count(), self.byte_count());
        writeln!(f, "disposal plan of {}: {buckets} buckets, {objects} objects, {bytes} bytes go", self.now)?;
        for entry in &self.entries {
            writeln!(f, "go   {} due since {}: {}", entry.bucket, entry.due_since, entry.reason)?;
            for object in &entry.objects {
                writeln!(f, "       {} ({} bytes)", object.key, object.size)?;
            }
        }
        for skipped in &self.skipped {
            write!(f, "stay {}: {}", skipped.bucket, skipped.reason)?;
            match skipped.due_at {
                Some(due_at) => writeln!(f, "; can go after {due_at}")?,
                None => writeln!(f)?,
            }
        }
        Ok(())
    }
}

impl fmt::Display for SkipReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotDue { policy } => write!(f, "not due by policy `{policy}`"),
            Self::Locked { locked, objects, key, until } => write!(
                f,
                "due, but {locked} of its {objects} objects are still locked, `{key}` longest, until {until}"
            ),
            Self::NoPolicy => {
                f.write_str("no policy is about its class, and nothing is disposed of without one")
            }
            Self::BadLabel(error) => error.fmt(f),
            Self::Empty => f.write_str("it has no objects"),
        }
    }
}
