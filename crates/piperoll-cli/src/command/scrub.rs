//! `piperoll scrub`: reads every object again and repairs one copy from the other.

use std::time::Duration;

use piperoll_server::{ProblemView, ScrubSideView, ScrubView};

use crate::args::Global;
use crate::client::Client;
use crate::error::{Exit, Failure};
use crate::output::{GREEN, Output, RED, YELLOW};
use crate::text::{bytes, counted};

/// The pause between two looks at how far the pass is.
const LOOK_EVERY: Duration = Duration::from_millis(100);

pub(crate) async fn run(global: &Global, output: &Output) -> anyhow::Result<Exit> {
    let client = Client::connect(global).await?;
    let ended = scrub(&client, output).await;
    client.close().await;
    let view = ended?;
    if let Some(trouble) = &view.trouble {
        return Err(Failure::new(Exit::Incomplete, format!("the pass did not end: {trouble}")).into());
    }
    if output.is_json() {
        output.json_line(&view)?;
    } else {
        show(&view, output)?;
    }
    Ok(if view.is_sound { Exit::Success } else { Exit::Findings })
}

/// Orders a pass and waits for its end.
async fn scrub(client: &Client, output: &Output) -> anyhow::Result<ScrubView> {
    client.order("/v1/scrub").await?;
    let view: ScrubView = client.get("/v1/scrub").await?;
    let bar = output.progress("Scrubbing", view.segments_total);
    loop {
        let view: ScrubView = client.get("/v1/scrub").await?;
        bar.set_length(view.segments_total);
        bar.set_position(view.segments);
        if !view.is_running {
            bar.finish_and_clear();
            return Ok(view);
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

fn show(view: &ScrubView, output: &Output) -> anyhow::Result<()> {
    let sides = [("store", &view.primary), ("replica", &view.replica)];
    for (name, side) in sides.into_iter().filter_map(|(name, side)| Some((name, side.as_ref()?))) {
        let (objects, sound) = (counted(side.objects, "object", "objects"), side.sound);
        output.line(format_args!("{name:<8} {objects}, {}, {sound} sound", bytes(side.bytes)))?;
        show_problems(side, output)?;
    }
    if view.repaired > 0 {
        let repaired = counted(view.repaired, "object", "objects");
        output
            .line(format_args!("{YELLOW}Made {repaired} good; see the `store.repaired` events.{YELLOW:#}"))?;
    }
    if view.is_sound {
        output.line(format_args!("{GREEN}Every object is as it was committed.{GREEN:#}"))
    } else {
        output.line(format_args!("{RED}Not every object is as it was committed.{RED:#}"))
    }
}

fn show_problems(side: &ScrubSideView, output: &Output) -> anyhow::Result<()> {
    let groups = [
        ("damaged", &side.damaged, side.damaged_count),
        ("missing", &side.missing, side.missing_count),
        ("unlocked", &side.unlocked, side.unlocked_count),
    ];
    for (what, problems, all) in groups {
        for ProblemView { object, detail, good_copy } in problems {
            let good = good_copy.as_ref().map(|store| format!("; a good copy is in the {store}"));
            let good = good.unwrap_or_default();
            output.line(format_args!("  {RED}{what:<8}{RED:#} {object}: {detail}{good}"))?;
        }
        let unlisted = all - (problems.len() as u64).min(all);
        if unlisted > 0 {
            output.line(format_args!("  and {unlisted} more {what}"))?;
        }
    }
    Ok(())
}
