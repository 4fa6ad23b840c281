//! One schedule: machines, senders, readers, an operator and the weather, all drawn from one seed.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::future::join_all;
use piperoll_engine::{Engine, EngineError, Receipt};
use piperoll_format::{SubmissionGroup, Timestamp};
use piperoll_policy::{StoredBucket, StoredObject, plan_disposal};
use piperoll_store::Clock as _;
use piperoll_tests::{NOW, TestArchive, delivery, message, numbered_message};
use tempfile::TempDir;
use tokio::time::{Instant, sleep, timeout};

use crate::follower::follow;
use crate::link::{Trace, Weather};
use crate::model::check;
use crate::process::{FOR_EVER, Machine, open};
use crate::random::Random;

/// A schedule that is not over after so long, in its own time, hangs.
const HANGS_AFTER: Duration = Duration::from_secs(3_600);

/// Operations that are shown of a schedule that hangs.
const LAST_LINES: usize = 40;

/// An event that a follower saw: position and hash.
pub(crate) type Seen = (u64, [u8; 32]);

/// Everything that a schedule shares.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) archive: TestArchive,
    pub(crate) random: Arc<Random>,
    pub(crate) trace: Arc<Trace>,
    pub(crate) weather: Arc<Weather>,
    pub(crate) state_dir: TempDir,
    /// Engines so far, so that no two draw the same keys.
    pub(crate) engines: AtomicU64,
    pub(crate) deaths_left: AtomicI64,
    pub(crate) acknowledged: Mutex<Vec<(Receipt, String)>>,
    /// For each follower what it saw: position and hash.
    pub(crate) seen: Mutex<BTreeMap<usize, Vec<Seen>>>,
    /// The latest time that the clock ever showed, in µs.
    pub(crate) latest: AtomicU64,
    /// Events in the ledger when all writers had ended.
    pub(crate) size_when_over: AtomicU64,
    is_ending: AtomicBool,
    is_over: AtomicBool,
}

/// What became of a schedule.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Played {
    pub(crate) trace: Vec<String>,
    pub(crate) digest: String,
    pub(crate) events: usize,
    pub(crate) deaths: i64,
}

/// Plays the schedule of a seed and checks everything.
pub(crate) async fn play(seed: u64) -> Played {
    let random = Arc::new(Random::new(seed));
    let deaths = i64::try_from(random.below(5)).unwrap();
    let faults = random.pick(&[0, 5, 15, 30]);
    let weather = Weather { faults_percent: AtomicI64::new(faults), away_until: Mutex::new(Instant::now()) };
    let world = World {
        archive: TestArchive::in_memory().await,
        random,
        trace: Arc::default(),
        weather: Arc::new(weather),
        state_dir: quick_dir(),
        engines: AtomicU64::new(0),
        deaths_left: AtomicI64::new(deaths),
        acknowledged: Mutex::default(),
        seen: Mutex::default(),
        latest: AtomicU64::new(NOW),
        size_when_over: AtomicU64::new(0),
        is_ending: AtomicBool::new(false),
        is_over: AtomicBool::new(false),
    };
    if timeout(HANGS_AFTER, world.run()).await.is_err() {
        let lines = world.trace.lines();
        let last = &lines[lines.len().saturating_sub(LAST_LINES)..];
        panic!("the schedule does not come to its end; its last operations:\n{}", last.join("\n"));
    }
    world.size_when_over.store(world.archive.reader().await.size(), Ordering::SeqCst);
    world.finish_disposals().await;
    let events = check(&world).await;
    let deaths = deaths - world.deaths_left.load(Ordering::SeqCst).max(0);
    Played { trace: world.trace.lines(), digest: world.trace.digest(), events, deaths }
}

/// A folder in memory where there is one: the local state flushes often.
fn quick_dir() -> TempDir {
    tempfile::tempdir_in("/dev/shm").unwrap_or_else(|_| tempfile::tempdir().unwrap())
}

impl World {
    pub(crate) fn is_ending(&self) -> bool {
        self.is_ending.load(Ordering::SeqCst)
    }

    pub(crate) fn is_over(&self) -> bool {
        self.is_over.load(Ordering::SeqCst)
    }

    async fn run(&self) {
        let machines: Vec<Machine> =
            (0..=self.random.below(3)).map(|n| Machine::new(format!("machine-{n}"))).collect();
        let followers = usize::try_from(self.random.below(3)).unwrap();
        let processes = join_all(machines.iter().map(|machine| machine.run(self)));
        let readers = join_all((0..followers).map(|number| follow(self, number)));
        let traffic = async {
            let senders = 2 + self.random.below(4);
            let operator = self.operate(&machines);
            let sending = async {
                join_all((0..senders).map(|sender| self.send(sender, &machines))).await;
                self.is_ending.store(true, Ordering::SeqCst);
            };
            tokio::join!(sending, operator);
            self.weather.faults_percent.store(0, Ordering::SeqCst);
            *self.weather.away_until.lock().unwrap() = Instant::now();
            self.is_over.store(true, Ordering::SeqCst);
        };
        tokio::join!(processes, readers, traffic);
    }

    /// Sends a few groups, each until it is acknowledged; some of them again later.
    async fn send(&self, sender: u64, machines: &[Machine]) {
        for n in 0..=self.random.below(4) {
            sleep(self.random.millis(60)).await;
            let (group, texts) = self.group(sender, n);
            let mut times = if self.random.chance(20) { 2 } else { 1 };
            while times > 0 {
                let machine = &machines[usize::try_from(self.random.below(machines.len() as u64)).unwrap()];
                if let Some(receipts) = submit(machine, group.clone()).await {
                    let mut acknowledged = self.acknowledged.lock().unwrap();
                    acknowledged.extend(receipts.into_iter().zip(texts.clone()));
                    times -= 1;
                } else {
                    sleep(self.random.millis(30)).await;
                }
            }
        }
    }

    fn group(&self, sender: u64, n: u64) -> (SubmissionGroup, Vec<String>) {
        // Some ids are used by two senders, with the same bytes or with others.
        let id = if self.random.chance(15) { format!("shared-{n}") } else { format!("{sender}-{n}") };
        let text = if self.random.chance(10) { format!("{id} by {sender}") } else { id.clone() };
        match self.random.below(4) {
            0 => {
                let (second, third) = (format!("{id}.b"), format!("{id}.c"));
                let group = delivery(&[(&id, &text), (&second, &second), (&third, &third)]);
                (group, vec![text, second, third])
            }
            1 => {
                let id = format!("brief-{id}");
                (SubmissionGroup::single(numbered_message("999", &id, &text)), vec![text])
            }
            _ => (SubmissionGroup::single(message(&id, &text)), vec![text]),
        }
    }

    /// Turns clocks, takes the store away for a while, and disposes of what is due.
    async fn operate(&self, machines: &[Machine]) {
        while !self.is_ending() {
            sleep(self.random.millis(80)).await;
            match self.random.below(6) {
                0 => self.turn_clock(),
                1 => {
                    let away = self.random.millis(200);
                    *self.weather.away_until.lock().unwrap() = Instant::now() + away;
                }
                2 => {
                    if let Some((engine, died)) = machines[0].engine() {
                        tokio::select! {
                            biased;
                            () = died.notified() => {}
                            () = self.dispose(&engine) => {}
                        }
                    }
                }
                _ => {
                    let _now = self.archive.clock.advance(self.random.millis(4_000));
                    self.note_time();
                }
            }
        }
    }

    fn turn_clock(&self) {
        let now = self.archive.clock.now_micros();
        let step = self.random.below(1_800_000_000);
        let is_back = self.random.chance(50);
        self.archive.clock.set(if is_back { now - step } else { now + step });
        self.note_time();
    }

    fn note_time(&self) {
        let _before = self.latest.fetch_max(self.archive.clock.now_micros(), Ordering::SeqCst);
    }

    /// Carries out what an interrupted disposal has left, as the next plan does.
    async fn finish_disposals(&self) {
        self.archive.clock.set(self.latest.load(Ordering::SeqCst));
        let link = Arc::new(self.link("last", FOR_EVER));
        let engine = open(self, link, &self.state_dir.path().join("last")).await.unwrap();
        self.dispose(&engine).await;
        engine.close().await;
    }

    async fn dispose(&self, engine: &Engine) {
        let mut buckets: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for object in engine.inventory().unwrap() {
            let stored =
                StoredObject { key: object.name, size: object.size, retain_until: object.retain_until };
            buckets.entry(object.bucket).or_default().push(stored);
        }
        let stored = buckets.into_iter().map(|(bucket, objects)| StoredBucket { bucket, objects });
        let plan = plan_disposal(stored, &self.archive.policies, Timestamp(self.archive.clock.now_micros()));
        for entry in plan.entries {
            // What could not be deleted is in the next plan.
            drop(engine.dispose(&entry.bucket, "due", "operator").await);
        }
    }
}

/// Submits through a machine's engine; `None` when there is none, it failed, or it died meanwhile.
async fn submit(machine: &Machine, group: SubmissionGroup) -> Option<Vec<Receipt>> {
    let (engine, died) = machine.engine()?;
    tokio::select! {
        biased;
        () = died.notified() => None,
        answer = engine.submit(group) => match answer {
            Ok(receipts) => Some(receipts),
            Err(error @ EngineError::Invalid { .. }) => panic!("{error:?}"),
            Err(_) => None,
        },
    }
}
