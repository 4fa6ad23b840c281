//! A simulated process: an engine that is opened, dies at any moment, and is opened again.

use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use piperoll_engine::{Components, Engine, EngineError, Executor, Settings};
use piperoll_store::FaultyStore;
use piperoll_tests::SeededEntropy;
use tokio::sync::Notify;
use tokio::time::sleep;

use crate::link::Link;
use crate::world::World;

/// Never dies.
pub(crate) const FOR_EVER: i64 = i64::MAX / 2;

/// The machine that a process runs on; it keeps the local state over the process's deaths.
#[derive(Debug)]
pub(crate) struct Machine {
    name: String,
    /// The engine while it lives, with what rings when it dies.
    alive: Mutex<Option<(Arc<Engine>, Arc<Notify>)>>,
}

impl Machine {
    pub(crate) fn new(name: String) -> Self {
        Self { name, alive: Mutex::new(None) }
    }

    /// Returns the running engine and the bell of its death.
    pub(crate) fn engine(&self) -> Option<(Arc<Engine>, Arc<Notify>)> {
        self.alive.lock().unwrap().clone()
    }

    /// Runs engines one after another until the world ends, then closes the last one.
    pub(crate) async fn run(&self, world: &World) {
        for life in 0.. {
            let name = format!("{}.{life}", self.name);
            let is_last = world.is_ending();
            let link = Arc::new(world.link(&name, self.life_time(world, is_last)));
            let state = world.state_dir.path().join(&self.name);
            let died = link.died.clone();
            let opened = tokio::select! {
                biased;
                () = died.notified() => None,
                opened = open(world, link.clone(), &state) => Some(opened),
            };
            if let Some(Ok(engine)) = opened {
                if self.serve(world, &link, engine).await {
                    return;
                }
            } else if let Some(Err(error)) = opened {
                check_error(&error);
            }
            link.kill();
            // What the dead process held is given up when its tasks have been dropped.
            sleep(Duration::from_millis(1)).await;
            if world.random.chance(20) && state.exists() {
                std::fs::remove_dir_all(&state).unwrap();
            }
            sleep(world.random.millis(50)).await;
        }
    }

    fn life_time(&self, world: &World, is_last: bool) -> i64 {
        let dies = !is_last && world.deaths_left.fetch_sub(1, Ordering::SeqCst) > 0;
        if dies { i64::try_from(world.random.below(120)).unwrap() + 1 } else { FOR_EVER }
    }

    /// Lets clients use the engine until the process dies, the engine stops, or the world ends; true when it ended.
    async fn serve(&self, world: &World, link: &Link, engine: Engine) -> bool {
        let engine = Arc::new(engine);
        *self.alive.lock().unwrap() = Some((engine.clone(), link.died.clone()));
        while !link.is_dead() && !world.is_over() && !world.has_stopped(&engine) {
            sleep(Duration::from_millis(3)).await;
        }
        *self.alive.lock().unwrap() = None;
        if world.is_over() && !link.is_dead() {
            let is_closed = tokio::select! {
                biased;
                () = link.died.notified() => false,
                () = engine.close() => true,
            };
            if is_closed {
                return true;
            }
        }
        link.kill();
        // Clients notice at once; the last of them drops the engine.
        let dropped = Arc::downgrade(&engine);
        drop(engine);
        while dropped.strong_count() > 0 {
            sleep(Duration::from_millis(1)).await;
        }
        false
    }
}

/// Opens an engine that runs in the schedule's own time.
pub(crate) async fn open(world: &World, link: Arc<Link>, state: &Path) -> Result<Engine, EngineError> {
    let entropy = Box::new(SeededEntropy::new(world.engines.fetch_add(1, Ordering::SeqCst)));
    let components =
        Components { store: link, entropy, state_dir: state.to_owned(), ..world.archive.components() };
    let settings = Settings {
        executor: Executor::Task,
        retry_pauses: vec![Duration::from_millis(5); 3],
        commit_events_max: 4,
        pool_events_max: 24,
        state_cache_bytes: 1 << 20,
        ..Settings::default()
    };
    Engine::open(components, settings).await
}

/// An engine may stop and be started again, but only for the reasons that the store gave it.
fn check_error(error: &EngineError) {
    if let EngineError::Fatal { reason, .. } = error {
        let known = ["the store ends before what this machine has committed", "keeps winning"];
        let is_known = known.iter().any(|known| reason.contains(known));
        assert!(is_known, "{error:?}");
    }
}

impl World {
    /// Makes a way to the store for a process that dies after so many half operations.
    pub(crate) fn link(&self, name: &str, life: i64) -> Link {
        Link {
            name: name.to_owned(),
            store: FaultyStore::new(self.archive.backing()),
            random: self.random.clone(),
            trace: self.trace.clone(),
            weather: self.weather.clone(),
            life: AtomicI64::new(life),
            died: Arc::new(Notify::new()),
        }
    }

    fn has_stopped(&self, engine: &Engine) -> bool {
        let trouble = engine.trouble().borrow().clone();
        trouble.is_some_and(|reason| reason.contains("the writer has stopped"))
    }
}
