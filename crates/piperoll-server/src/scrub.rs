//! Passes over all objects: one at a time, slowly in the background or at once when ordered, each put on the record.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use piperoll_engine::Engine;
use piperoll_format::{Kind, Timestamp};
use piperoll_replica::scrub::{Pace, Pass, Problem, Repair, Scrubber, Tally};
use serde::Serialize;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::archive::Archive;
use crate::error::{ApiError, ErrorCode};
use crate::replica::{Care, record};
use crate::wire::{ScrubSideView, ScrubView};

/// The pause after a store did not answer.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// How often an ordered pass may fail in a row before it is given up.
const FAILURES_MAX: u32 = 5;

/// How often a pass under way is written down.
const KEEP_EVERY: u64 = 64;

/// The passes of an archive.
#[derive(Debug)]
pub(crate) struct Scrubs {
    ordered: watch::Sender<ScrubView>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
}

impl Default for Scrubs {
    fn default() -> Self {
        Self { ordered: watch::channel(ScrubView::default()).0, tasks: Mutex::default() }
    }
}

/// The content of `store.scrubbed`; the outer members are about the writer's store.
#[derive(Serialize)]
struct Scrubbed<'a> {
    from: String,
    to: String,
    #[serde(flatten)]
    primary: Scrubbing<'a>,
    repaired: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    replica: Option<Scrubbing<'a>>,
}

#[derive(Serialize)]
struct Scrubbing<'a> {
    objects: u64,
    bytes: u64,
    sound: u64,
    disposed: u64,
    damaged: Vec<&'a str>,
    missing: Vec<&'a str>,
    unlocked: Vec<&'a str>,
}

impl<'a> From<&'a Tally> for Scrubbing<'a> {
    fn from(tally: &'a Tally) -> Self {
        let names =
            |problems: &'a [Problem]| problems.iter().map(|problem| problem.object.as_str()).collect();
        Self {
            objects: tally.objects,
            bytes: tally.bytes,
            sound: tally.sound,
            disposed: tally.disposed,
            damaged: names(&tally.damaged),
            missing: names(&tally.missing),
            unlocked: names(&tally.unlocked),
        }
    }
}

/// The content of `store.repaired`.
#[derive(Serialize)]
struct Repaired<'a> {
    object: &'a str,
    store: &'a str,
    from: &'a str,
    was: &'a str,
    digest: &'a str,
}

impl Scrubs {
    /// Runs one pass after the other, each over about `period`, until it is closed.
    pub(crate) fn run_over(&self, care: &Care, engine: &Arc<Engine>, period: Duration) {
        let (care, engine) = (care.clone(), engine.clone());
        self.spawn(async move {
            loop {
                let file = Some(care.scrub_state.clone());
                let scrubbing = Pacing { pace: Pace::Over(period), file, failures_max: u32::MAX };
                if scrub(&care, &engine, scrubbing, |_, _| {}).await.is_none() {
                    return;
                }
                // A pass over a small archive ends early; the next one is not due yet.
                tokio::time::sleep(period / 100).await;
            }
        });
    }

    /// Begins an ordered pass; false when one is under way.
    fn order(self: &Arc<Self>, care: &Care, engine: &Arc<Engine>) -> bool {
        let is_new = self.ordered.send_if_modified(|view| {
            let is_idle = !view.is_running;
            if is_idle {
                *view = ScrubView { is_running: true, ..ScrubView::default() };
            }
            is_idle
        });
        if is_new {
            let (scrubs, care, engine) = (self.clone(), care.clone(), engine.clone());
            self.spawn(async move {
                let scrubbing = Pacing { pace: Pace::Unlimited, file: None, failures_max: FAILURES_MAX };
                let report = |pass: &Pass, _: &[Repair]| {
                    scrubs.ordered.send_modify(|view| *view = view_of(pass, true));
                };
                let ended = scrub(&care, &engine, scrubbing, report).await;
                scrubs.ordered.send_modify(|view| match ended {
                    Some(pass) => *view = view_of(&pass, false),
                    None => {
                        view.is_running = false;
                        view.trouble = Some("a store did not answer, or the writer stopped".to_owned());
                    }
                });
            });
        }
        is_new
    }

    fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        tasks.retain(|task| !task.is_finished());
        tasks.push(tokio::spawn(work));
    }

    pub(crate) async fn close(&self) {
        let tasks = std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        for task in tasks {
            // A pass may be left anywhere: a repair is one create, and the pass is kept as of its last step.
            task.abort();
            drop(task.await);
        }
    }
}

impl Archive {
    /// Begins a pass over all objects of both stores at once; [`Self::scrub_status`] tells how far it is.
    ///
    /// # Errors
    /// [`ErrorCode::Busy`] while an ordered pass runs.
    pub fn scrub(&self) -> Result<(), ApiError> {
        let Some(keeping) = self.keeping.get() else {
            return Err(ApiError::new(ErrorCode::NotFound, "this process does not look after its stores"));
        };
        if keeping.scrubs.order(&keeping.care, &self.engine) {
            return Ok(());
        }
        Err(ApiError::new(ErrorCode::Busy, "another pass runs"))
    }

    /// Returns how far the newest ordered pass is, or how it ended.
    #[must_use]
    pub fn scrub_status(&self) -> ScrubView {
        self.keeping.get().map(|keeping| keeping.scrubs.ordered.borrow().clone()).unwrap_or_default()
    }
}

/// How a pass goes.
struct Pacing {
    pace: Pace,
    /// Where it is kept while it is under way.
    file: Option<PathBuf>,
    failures_max: u32,
}

/// Runs one pass to its end and records it; `None` when that was not possible.
async fn scrub(
    care: &Care,
    engine: &Engine,
    pacing: Pacing,
    mut report: impl FnMut(&Pass, &[Repair]) + Send,
) -> Option<Pass> {
    let mut scrubber = Scrubber::new(&care.stores);
    let mut pass: Option<Pass> = None;
    let mut failures = 0;
    loop {
        let stepped = match &mut pass {
            Some(pass) => scrubber.step(pass).await,
            None => match scrubber.resume(pacing.file.as_deref().and_then(read_pass)).await {
                Ok(begun) => {
                    pass = Some(begun);
                    continue;
                }
                Err(error) => Err(error),
            },
        };
        match stepped {
            Ok(Some(step)) => {
                failures = 0;
                let pass = pass.as_ref().expect("a step has a pass");
                for repair in &step.repaired {
                    record_repair(engine, repair).await.then_some(())?;
                }
                if pass.next.is_multiple_of(KEEP_EVERY) {
                    keep_pass(pacing.file.as_deref(), pass);
                }
                report(pass, &step.repaired);
                tokio::time::sleep(pacing.pace.pause(step.bytes, pass.segments)).await;
            }
            Ok(None) => {
                let pass = pass.take().expect("a step has a pass");
                record_pass(engine, &pass, care.stores.clock.now_micros()).await.then_some(())?;
                forget_pass(pacing.file.as_deref());
                return Some(pass);
            }
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "a pass over all objects was interrupted"
                );
                failures += 1;
                if failures >= pacing.failures_max {
                    return None;
                }
                tokio::time::sleep(RETRY_AFTER).await;
            }
        }
    }
}

async fn record_repair(engine: &Engine, repair: &Repair) -> bool {
    let Repair { object, store, from, was, digest } = repair;
    tracing::warn!(object, store, from, was, "an object was made good");
    record(engine, Kind::StoreRepaired, &Repaired { object, store, from, was, digest }).await
}

async fn record_pass(engine: &Engine, pass: &Pass, now: u64) -> bool {
    if pass.is_sound() {
        tracing::info!(
            objects = pass.primary.objects,
            repaired = pass.repaired,
            "a pass over all objects ended"
        );
    } else {
        tracing::error!("a pass over all objects found objects that stay damaged, missing or unlocked");
    }
    let scrubbed = Scrubbed {
        from: Timestamp(pass.begun_at).to_string(),
        to: Timestamp(now).to_string(),
        primary: (&pass.primary).into(),
        repaired: pass.repaired,
        replica: pass.replica.as_ref().map(Scrubbing::from),
    };
    record(engine, Kind::StoreScrubbed, &scrubbed).await
}

fn view_of(pass: &Pass, is_running: bool) -> ScrubView {
    ScrubView {
        is_running,
        is_sound: pass.is_sound(),
        segments: pass.next,
        segments_total: pass.segments,
        repaired: pass.repaired,
        primary: Some(ScrubSideView::from(&pass.primary)),
        replica: pass.replica.as_ref().map(ScrubSideView::from),
        trouble: None,
    }
}

/// A pass that cannot be read is begun anew.
fn read_pass(file: &Path) -> Option<Pass> {
    serde_json::from_slice(&fs::read(file).ok()?).ok()
}

fn keep_pass(file: Option<&Path>, pass: &Pass) {
    let Some(file) = file else { return };
    let text = serde_json::to_vec(pass).expect("texts and numbers are always JSON");
    let staged = file.with_extension("new");
    if let Err(error) = fs::write(&staged, text).and_then(|()| fs::rename(&staged, file)) {
        tracing::debug!(%error, "a pass could not be kept; it begins anew at the next start");
    }
}

fn forget_pass(file: Option<&Path>) {
    match file.map(fs::remove_file) {
        Some(Err(error)) if error.kind() != io::ErrorKind::NotFound => {
            tracing::warn!(%error, "a finished pass could not be removed; it is reported again");
        }
        _ => {}
    }
}
