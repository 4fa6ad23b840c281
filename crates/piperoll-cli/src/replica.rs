//! The second copy: from settings to its store, to the care for both, and to serving from it alone.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use piperoll_engine::{Engine, LocalEnd, local_end};
use piperoll_format::{Kind, LedgerId, SegmentNo, Seq, Submission, SubmissionGroup};
use piperoll_index::{Options, SearchIndex};
use piperoll_replica::{FollowSettings, Stores};
use piperoll_server::Care;
use piperoll_store::{Clock as _, SystemClock, WormStore};
use piperoll_tlog::checkpoint::Checkpoint;
use piperoll_tlog::frontier::Frontier;
use piperoll_tlog::hash::{NodeHash, leaf_hash};
use piperoll_verify::LedgerReader;
use piperoll_verify::remember::Remembered;
use serde::Serialize;

use crate::config::{Replica, Settings};
use crate::directory::ArchiveDirectory;
use crate::error::{Exit, Failure};
use crate::store::StorePlace;
use crate::text::{count, counted};

/// How long an event may wait for its copy before that is recorded.
const BEHIND_AFTER: Duration = Duration::from_secs(300);

/// How long a pass over all objects takes where there is a second copy.
const SCRUB_DAYS: u32 = 30;

/// Seconds of a day.
const DAY: u64 = 24 * 3_600;

/// Returns where the second copy is, if the settings name a place.
pub(crate) fn place(directory: &ArchiveDirectory, settings: &Settings) -> Option<StorePlace> {
    settings.replica.url.is_some().then(|| StorePlace::new(directory, &settings.replica.store()))
}

/// Returns where the second copy is.
pub(crate) fn required_place(
    directory: &ArchiveDirectory,
    settings: &Settings,
) -> anyhow::Result<StorePlace> {
    let missing = || {
        Failure::new(Exit::Usage, "no replica is configured")
            .hint("set `url` in the section `[replica]` of piperoll.toml, or PIPEROLL_REPLICA_URL")
    };
    Ok(place(directory, settings).ok_or_else(missing)?)
}

/// Opens the store of the second copy, making its directory if that is missing.
pub(crate) fn open(place: &StorePlace) -> anyhow::Result<Arc<dyn WormStore>> {
    let is_new = place.local().is_some_and(|path| !path.exists());
    if is_new { place.init() } else { place.open() }.context("the replica cannot be opened")
}

/// Says how the stores of an archive are looked after. A replica that cannot be opened is none for this process: the
/// record goes on without it, and `doctor` says so.
pub(crate) fn care(
    directory: &ArchiveDirectory,
    settings: &Settings,
    (primary, ledger): (Arc<dyn WormStore>, LedgerId),
) -> Care {
    let replica = place(directory, settings).and_then(|place| {
        let opened = open(&place);
        opened.inspect_err(|error| tracing::error!("{error:#}; events are not copied")).ok()
    });
    let default_days = if replica.is_some() { SCRUB_DAYS } else { 0 };
    let days = settings.scrub.over_days.unwrap_or(default_days);
    Care {
        stores: Stores { ledger, primary, replica, clock: Arc::new(SystemClock) },
        follow: follow_settings(settings),
        behind_after: settings.replica.behind_after_seconds.map_or(BEHIND_AFTER, Duration::from_secs),
        scrub_over: (days > 0).then(|| Duration::from_secs(u64::from(days) * DAY)),
        scrub_state: directory.state().join("scrub.json"),
    }
}

fn follow_settings(settings: &Settings) -> FollowSettings {
    let mut follow = FollowSettings::default();
    if let Some(hours) = settings.replica.compare_locks_hours {
        follow.locks_every = Duration::from_secs(u64::from(hours) * 3_600);
    }
    follow
}

/// Says how a replica that is served alone is looked after.
pub(crate) fn care_alone(
    directory: &ArchiveDirectory,
    settings: &Settings,
    place: (Arc<dyn WormStore>, LedgerId),
) -> Care {
    let alone = Settings { replica: Replica::default(), ..settings.clone() };
    care(directory, &alone, place)
}

/// What is given up when the replica is served although it lacks something.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Loss {
    /// Events that the replica holds.
    events: u64,
    /// Events that this machine knows to have been committed; there may have been more.
    events_known: u64,
    segments: u64,
    segments_known: u64,
}

/// What is recorded when the replica is served.
#[derive(Serialize)]
struct Promoted<'a> {
    reason: &'static str,
    location: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    accepted_loss: Option<&'a Loss>,
}

/// Compares the replica with what this machine knows to have been committed, before anything is written to it.
///
/// With `accepts_loss`, local state that knows more than the replica is put aside.
///
/// # Errors
/// When the replica lacks something and that is not accepted; says what would be lost.
pub(crate) async fn check_promotion(
    directory: &ArchiveDirectory,
    store: &Arc<dyn WormStore>,
    ledger: LedgerId,
    accepts_loss: bool,
) -> anyhow::Result<Option<Loss>> {
    let reader = LedgerReader::open(store.clone(), ledger).await?;
    let head = reader.head();
    let (events, segments) = (reader.size(), head.map_or(0, |head| head.segment.0 + 1));
    let local = local_end(&directory.state(), ledger).unwrap_or_default();
    let remembered = remembered_size(directory, &reader.genesis().origin)?;
    let indexed = SearchIndex::open(&directory.index(), Options::default()).ok();
    let indexed = indexed.and_then(|index| index.cursor()).unwrap_or(0);
    let events_known = remembered.max(indexed).max(local.events_min);
    let fork = find_fork(directory, &reader, &local).await?;
    if events_known <= events && local.segments <= segments && fork.is_none() {
        return Ok(None);
    }
    let loss =
        Loss { events, events_known: events_known.max(events), segments, segments_known: local.segments };
    if let Some(fork) = fork.filter(|_| !accepts_loss) {
        let hint = "bring the first store back and compare both with `piperoll verify`, or give up what this \
                    machine knows with --accept-loss";
        return Err(Failure::new(Exit::Conflict, fork).hint(hint).into());
    }
    if !accepts_loss {
        let message = format!(
            "the replica holds {}; this machine knows of at least {} in {}, so that {} would be lost",
            counted(events, "event", "events"),
            count(loss.events_known),
            counted(loss.segments_known.max(segments), "segment", "segments"),
            if loss.events_known > events {
                format!("events {} to {} and whatever came after them", events, loss.events_known - 1)
            } else {
                format!("the events of {}", counted(local.segments - segments, "segment", "segments"))
            },
        );
        let hint = "bring the first store back, or give them up for good with --accept-loss";
        return Err(Failure::new(Exit::Conflict, message).hint(hint).into());
    }
    let aside = put_aside(directory)?;
    tracing::warn!(
        aside = %aside.display(),
        events,
        known = loss.events_known,
        "the loss is accepted; local state that knew more was put aside"
    );
    Ok(Some(loss))
}

/// Tells how the replica's history differs from the one that this machine has seen, whatever their lengths.
async fn find_fork(
    directory: &ArchiveDirectory,
    reader: &LedgerReader,
    local: &LocalEnd,
) -> anyhow::Result<Option<String>> {
    let segments = reader.head().map_or(0, |head| head.segment.0 + 1);
    if let Some(expected) = local.chain
        && let Some(last) = local.segments.checked_sub(1)
        && last < segments
    {
        let found = reader.segment(SegmentNo(last)).await?.chain_head();
        if found != expected {
            return Ok(Some(format!(
                "the replica has another history: at the end of segment {last} this machine committed chain head \
                 {expected}, and the replica has {found}"
            )));
        }
    }
    let Some(remembered) = remembered(directory, &reader.genesis().origin)? else { return Ok(None) };
    let Checkpoint { size, root, .. } = *remembered.checkpoint();
    if size == 0 || size > reader.size() {
        return Ok(None);
    }
    let found = root_at(reader, size).await?;
    let fork = format!(
        "the replica has another history: this machine remembers {} with root {root}, and the replica has root {found}",
        counted(size, "event", "events")
    );
    Ok((found != root).then_some(fork))
}

/// Computes the root over the first `size` events of a ledger.
async fn root_at(reader: &LedgerReader, size: u64) -> anyhow::Result<NodeHash> {
    let last = Seq(size - 1);
    let segment = reader.segment(reader.locate(last).await?).await?;
    let mut frontier = Frontier::from_parts(segment.first_seq().0, segment.frontier().to_vec())?;
    for seq in segment.first_seq().0..size {
        let core = segment.core_bytes(Seq(seq)).context("a segment has all its events")?;
        frontier.append(leaf_hash(core));
    }
    Ok(frontier.root())
}

/// Records that the replica is served from here on, and what was given up.
pub(crate) async fn record_promotion(
    engine: &Engine,
    location: &str,
    loss: Option<&Loss>,
) -> anyhow::Result<()> {
    let promoted = Promoted { reason: "the replica is served", location, accepted_loss: loss };
    let document = serde_json::to_vec(&promoted)?;
    let promoted = Submission::own(Kind::LedgerStarted, "application/json", document);
    let _receipts = engine
        .submit(SubmissionGroup::single(promoted))
        .await
        .context("record that the replica is served")?;
    Ok(())
}

fn remembered_size(directory: &ArchiveDirectory, origin: &str) -> anyhow::Result<u64> {
    Ok(remembered(directory, origin)?.map_or(0, |remembered| remembered.checkpoint().size))
}

fn remembered(directory: &ArchiveDirectory, origin: &str) -> anyhow::Result<Option<Remembered>> {
    let path = directory.remembered(origin);
    match fs::read_to_string(&path) {
        Ok(text) => {
            let remembered = Remembered::parse(&text);
            Ok(Some(remembered.with_context(|| format!("read `{}`", path.display()))?))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("read `{}`", path.display())),
    }
}

/// Renames the folder of local state: all of it can be made again, and what it knew may still be wanted.
fn put_aside(directory: &ArchiveDirectory) -> anyhow::Result<PathBuf> {
    let state = directory.state();
    let aside = state.with_file_name(format!("state.before-loss-{}", SystemClock.now_micros()));
    if state.exists() {
        fs::rename(&state, &aside).with_context(|| format!("put `{}` aside", state.display()))?;
    }
    Ok(aside)
}
