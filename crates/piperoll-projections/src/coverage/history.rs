//! The history synchronisation: pieces that did not come.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::query::Missing;
use super::{Cause, DAY};
use crate::fact::Fact;

/// How long pieces may take to arrive before their absence is a gap.
const GRACE: i64 = DAY;

/// The last percent of a synchronisation.
const DONE: i64 = 100;

/// What arrived of the history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Piece {
    /// A piece, by its position.
    Chunk { phase: i64, order: i64, progress: i64 },
    /// The business declined to share it.
    Declined,
    /// An attachment that is to follow.
    Placeholder { id: String },
    /// One that followed.
    Followed { id: String },
}

/// Tells what is missing of the history, by the pieces that came, oldest first.
pub(super) fn missing(pieces: &[Fact<Piece>], now: i64) -> Vec<Missing> {
    let mut found = Vec::new();
    let at = |cause, fact: &Fact<Piece>, count, detail| Missing {
        cause,
        from: fact.at,
        to: fact.at,
        count,
        evidence: vec![fact.seq],
        detail,
    };
    if let Some(declined) = pieces.iter().rev().find(|piece| piece.value == Piece::Declined) {
        found.push(at(Cause::HistoryDeclined, declined, 1, None));
    }
    let chunks: Vec<_> = pieces.iter().filter(|piece| matches!(piece.value, Piece::Chunk { .. })).collect();
    if let (Some(first), Some(last)) = (chunks.first(), chunks.last())
        && now - last.at > GRACE
    {
        let absent = absent(&chunks);
        let progress = chunks.iter().map(|piece| position(piece).2).max().unwrap_or(0);
        if !absent.is_empty() || progress < DONE {
            let mut detail = vec![format!("it reached {progress} percent")];
            detail.extend(
                absent
                    .iter()
                    .take(5)
                    .map(|(phase, order)| format!("piece {order} of phase {phase} did not come")),
            );
            let count = absent.len().max(1) as u64;
            found.push(Missing {
                from: first.at,
                evidence: vec![first.seq, last.seq],
                ..at(Cause::HistoryIncomplete, last, count, Some(detail.join("; ")))
            });
        }
    }
    found.extend(media(pieces, now));
    found
}

fn position(piece: &Fact<Piece>) -> (i64, i64, i64) {
    match piece.value {
        Piece::Chunk { phase, order, progress } => (phase, order, progress),
        _ => (0, 0, 0),
    }
}

/// Returns the positions below the last one of each phase that did not come. They are counted from 0 or from 1.
fn absent(chunks: &[&Fact<Piece>]) -> Vec<(i64, i64)> {
    const LISTED_MAX: usize = 1_000;
    let mut phases: BTreeMap<i64, BTreeSet<i64>> = BTreeMap::new();
    for piece in chunks {
        let (phase, order, _) = position(piece);
        phases.entry(phase).or_default().insert(order);
    }
    let absent = phases.iter().flat_map(|(phase, orders)| {
        let last = orders.last().copied().unwrap_or(0).min(100_000);
        (1..last).filter(|order| !orders.contains(order)).map(|order| (*phase, order))
    });
    absent.take(LISTED_MAX).collect()
}

/// Attachments that were announced and never followed.
fn media(pieces: &[Fact<Piece>], now: i64) -> Option<Missing> {
    let followed: BTreeSet<&str> = pieces.iter().filter_map(|piece| followed(&piece.value)).collect();
    let open: Vec<&Fact<Piece>> = pieces
        .iter()
        .filter(|piece| now - piece.at > GRACE)
        .filter(|piece| matches!(&piece.value, Piece::Placeholder { id } if !followed.contains(id.as_str())))
        .collect();
    let (first, last) = (open.first()?, open.last()?);
    Some(Missing {
        cause: Cause::HistoryMedia,
        from: first.at,
        to: last.at,
        count: open.len() as u64,
        evidence: open.iter().take(super::query::EVIDENCE_MAX).map(|piece| piece.seq).collect(),
        detail: None,
    })
}

fn followed(piece: &Piece) -> Option<&str> {
    match piece {
        Piece::Followed { id } => Some(id),
        _ => None,
    }
}
