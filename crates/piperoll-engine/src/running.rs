//! Running the writer and the publisher where the settings want them.

use std::thread::JoinHandle as ThreadHandle;

use tokio::runtime::Handle;
use tokio::task::JoinHandle as TaskHandle;

use crate::components::Executor;
use crate::error::EngineError;
use crate::writer::Writer;

/// The running writer and publisher of an engine.
#[derive(Debug)]
pub(crate) struct Running {
    writer: Place,
    publisher: TaskHandle<()>,
}

#[derive(Debug)]
enum Place {
    Thread(ThreadHandle<()>),
    Task(TaskHandle<()>),
}

impl Running {
    /// Starts the writer; the publisher runs already.
    pub(crate) fn start(
        executor: Executor,
        writer: Writer,
        publisher: TaskHandle<()>,
    ) -> Result<Self, EngineError> {
        let runtime = Handle::current();
        let writer = match executor {
            Executor::Task => Place::Task(runtime.spawn(writer.run())),
            Executor::Thread => {
                let thread = std::thread::Builder::new().name("ledger-writer".to_owned());
                let thread = thread.spawn(move || runtime.block_on(writer.run())).map_err(|error| {
                    EngineError::fatal_from("the writer's thread cannot be started", error)
                })?;
                Place::Thread(thread)
            }
        };
        Ok(Self { writer, publisher })
    }

    /// Waits until both have ended, which they do when the pool has been closed.
    pub(crate) async fn ended(self) {
        let in_order = match self.writer {
            Place::Thread(thread) => {
                let joined = tokio::task::spawn_blocking(move || thread.join()).await;
                matches!(joined, Ok(Ok(())))
            }
            Place::Task(task) => task.await.is_ok(),
        };
        if !in_order {
            tracing::error!("the writer did not stop in order");
        }
        drop(self.publisher.await);
    }

    /// Leaves them alone: a thread commits what waits, a task ends at once.
    pub(crate) fn abandon(self) {
        if let Place::Task(task) = self.writer {
            task.abort();
            self.publisher.abort();
        }
    }
}
