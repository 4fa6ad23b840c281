//! `piperoll serve`: receives webhooks and answers the API until it is told to end.

use std::io;

use tracing_subscriber::EnvFilter;

use crate::args::{Global, LogForm, ServeArgs};
use crate::config::{Environment, Flags, Settings};
use crate::directory::ArchiveDirectory;
use crate::error::Exit;
use crate::output::{BOLD, Output, object};
use crate::serve::{Serving, Source, interrupted};

pub(crate) async fn run(global: &Global, args: &ServeArgs, output: &Output) -> anyhow::Result<Exit> {
    start_log(args.log);
    let directory = ArchiveDirectory::existing(global.directory())?;
    let environment = Environment::of_process();
    for (name, meant) in environment.misspelt() {
        tracing::warn!(variable = name, "unknown environment variable; is `{meant}` meant?");
    }
    let flags = Flags { listen: args.listen, time_zone: global.tz, confirms_clock: args.confirm_clock };
    let settings = Settings::load(&directory, flags, &environment)?;
    if settings.whatsapp.app_secrets.is_empty() {
        tracing::warn!(
            "no WhatsApp app secret is set, so every webhook is refused; set PIPEROLL_WHATSAPP_APP_SECRET"
        );
    }
    let source = match args.replica {
        true => Source::Replica { accepts_loss: args.accept_loss },
        false => Source::Store,
    };
    let serving = Serving::start(&directory, &settings, source).await?;
    // Whoever reads the line may end the server at once.
    let interrupted = interrupted()?;
    if output.is_json() {
        output
            .json_line(&object([("listening", serving.url().into()), ("pid", std::process::id().into())]))?;
    } else {
        output.note(format_args!("{BOLD}listening on {}{BOLD:#}", serving.url()));
    }
    let ended = async {
        interrupted.await;
        tracing::info!("stopping");
    };
    serving.run(ended).await?;
    Ok(Exit::Success)
}

/// Logs to stderr: text with colours on a terminal, or JSON. `RUST_LOG` chooses what.
fn start_log(form: LogForm) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    // A log that cannot be written, such as a file on a full disk, must not stop a request: complaining about it on stderr
    // would panic there.
    let builder =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).log_internal_errors(false);
    let started = match form {
        LogForm::Json => builder.json().flatten_event(true).try_init(),
        LogForm::Text => {
            builder.with_target(false).with_ansi(io::IsTerminal::is_terminal(&io::stderr())).try_init()
        }
    };
    if let Err(error) = started {
        // Only a second call in one process fails, and the first log goes on.
        tracing::debug!(%error, "the log was started before");
    }
}
