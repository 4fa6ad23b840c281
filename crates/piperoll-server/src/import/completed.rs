//! The record of an earlier import of the same batch.

use piperoll_engine::Receipt;
use piperoll_format::Seq;
use piperoll_index::Query;
use serde::Deserialize;

use crate::archive::Archive;
use crate::error::ApiError;

/// Records read at a time.
const PAGE: usize = 200;

/// Records that are looked at; beyond them a batch can be recorded a second time.
const RECORDS_MAX: usize = 100_000;

#[derive(Deserialize)]
struct Batch {
    batch: String,
}

/// Finds the record of a batch.
///
/// # Errors
/// Those of reading.
pub(super) async fn find(archive: &Archive, batch: &str) -> Result<Option<Receipt>, ApiError> {
    let query = Query::parse("kind:import.completed", archive.time_zone)?;
    let (mut below, mut count) = (None, 0);
    while count < RECORDS_MAX {
        let (hits, _) = archive.find_up_to(query.clone(), PAGE, below).await?;
        let seqs: Vec<Seq> = hits.hits.iter().map(|hit| Seq(hit.seq)).collect();
        for read in archive.reader.payload_many(&seqs).await {
            let read = read?;
            let document = read.payload.as_ref().ok().and_then(|opened| opened.payload.parts.first());
            let found = document.and_then(|document| serde_json::from_slice::<Batch>(document).ok());
            if found.is_some_and(|found| found.batch == batch) {
                let (ledger, seq) = (archive.ledger(), read.event.seq());
                return Ok(Some(Receipt { ledger, seq, event_hash: read.event.leaf_hash(), repeated: true }));
            }
        }
        count += seqs.len();
        match seqs.last() {
            Some(last) if seqs.len() == PAGE => below = Some(last.0),
            _ => break,
        }
    }
    Ok(None)
}
