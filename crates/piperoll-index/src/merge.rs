//! Which tantivy segments to merge next.
//!
//! Only neighbours in `seq` order are merged, oldest first, so that documents stay in `seq` order inside every
//! segment. Sizes grow by tiers as in a log-structured tree: each document is rewritten a few times in its life.

use tantivy::index::SegmentId;

/// A tantivy segment as the plan sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Extent {
    pub(crate) id: SegmentId,
    pub(crate) first_seq: u64,
    pub(crate) docs: u32,
}

/// How many neighbours of one tier become one segment.
const FAN_IN: usize = 8;
/// Segments up to this size are in the lowest tier.
const LOWEST_TIER_DOCS: u64 = 4_096;
/// A segment is not merged into a larger one than this; bounds the time, the disk space and the memory that a merge
/// takes: it reads mapped files, about 110 bytes a document.
const MERGED_DOCS_MAX: u64 = 1_000_000;

/// Returns the segments to merge, in order; empty if there is nothing worth merging.
pub(crate) fn plan(extents: &mut [Extent]) -> Vec<SegmentId> {
    extents.sort_unstable_by_key(|extent| extent.first_seq);
    let highest = extents.iter().map(tier).max().unwrap_or(0);
    for limit in 0..=highest {
        // The longest run of neighbours, within the newest part, that are all in this tier or below.
        let start = extents.iter().rposition(|extent| tier(extent) > limit).map_or(0, |at| at + 1);
        let run = &extents[start..];
        let docs: u64 = run.iter().map(|extent| u64::from(extent.docs)).sum();
        // Above the lowest tier a merge must lead into the next one, or a large neighbour is rewritten for little.
        let is_worthwhile = limit == 0 || docs > tier_docs_max(limit);
        if run.len() >= FAN_IN && is_worthwhile && docs <= MERGED_DOCS_MAX {
            return run.iter().map(|extent| extent.id).collect();
        }
    }
    Vec::new()
}

fn tier(extent: &Extent) -> u32 {
    (0..).find(|tier| u64::from(extent.docs) <= tier_docs_max(*tier)).unwrap_or(0)
}

/// Saturates far above any segment, so every segment has a tier.
const fn tier_docs_max(tier: u32) -> u64 {
    LOWEST_TIER_DOCS.saturating_mul((FAN_IN as u64).saturating_pow(tier))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn extents(docs: &[u32]) -> Vec<Extent> {
        let mut first_seq = 0;
        docs.iter()
            .map(|docs| {
                let extent = Extent { id: SegmentId::generate_random(), first_seq, docs: *docs };
                first_seq += u64::from(*docs);
                extent
            })
            .collect()
    }

    #[test]
    fn seven_small_segments_stay() {
        assert!(plan(&mut extents(&[10; 7])).is_empty());
    }

    #[test]
    fn eight_small_neighbours_merge_in_seq_order() {
        let mut segments = extents(&[100_000, 10, 20, 30, 40, 50, 60, 70, 80]);
        let expected: Vec<SegmentId> = segments[1..].iter().map(|extent| extent.id).collect();
        segments.reverse();
        assert_eq!(plan(&mut segments), expected);
    }

    #[test]
    fn a_large_segment_between_small_ones_is_not_jumped_over() {
        assert!(plan(&mut extents(&[10, 10, 10, 10, 100_000, 10, 10, 10, 10])).is_empty());
    }

    #[test]
    fn middle_tiers_merge_together_with_the_small_ones_after_them() {
        let mut docs = vec![30_000; 7];
        docs.push(5);
        assert_eq!(plan(&mut extents(&docs)).len(), 8);
    }

    #[test]
    fn merged_segments_have_a_greatest_size() {
        assert!(plan(&mut extents(&[900_000; 8])).is_empty());
    }

    #[test]
    fn a_long_history_of_commits_leaves_few_segments() {
        let mut segments: Vec<Extent> = Vec::new();
        let mut rewritten = 0_u64;
        for commit in 0..2_000_u64 {
            segments.push(Extent {
                id: SegmentId::generate_random(),
                first_seq: commit * 1_000,
                docs: 1_000,
            });
            let ids = plan(&mut segments);
            if ids.is_empty() {
                continue;
            }
            let docs =
                segments.iter().filter(|extent| ids.contains(&extent.id)).map(|extent| extent.docs).sum();
            let first_seq =
                segments.iter().find(|extent| extent.id == ids[0]).map_or(0, |extent| extent.first_seq);
            rewritten += u64::from(docs);
            segments.retain(|extent| !ids.contains(&extent.id));
            segments.push(Extent { id: SegmentId::generate_random(), first_seq, docs });
        }
        assert!(segments.len() <= 30, "found {} segments", segments.len());
        assert!(rewritten <= 2_000_000 * 5, "rewrote {rewritten} documents");
    }
}
