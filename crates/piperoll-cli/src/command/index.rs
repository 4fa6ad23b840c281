//! `piperoll index rebuild`: the index is derived; this builds it again from the store.

use crate::args::{Global, IndexCommand};
use crate::directory::ArchiveDirectory;
use crate::error::{Exit, Failure};
use crate::lock::Running;
use crate::output::{Output, object};
use crate::serve::Opened;
use crate::text::counted;

pub(crate) async fn run(global: &Global, command: &IndexCommand, output: &Output) -> anyhow::Result<Exit> {
    let IndexCommand::Rebuild = command;
    let directory = ArchiveDirectory::existing(global.directory())?;
    if let Some((running, _)) = Running::find(&directory)? {
        let message = format!("a server runs on the archive (process {})", running.pid);
        return Err(Failure::new(Exit::Conflict, message).hint("stop it first").into());
    }
    let opened = Opened::for_command(&directory, global).await?;
    let archive = opened.archive();
    let bar = output.progress("Indexing", archive.engine().head().borrow().size);
    archive.rebuild_index().await;
    let mut progress = archive.progress();
    let size = loop {
        let now = *progress.borrow_and_update();
        bar.set_position(now.covered);
        if now.covered >= now.size {
            break now.size;
        }
        if progress.changed().await.is_err() {
            return Err(Failure::new(Exit::Failed, "the index could not be built")
                .hint("run `piperoll doctor`")
                .into());
        }
    };
    bar.finish_and_clear();
    opened.close().await;
    if output.is_json() {
        output.json_line(&object([("events", size.into())]))?;
    } else {
        output.line(format_args!("Built the index anew from {}.", counted(size, "event", "events")))?;
    }
    Ok(Exit::Success)
}
