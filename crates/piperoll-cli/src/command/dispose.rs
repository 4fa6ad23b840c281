//! `piperoll dispose`: what retention no longer keeps; first the plan, then the deed.

use std::io::{IsTerminal as _, Write as _};

use anyhow::Context as _;
use console::Term;
use piperoll_server::{DisposalPlanView, DisposalView};

use crate::args::{DisposeCommand, Global};
use crate::client::Client;
use crate::error::{Exit, Failure};
use crate::output::{BOLD, DIM, Output, YELLOW, object};
use crate::text::{bytes, counted};

pub(crate) async fn run(global: &Global, command: &DisposeCommand, output: &Output) -> anyhow::Result<Exit> {
    let client = Client::connect(global).await?;
    let done = match command {
        DisposeCommand::Plan => show_plan(&client, output).await,
        DisposeCommand::Execute(args) => dispose(&client, args.yes, output).await,
    };
    client.close().await;
    done
}

async fn show_plan(client: &Client, output: &Output) -> anyhow::Result<Exit> {
    print_plan(&plan(client).await?, output)?;
    Ok(Exit::Success)
}

async fn dispose(client: &Client, is_confirmed: bool, output: &Output) -> anyhow::Result<Exit> {
    let plan = plan(client).await?;
    if plan.due.is_empty() {
        if output.is_json() {
            output.json_line(&DisposalView { disposed: Vec::new() })?;
        } else {
            output.line("Nothing is due.")?;
        }
        return Ok(Exit::Success);
    }
    if !is_confirmed {
        confirm(&plan, output)?;
    }
    // What was shown is what goes: a bucket that became due since is left for the next time.
    let buckets: Vec<&str> = plan.due.iter().map(|due| due.bucket.as_str()).collect();
    let done = execute(client, &buckets).await?;
    print_done(&done, output)?;
    let is_complete = done.disposed.iter().all(|bucket| bucket.left.is_empty());
    Ok(if is_complete { Exit::Success } else { Exit::Failed })
}

/// Asks what is due.
pub(crate) async fn plan(client: &Client) -> anyhow::Result<DisposalPlanView> {
    client.get("/v1/dispose/plan").await
}

/// Disposes of the named buckets.
pub(crate) async fn execute(client: &Client, buckets: &[&str]) -> anyhow::Result<DisposalView> {
    client.post("/v1/dispose/execute", &object([("buckets", buckets.to_vec().into())])).await
}

/// Prints a plan.
pub(crate) fn print_plan(plan: &DisposalPlanView, output: &Output) -> anyhow::Result<()> {
    if output.is_json() {
        return output.json_line(plan);
    }
    if plan.due.is_empty() {
        output.line("Nothing is due.")?;
    } else {
        let total: u64 = plan.due.iter().map(|due| due.bytes).sum();
        let buckets = counted(plan.due.len() as u64, "bucket is", "buckets are");
        output.line(format_args!("{BOLD}{buckets} due, {}{BOLD:#}", bytes(total)))?;
        let rows = plan.due.iter().map(|due| {
            vec![
                due.bucket.clone(),
                due.objects.to_string(),
                bytes(due.bytes),
                format!("{} v{}", due.policy, due.version),
                output.time_of(&due.due_since),
                due.reason.clone(),
            ]
        });
        let header = ["bucket", "objects", "bytes", "policy", "due since", "reason"];
        output.table(&header, rows.collect(), &[1, 2])?;
    }
    if !plan.stays.is_empty() {
        let buckets = counted(plan.stays.len() as u64, "bucket stays", "buckets stay");
        output.line(format_args!("\n{BOLD}{buckets}{BOLD:#}"))?;
        let rows = plan.stays.iter().map(|kept| {
            let until = kept.due_at.as_deref().map_or_else(|| "unknown".to_owned(), |at| output.time_of(at));
            vec![kept.bucket.clone(), until, kept.reason.clone()]
        });
        output.table(&["bucket", "can go after", "reason"], rows.collect(), &[])?;
    }
    Ok(())
}

/// Prints what was disposed of.
pub(crate) fn print_done(done: &DisposalView, output: &Output) -> anyhow::Result<()> {
    if output.is_json() {
        return output.json_line(done);
    }
    let rows = done.disposed.iter().map(|bucket| {
        let completed = bucket.completed.map_or_else(|| "not complete".to_owned(), |seq| seq.to_string());
        vec![
            bucket.bucket.clone(),
            bucket.objects.to_string(),
            bytes(bucket.bytes),
            bucket.ordered.to_string(),
            completed,
        ]
    });
    output.table(
        &["destroyed", "objects", "bytes", "ordered by event", "completed by event"],
        rows.collect(),
        &[1, 2],
    )?;
    for left in done.disposed.iter().flat_map(|bucket| &bucket.left) {
        output.line(format_args!("{YELLOW}still there:{YELLOW:#} {} ({})", left.object, left.reason))?;
    }
    output.line(format_args!(
        "{DIM}Copies outside this archive, such as backups of its disk, are not reached.{DIM:#}"
    ))
}

fn confirm(plan: &DisposalPlanView, output: &Output) -> anyhow::Result<()> {
    let mut term = Term::stderr();
    if output.is_json() || !term.is_term() || !std::io::stdin().is_terminal() {
        let message = "destroying records needs a confirmation and nobody is there to ask";
        return Err(Failure::new(Exit::Usage, message)
            .hint("look at `piperoll dispose plan`, then add --yes")
            .into());
    }
    print_plan(plan, output)?;
    let buckets = counted(plan.due.len() as u64, "bucket", "buckets");
    write!(term, "\nDestroy {buckets} for ever? Type `destroy` to go on: ")
        .and_then(|()| term.flush())
        .context("write to the terminal")?;
    if term.read_line().context("read the answer")?.trim() == "destroy" {
        return Ok(());
    }
    Err(Failure::new(Exit::Failed, "not confirmed; nothing was destroyed").into())
}
