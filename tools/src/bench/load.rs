//! Sends prepared requests over persistent connections and counts what is acknowledged.
//!
//! All connections live on one thread: the generator shares the cores with the server and must stay cheap.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use tokio::task::LocalSet;

use super::histogram::Histogram;
use super::http::Connection;
use super::now;
use super::supply::Supply;

/// How to send.
#[derive(Debug, Clone, Copy)]
pub(super) struct Load {
    /// Connections that each have one request under way.
    pub(super) connections: usize,
    /// What is sent before counting starts.
    pub(super) warm_up: Duration,
    /// How long is counted at most; less if the supply ends.
    pub(super) measured: Duration,
}

/// What came back.
#[derive(Debug)]
pub(super) struct Outcome {
    /// Messages acknowledged with 200 while counting.
    pub(super) messages: u64,
    /// Messages acknowledged with 200 at all, with those of the warm-up.
    pub(super) stored: u64,
    /// Requests answered otherwise, and one such status.
    pub(super) refused: u64,
    pub(super) refusal: u16,
    /// How long was counted.
    pub(super) elapsed: Duration,
    /// From the first byte sent to the last byte received.
    pub(super) latency: Histogram,
}

impl Outcome {
    /// Gives acknowledged messages per second.
    pub(super) fn rate(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
        let messages = self.messages as f64;
        messages / self.elapsed.as_secs_f64()
    }
}

struct Shared {
    supply: Arc<Supply>,
    next: Cell<usize>,
    counting: Instant,
    end: Instant,
    last: Cell<Instant>,
    outcome: RefCell<Outcome>,
}

/// Sends from `position` of the supply on and moves it to the first request that was not sent.
///
/// # Errors
///
/// Fails when a connection breaks or when the supply ends during the warm-up.
pub(super) fn drive(
    address: &str,
    load: Load,
    supply: &Arc<Supply>,
    position: &mut usize,
) -> Result<Outcome> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let shared = runtime.block_on(LocalSet::new().run_until(send_all(address, load, supply, *position)))?;
    *position = shared.next.get().min(supply.len());
    let shared = Rc::into_inner(shared).context("a connection is still running")?;
    let mut outcome = shared.outcome.into_inner();
    outcome.elapsed = shared.last.get().min(shared.end).saturating_duration_since(shared.counting);
    ensure!(outcome.latency.count() > 0, "expected acknowledgements after the warm-up, found none");
    Ok(outcome)
}

async fn send_all(address: &str, load: Load, supply: &Arc<Supply>, position: usize) -> Result<Rc<Shared>> {
    let mut connections = Vec::new();
    for _ in 0..load.connections {
        connections.push(Connection::open(address).await?);
    }
    let counting = now() + load.warm_up;
    let outcome = Outcome {
        messages: 0,
        stored: 0,
        refused: 0,
        refusal: 0,
        elapsed: Duration::ZERO,
        latency: Histogram::new(),
    };
    let shared = Rc::new(Shared {
        supply: Arc::clone(supply),
        next: Cell::new(position),
        counting,
        end: counting + load.measured,
        last: Cell::new(counting),
        outcome: RefCell::new(outcome),
    });
    let tasks: Vec<_> = connections
        .into_iter()
        .map(|connection| tokio::task::spawn_local(send_some(connection, Rc::clone(&shared))))
        .collect();
    for task in tasks {
        task.await.context("a connection panicked")??;
    }
    Ok(shared)
}

async fn send_some(mut connection: Connection, shared: Rc<Shared>) -> Result<()> {
    let mut started = now();
    while started < shared.end {
        let position = shared.next.replace(shared.next.get() + 1);
        let Some(request) = shared.supply.get(position) else { break };
        let status = connection.status(request).await?;
        let finished = now();
        shared.count(status, started, finished);
        started = finished;
    }
    Ok(())
}

impl Shared {
    fn count(&self, status: u16, started: Instant, finished: Instant) {
        let mut outcome = self.outcome.borrow_mut();
        if status != 200 {
            outcome.refused += 1;
            outcome.refusal = status;
            return;
        }
        outcome.stored += self.supply.messages_each;
        if (self.counting..=self.end).contains(&finished) {
            outcome.messages += self.supply.messages_each;
            outcome.latency.record(finished - started);
        }
        self.last.set(finished.max(self.last.get()));
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests may unwrap")]
mod tests {
    use std::io::{Read, Write};
    use std::sync::Arc;
    use std::time::Duration;

    use super::{Load, drive};
    use crate::bench::supply::Supply;

    /// Answers every request of every connection, the third of each with 503.
    fn server() -> String {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                std::thread::spawn(move || answer(stream.unwrap()));
            }
        });
        address
    }

    fn answer(mut stream: std::net::TcpStream) {
        let mut seen = 0;
        let mut buffer = vec![0; 1 << 16];
        while stream.read(&mut buffer).is_ok_and(|read| read > 0) {
            seen += 1;
            let status = if seen == 3 { "503 Busy" } else { "200 OK" };
            write!(stream, "HTTP/1.1 {status}\r\nContent-Length: 2\r\n\r\nok").unwrap();
        }
    }

    #[test]
    fn only_acknowledged_messages_are_counted() {
        let supply = Arc::new(Supply::messages(0, 40));
        let load = Load { connections: 4, warm_up: Duration::ZERO, measured: Duration::from_secs(60) };
        let mut position = 0;
        let outcome = drive(&server(), load, &supply, &mut position).unwrap();
        assert_eq!(position, 40);
        assert_eq!(outcome.messages + outcome.refused, 40);
        assert_eq!(outcome.stored, outcome.messages);
        assert!((1..=4).contains(&outcome.refused), "{}", outcome.refused);
        assert_eq!(outcome.refusal, 503);
        assert_eq!(outcome.latency.count(), outcome.messages);
        assert!(outcome.rate() > 0.0);
    }
}
