//! The flush probe: how long the disk takes, at this moment, to make a small new file durable, and to make a
//! change in an old one durable. The first waits for the journal of the file system, which is what a store of
//! new files pays; databases write to logs that are already there and pay the second.
//!
//! Disks of shared machines drift by an order of magnitude; a figure without its probe means nothing.

use std::fs::{self, File};
use std::io::{Seek, Write};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use serde::Serialize;

use super::{histogram::Histogram, millis, now};

const FLUSHES: usize = 60;
const FILE_BYTES: usize = 4096;
/// A slow disk gets fewer flushes.
const PROBE_MAX: Duration = Duration::from_secs(1);

/// What the probe found, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) struct Flush {
    /// The median of creating, writing and flushing a file.
    pub(super) p50_ms: f64,
    /// The slowest of them.
    pub(super) max_ms: f64,
    /// The median of writing over a file and flushing it.
    pub(super) in_place_p50_ms: f64,
}

/// Where the files of all probes stay below the working directory. Some file systems take much longer to create
/// a file for minutes after others were deleted, so nothing is deleted before the end.
pub(super) const PLACE: &str = "probes";

/// Creates, writes and flushes small files below `dir`, one after the other.
///
/// # Errors
///
/// Fails when `dir` cannot be written.
pub(super) fn flush(dir: &Path) -> Result<Flush> {
    let dir = dir.join(PLACE);
    fs::create_dir_all(&dir)?;
    let first = fs::read_dir(&dir)?.count();
    let path = |position: usize| dir.join((first + position).to_string());
    let created = repeat(|position| {
        let path = path(position);
        let file = File::create_new(&path);
        write(&mut file.with_context(|| format!("cannot create `{}`", path.display()))?)
    })?;
    let mut file = File::options().write(true).open(path(0))?;
    let changed = repeat(|_| {
        file.rewind()?;
        write(&mut file)
    })?;
    Ok(Flush {
        p50_ms: millis(created.quantile(0.5)),
        max_ms: millis(created.max()),
        in_place_p50_ms: millis(changed.quantile(0.5)),
    })
}

fn write(file: &mut File) -> Result<()> {
    file.write_all(&[7; FILE_BYTES])?;
    Ok(file.sync_data()?)
}

/// Times a flush again and again.
fn repeat(mut flush: impl FnMut(usize) -> Result<()>) -> Result<Histogram> {
    let mut latency = Histogram::new();
    let begun = now();
    for position in 0..FLUSHES {
        let started = now();
        flush(position)?;
        latency.record(started.elapsed());
        if begun.elapsed() > PROBE_MAX {
            break;
        }
    }
    Ok(latency)
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests may unwrap")]
mod tests {
    use super::flush;

    #[test]
    fn probe_can_be_repeated() {
        let dir = tempfile::tempdir().unwrap();
        for _ in 0..2 {
            let found = flush(dir.path()).unwrap();
            assert!(found.p50_ms > 0.0 && found.p50_ms <= found.max_ms && found.in_place_p50_ms > 0.0);
        }
    }
}
