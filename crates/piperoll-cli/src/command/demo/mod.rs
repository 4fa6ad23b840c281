//! `piperoll demo`: a fresh archive, realistic traffic over real HTTP, and a tour of what can be done with it.

mod deliver;
mod sends;
mod tour;

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Context as _;
use tokio::sync::oneshot;

use crate::args::{DemoArgs, Global};
use crate::client::Client;
use crate::command::init;
use crate::config::{ConfigFile, Environment, Flags, Secret, Settings, Store, WhatsApp};
use crate::directory::ArchiveDirectory;
use crate::error::{Exit, Failure};
use crate::output::{BOLD, DIM, Output};
use crate::secret::{hex, random};
use crate::serve::{Serving, Source, interrupted};
use tour::Tour;

/// Where the demonstration listens when nothing else is said and the port is free.
const LISTEN: &str = "127.0.0.1:8722";

pub(crate) async fn run(global: &Global, args: &DemoArgs, output: &Output) -> anyhow::Result<Exit> {
    if output.is_json() {
        let failure = Failure::new(Exit::Usage, "the demonstration is for people and prints no JSON");
        return Err(failure.hint("use the commands that it shows, with --json").into());
    }
    let directory = ArchiveDirectory::new(&place(global)?);
    output
        .line(format_args!("{BOLD}Piperoll{BOLD:#}, a write-once archive for WhatsApp Business traffic\n"))?;
    let created =
        init::create(&directory, Some("piperoll.demo/archive"), &init::demo_policies()?, &Store::default())
            .await?;
    output.line(format_args!("{DIM}archive{DIM:#}  {}", directory.root().display()))?;
    output.line(format_args!("{DIM}ledger{DIM:#}   {}", created.ledger))?;
    output.line(format_args!("{DIM}vkey{DIM:#}     {}", created.vkey))?;
    let app_secret = hex(&*random()?);
    let settings = settings(args.listen, &app_secret).await?;
    let serving = Serving::start(&directory, &settings, Source::Store).await?;
    output.line(format_args!("{DIM}server{DIM:#}   {}", serving.url()))?;
    let client = Client::http(&serving.url(), serving.local_token().to_owned())?;
    let url = serving.url();
    let (stop, stopped) = oneshot::channel::<()>();
    let server = tokio::spawn(serving.run(async {
        // A sender that is dropped asks to stop as well.
        drop(stopped.await);
    }));
    let toured = tokio::select! {
        toured = tour(&client, &directory, &created.vkey, &app_secret, output) => toured.map(|()| Exit::Success),
        () = interrupted()? => Ok(Exit::Interrupted),
    };
    if matches!(toured, Ok(Exit::Success)) && !args.exit {
        keep_serving(&directory, &url, output)?;
        interrupted()?.await;
    }
    drop(stop);
    server.await.context("the server ended in disorder")??;
    toured
}

async fn tour(
    client: &Client,
    directory: &ArchiveDirectory,
    vkey: &str,
    app_secret: &str,
    output: &Output,
) -> anyhow::Result<()> {
    deliver::deliver(client, app_secret, output).await?;
    sends::bring(client, app_secret).await?;
    Tour { client, directory, vkey, output }.run().await
}

fn keep_serving(directory: &ArchiveDirectory, url: &str, output: &Output) -> anyhow::Result<()> {
    output.line(format_args!(
        "\n{BOLD}Still serving on {url}{BOLD:#}; Ctrl-C ends it. In another terminal, try"
    ))?;
    let dir = directory.root().display();
    for command in ["search 'has:attachment after:2026-11-10'", "search 'kind:consent.*'", "doctor"] {
        output.line(format_args!("  piperoll --dir {dir} {command}"))?;
    }
    Ok(())
}

/// Returns the directory to use: the one named, or a new one among the temporary files.
fn place(global: &Global) -> anyhow::Result<PathBuf> {
    match &global.dir {
        Some(dir) => Ok(dir.clone()),
        None => Ok(std::env::temp_dir().join(format!("piperoll-demo-{}", hex(&random()?[..4])))),
    }
}

/// The environment and files of real archives have no say here: the demonstration has secrets of its own.
async fn settings(listen: Option<SocketAddr>, app_secret: &str) -> anyhow::Result<Settings> {
    let whatsapp = WhatsApp { app_secrets: vec![Secret::new(app_secret)], verify_token: None };
    let file = ConfigFile { whatsapp: Some(whatsapp), ..ConfigFile::default() };
    let listen = match listen {
        Some(listen) => listen,
        None => free_address().await?,
    };
    let flags = Flags { listen: Some(listen), ..Flags::default() };
    Settings::merge(file, flags, &Environment::default())
}

/// Returns the usual address, or one with any free port when that is taken.
async fn free_address() -> anyhow::Result<SocketAddr> {
    let usual: SocketAddr = LISTEN.parse().expect("the usual address is one");
    match tokio::net::TcpListener::bind(usual).await {
        Ok(_) => Ok(usual),
        Err(_) => Ok(SocketAddr::new(usual.ip(), 0)),
    }
}
