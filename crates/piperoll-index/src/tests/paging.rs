//! Newest first, counted, in pages that do not move.

use chrono_tz::Tz;

use super::{Fixture, document, seqs};
use crate::{Page, Query};

#[test]
fn pages_join_to_the_whole_result_over_many_files_and_later_commits() {
    let mut fixture = Fixture::new();
    for commit in 0..30_u64 {
        let range = commit * 7..commit * 7 + 7;
        fixture.add(range.map(|seq| document(seq * 3, if seq % 2 == 0 { "even" } else { "odd" })));
    }
    fixture.writer.finish_merge();
    let query = Query::parse("even", Tz::UTC).unwrap();
    let expected: Vec<u64> = (0..210).rev().filter(|seq| seq % 2 == 0).map(|seq| seq * 3).collect();
    let mut found = Vec::new();
    let mut page = Page::newest(8);
    loop {
        let hits = fixture.index.search(&query, page).unwrap();
        let Some(last) = hits.hits.last() else { break };
        assert_eq!(hits.total, 105 + found.len() as u64 / 8);
        page.before_seq = Some(last.seq);
        found.extend(seqs(&hits));
        let next = fixture.writer.cursor().unwrap();
        fixture.add([document(next, "even"), document(next + 1, "odd")]);
    }
    assert_eq!(found, expected);
}

#[test]
fn commits_do_not_wait_for_a_merge_that_is_under_way() {
    let mut fixture = Fixture::new();
    let text = "alpha beta gamma delta ".repeat(50);
    for commit in 0..40_u64 {
        fixture.add((commit * 50..commit * 50 + 50).map(|seq| document(seq, &text)));
    }
    fixture.writer.finish_merge();
    fixture.writer.commit(2_001).unwrap();
    fixture.writer.merge().unwrap();
    assert_eq!(fixture.find("\"gamma delta\"").len(), 1_000);
    assert_eq!(fixture.index.len(), 2_000);
}

#[test]
fn a_page_deep_in_a_large_result_is_exact() {
    let mut fixture = Fixture::new();
    fixture.add((0..20_000).map(|seq| document(seq, "common")));
    let query = Query::parse("common", Tz::UTC).unwrap();
    let hits = fixture.index.search(&query, Page { limit: 3, before_seq: Some(7_001) }).unwrap();
    assert_eq!((seqs(&hits), hits.total, hits.complete_to), (vec![7_000, 6_999, 6_998], 20_000, 20_000));
    assert_eq!(fixture.index.search(&query, Page { limit: 0, before_seq: None }).unwrap().total, 20_000);
    let none = fixture.index.search(&query, Page { limit: 3, before_seq: Some(0) }).unwrap();
    assert!(none.hits.is_empty());
}
