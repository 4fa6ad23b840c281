//! What a change of the policy set means, for the record of it and for the person who makes it.

use std::cmp::Ordering;
use std::fmt;

use piperoll_format::Class;

use crate::bucket::BucketPeriod;
use crate::period::Period;
use crate::policy::Policy;
use crate::set::PolicySet;

/// One difference between two versions of a policy set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The policy that differs.
    pub policy: Class,
    /// How it differs.
    pub kind: ChangeKind,
}

/// How a policy differs from what it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    /// It is new.
    Added {
        /// Its minimum.
        keep: Period,
        /// Its maximum.
        dispose_after: Period,
    },
    /// It is gone; existing buckets of its class have no date for disposal unless another policy extends it.
    Removed,
    /// The minimum is longer.
    KeepLonger {
        /// What it was.
        from: Period,
        /// What it is.
        to: Period,
    },
    /// The minimum is shorter on some date.
    KeepShorter {
        /// What it was.
        from: Period,
        /// What it is.
        to: Period,
    },
    /// The maximum is later.
    DisposeLater {
        /// What it was.
        from: Period,
        /// What it is.
        to: Period,
    },
    /// The maximum is earlier on some date.
    DisposeEarlier {
        /// What it was.
        from: Period,
        /// What it is.
        to: Period,
    },
    /// Buckets last longer or shorter.
    Bucket {
        /// What they were.
        from: BucketPeriod,
        /// What they are.
        to: BucketPeriod,
    },
    /// It extends other classes than before.
    Extends,
    /// Its match rules are different.
    Matches,
    /// Title, legal basis, summary or the unit of a period is different, which changes no decision.
    Wording,
    /// Something is different, but the version number is not higher.
    VersionNotRaised {
        /// What it was.
        from: u32,
        /// What it is.
        to: u32,
    },
}

/// Compares the policies that an archive ran with (as their canonical texts were recorded) with a new set.
///
/// The list is sorted by policy id; it is empty when nothing changed. No change shortens a lock that exists.
#[must_use]
pub fn compare(old: &[Policy], new: &PolicySet) -> Vec<Change> {
    let mut ids: Vec<&Class> = old.iter().chain(new.policies()).map(Policy::id).collect();
    ids.sort();
    ids.dedup();
    let changes = ids.into_iter().flat_map(|id| {
        let before = old.iter().find(|policy| policy.id() == id);
        let kinds = match (before, new.policy(id)) {
            (Some(before), Some(after)) => differences(before, after),
            (None, Some(after)) => {
                vec![ChangeKind::Added { keep: after.keep(), dispose_after: after.dispose_after() }]
            }
            (_, None) => vec![ChangeKind::Removed],
        };
        kinds.into_iter().map(|kind| Change { policy: id.clone(), kind })
    });
    changes.collect()
}

fn differences(old: &Policy, new: &Policy) -> Vec<ChangeKind> {
    let mut kinds = Vec::new();
    let (from, to) = (old.keep, new.keep);
    match length_change(from, to) {
        Some(Ordering::Less) => kinds.push(ChangeKind::KeepShorter { from, to }),
        Some(_) => kinds.push(ChangeKind::KeepLonger { from, to }),
        None => {}
    }
    let (from, to) = (old.dispose_after, new.dispose_after);
    match length_change(from, to) {
        Some(Ordering::Less) => kinds.push(ChangeKind::DisposeEarlier { from, to }),
        Some(_) => kinds.push(ChangeKind::DisposeLater { from, to }),
        None => {}
    }
    if old.bucket != new.bucket {
        kinds.push(ChangeKind::Bucket { from: old.bucket, to: new.bucket });
    }
    if old.extends != new.extends {
        kinds.push(ChangeKind::Extends);
    }
    if old.rules != new.rules {
        kinds.push(ChangeKind::Matches);
    }
    if kinds.is_empty() && !same_text(old, new) {
        kinds.push(ChangeKind::Wording);
    }
    let raised = if kinds.is_empty() { new.version >= old.version } else { new.version > old.version };
    if !raised {
        kinds.push(ChangeKind::VersionNotRaised { from: old.version, to: new.version });
    }
    kinds
}

fn same_text(old: &Policy, new: &Policy) -> bool {
    let as_old_version = Policy { version: old.version, ..new.clone() };
    as_old_version.canonical() == old.canonical()
}

/// Nothing when both are the same time; `Less` when the new one is shorter on some date.
fn length_change(from: Period, to: Period) -> Option<Ordering> {
    let order = if to.covers(from) { to.cmp_length(from) } else { Ordering::Less };
    order.is_ne().then_some(order)
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "policy `{}`: {}", self.policy, self.kind)
    }
}

impl fmt::Display for ChangeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Added { keep, dispose_after } => {
                write!(
                    f,
                    "added, keep {keep}, dispose after {dispose_after}; holds for what is recorded from now on"
                )
            }
            Self::Removed => f.write_str(
                "removed; its buckets are no longer due for disposal unless another policy extends its class",
            ),
            Self::KeepLonger { from, to } => write!(f, "keep is longer: {from} is now {to}"),
            Self::KeepShorter { from, to } => {
                write!(f, "keep is shorter: {from} is now {to}; locks that exist stay as they are")
            }
            Self::DisposeLater { from, to } => {
                write!(f, "disposal is later: {from} is now {to}, for existing buckets too")
            }
            Self::DisposeEarlier { from, to } => {
                write!(f, "disposal is earlier: {from} is now {to}; locks that exist stay as they are")
            }
            Self::Bucket { from, to } => write!(f, "buckets by {from} are now by {to}"),
            Self::Extends => f.write_str("extends other classes than before"),
            Self::Matches => f.write_str("matches other events than before"),
            Self::Wording => f.write_str("worded differently, without an effect"),
            Self::VersionNotRaised { from, to } => {
                write!(f, "changed, but version {from} was followed by version {to}; expected a higher one")
            }
        }
    }
}
