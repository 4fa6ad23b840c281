//! Goal: a writer that is stopped in the middle of its load and wakes up after another one has taken over harms nothing:
//! there is no fork, and what either of them acknowledged is there once.
//! Method: two processes on one directory, each with a state of its own; the test binary runs itself as a writer that
//! tells each of its receipts, until its input ends. Every wait has a deadline.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use piperoll_engine::{Engine, EngineError, Receipt, Settings};
use piperoll_format::{LedgerId, Seq};
use piperoll_store::{DirectoryStore, ManualClock};
use piperoll_tests::{NOW, TestArchive, check_receipt, message, quick_settings, submit_one};
use piperoll_tlog::hash::NodeHash;
use rustix::process::{Pid, Signal, kill_process};

/// Says in which folder the writer works, which state it has, and how its events begin.
const DIR: &str = "PIPEROLL_TEST_WRITER_DIR";
const STATE: &str = "PIPEROLL_TEST_WRITER_STATE";
const RUN: &str = "PIPEROLL_TEST_WRITER_RUN";

/// How long a writer may lose races before it gives up.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long a writer may be silent: longer than one that loses needs to say so.
const DEADLINE: Duration = Duration::from_secs(60);

/// The line that ends the receipts of a writer that was told to stop.
const IN_ORDER: &str = "end";

/// The line of one that gave up, and the only reason for which it may.
const GAVE_UP: &str = "end: the writer has stopped: another writer keeps winning this ledger; stop it first";

/// Takes turns of each of the two as the one that is stopped.
const TURNS: usize = 6;

/// A writer in a process of its own.
struct Writer {
    child: Child,
    lines: Receiver<String>,
    /// The line that it ended with.
    end: Option<String>,
}

/// What both have told.
#[derive(Default)]
struct Told {
    receipts: Vec<(Receipt, String)>,
    runs: usize,
}

impl Drop for Writer {
    fn drop(&mut self) {
        // A failed test leaves no process behind, not even a stopped one.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Writer {
    fn start(dir: &Path, state: &str, told: &mut Told) -> Self {
        told.runs += 1;
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["takeover::inside_a_writer", "--exact", "--nocapture"])
            .env(DIR, dir)
            .env(STATE, state)
            .env(RUN, told.runs.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let (sender, lines) = channel();
        // Read all the time, or the writer would stand still on a full pipe.
        let _reader = std::thread::spawn(move || {
            stderr.lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
        });
        Self { child, lines, end: None }
    }

    /// Takes its next line.
    fn read(&mut self, told: &mut Told) {
        let line = self.lines.recv_timeout(DEADLINE).expect("a writer acknowledges, or says why it ends");
        self.take(line, told);
    }

    fn take(&mut self, line: String, told: &mut Told) {
        if let Some(rest) = line.strip_prefix("ack ") {
            let mut words = rest.splitn(3, ' ');
            let [seq, hash, text] = [(); 3].map(|()| words.next().unwrap());
            let event_hash = NodeHash(*blake3::Hash::from_hex(hash).unwrap().as_bytes());
            let seq = Seq(seq.parse().unwrap());
            let receipt = Receipt { ledger: LedgerId([7; 16]), seq, event_hash, repeated: false };
            told.receipts.push((receipt, text.to_owned()));
        } else {
            assert!(line == IN_ORDER || line == GAVE_UP, "{line}");
            self.end = Some(line);
        }
    }

    /// Waits for so many receipts more, or until it gives up.
    fn wait_for(&mut self, more: usize, told: &mut Told) {
        let enough = told.receipts.len() + more;
        while told.receipts.len() < enough && self.end.is_none() {
            self.read(told);
        }
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Ends its input, and waits until it has ended.
    fn stop(mut self, told: &mut Told) {
        drop(self.child.stdin.take());
        while self.end.is_none() {
            self.read(told);
        }
        assert!(self.child.wait().unwrap().success());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn stopped_writer_that_wakes_up_after_another_took_over_harms_nothing() {
    let archive = TestArchive::in_directory().await;
    let mut told = Told::default();
    let states = ["state-a", "state-b"];
    let mut writers = states.map(|_| None::<Writer>);
    for turn in 0..TURNS {
        // The one that is stopped, and the one that takes over.
        let (old, new) = (turn % 2, (turn + 1) % 2);
        let mut stopped = running(&mut writers[old], archive.dir(), states[old], &mut told);
        stopped.wait_for(10 + turn, &mut told);
        stopped.signal(Signal::STOP);
        let mut taking_over = running(&mut writers[new], archive.dir(), states[new], &mut told);
        taking_over.wait_for(20, &mut told);
        if taking_over.end.is_some() {
            // It had lost too often before the other was stopped.
            taking_over = Writer::start(archive.dir(), states[new], &mut told);
            taking_over.wait_for(20, &mut told);
        }
        assert!(taking_over.end.is_none(), "one that is stopped wins no ledger");
        stopped.signal(Signal::CONT);
        stopped.wait_for(10, &mut told);
        // Whichever has lost too often starts again with the state that it left.
        writers[old] = Some(stopped);
        writers[new] = Some(taking_over);
    }
    writers.into_iter().flatten().for_each(|writer| writer.stop(&mut told));
    let events = archive.check_everything(None).await;
    told.receipts.iter().for_each(|(receipt, text)| check_receipt(&events, receipt, text));
    let mut seqs: Vec<_> = told.receipts.iter().map(|(receipt, _)| receipt.seq).collect();
    seqs.sort_unstable();
    let expected: Vec<_> = (1..events.len() as u64).map(Seq).collect();
    assert_eq!(
        seqs, expected,
        "each event after the first has one receipt: nothing is there twice, nothing is lost"
    );
}

/// Takes the writer that runs, or starts one.
fn running(writer: &mut Option<Writer>, dir: &Path, state: &str, told: &mut Told) -> Writer {
    if let Some(mut writer) = writer.take() {
        // What it has told before does not count for what is waited for next.
        while let Ok(line) = writer.lines.try_recv() {
            writer.take(line, told);
        }
        if writer.end.is_none() {
            return writer;
        }
    }
    Writer::start(dir, state, told)
}

/// The writer: no test when it is not asked for.
#[tokio::test(flavor = "multi_thread")]
async fn inside_a_writer() {
    let (Some(dir), Ok(state), Ok(run)) = (std::env::var_os(DIR), std::env::var(STATE), std::env::var(RUN))
    else {
        return;
    };
    let dir = Path::new(&dir);
    let store = DirectoryStore::open(&dir.join("store"), Arc::new(ManualClock::new(NOW))).unwrap();
    let components = TestArchive::writer_of(Arc::new(store), &dir.join(state), run.parse().unwrap());
    let settings = Settings { rival_patience: PATIENCE, ..quick_settings() };
    let engine = Engine::open(components, settings).await.unwrap();
    let is_told = Arc::new(AtomicBool::new(false));
    let flag = is_told.clone();
    // A thread of its own and not one of the runtime, whose end would wait for it.
    let _input = std::thread::spawn(move || {
        let _end = std::io::stdin().read(&mut [0]);
        flag.store(true, Ordering::SeqCst);
    });
    let end = write(&engine, &run, &is_told).await;
    engine.close().await;
    eprintln!("{}", end.map_or(IN_ORDER.to_owned(), |error| format!("{IN_ORDER}: {error}")));
}

/// Sends until it is told to stop, or until the engine stops for ever.
async fn write(engine: &Engine, run: &str, is_told: &AtomicBool) -> Option<EngineError> {
    for n in 0.. {
        let text = format!("{run}-{n}");
        let receipt = loop {
            match submit_one(engine, message(&text, &text)).await {
                Ok(receipt) => break receipt,
                Err(EngineError::Unavailable { .. }) => {}
                Err(error) => return Some(error),
            }
        };
        // In one piece, or the line of another thread would stand in its middle.
        let line =
            format!("ack {} {} {text}\n", receipt.seq.0, blake3::Hash::from_bytes(receipt.event_hash.0));
        eprint!("{line}");
        if is_told.load(Ordering::SeqCst) {
            break;
        }
    }
    None
}
