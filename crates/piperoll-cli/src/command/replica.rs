//! `piperoll replica status`: how far the second copy is, and whether it is the same.

use piperoll_replica::{Comparison, Pair, compare};
use piperoll_server::{ReplicaEndView, ReplicaView};

use crate::args::{Global, ReplicaCommand};
use crate::client::Client;
use crate::config::{Environment, Flags, Settings};
use crate::directory::ArchiveDirectory;
use crate::error::{Exit, one_line};
use crate::lock::Running;
use crate::output::{GREEN, Output, RED, YELLOW};
use crate::replica::required_place;
use crate::store::{StorePlace, the_ledger};
use crate::text::{count, counted};

pub(crate) async fn run(global: &Global, command: &ReplicaCommand, output: &Output) -> anyhow::Result<Exit> {
    let ReplicaCommand::Status = command;
    let view = view(global).await?;
    if output.is_json() {
        output.json_line(&view)?;
    } else {
        show(&view, output)?;
    }
    Ok(if is_well(&view) { Exit::Success } else { Exit::Failed })
}

/// Asks the server that runs; without one, looks at both stores, which works also when the archive cannot be opened.
pub(crate) async fn view(global: &Global) -> anyhow::Result<ReplicaView> {
    let is_served = match &global.server {
        Some(_) => true,
        None => Running::find(&ArchiveDirectory::existing(global.directory())?)?.is_some(),
    };
    if is_served {
        let client = Client::connect(global).await?;
        let view = client.get("/v1/replica").await;
        client.close().await;
        return view;
    }
    let directory = ArchiveDirectory::existing(global.directory())?;
    let settings = Settings::load(&directory, Flags::default(), &Environment::of_process())?;
    let place = required_place(&directory, &settings)?;
    let mut view = ReplicaView { location: place.location(), ..ReplicaView::default() };
    match look(&StorePlace::new(&directory, &settings.store), &place, &mut view).await {
        Ok(compared) => take(&mut view, &compared),
        Err(error) => view.trouble = Some(one_line(&error)),
    }
    Ok(view)
}

async fn look(
    primary: &StorePlace,
    replica: &StorePlace,
    view: &mut ReplicaView,
) -> anyhow::Result<Comparison> {
    let replica = replica.open_read_only()?;
    view.enforcement = replica.describe().enforcement.to_string();
    let primary = primary.open_read_only()?;
    // A primary that is gone leaves the copy to say which ledger it was.
    let ledger = match the_ledger(&*primary).await {
        Ok(ledger) => ledger,
        Err(error) => the_ledger(&*replica).await.map_err(|_| error)?,
    };
    Ok(compare(&Pair { ledger, primary, replica }).await?)
}

fn take(view: &mut ReplicaView, compared: &Comparison) {
    view.primary = compared.primary.map(ReplicaEndView::from);
    view.replica = compared.replica.map(ReplicaEndView::from);
    view.events_behind = Some(compared.events_behind());
    view.events_ahead = compared.events_ahead();
    view.agree = compared.agree;
}

/// Whether nobody has to look: a copy that is merely behind while no server runs is well.
pub(crate) fn is_well(view: &ReplicaView) -> bool {
    view.trouble.is_none()
        && !view.is_stopped
        && view.agree != Some(false)
        && view.events_ahead == 0
        && view.findings_count == 0
        && (!view.is_following || view.lag_seconds < view.behind_after_seconds)
}

fn show(view: &ReplicaView, output: &Output) -> anyhow::Result<()> {
    let end = |end: &Option<ReplicaEndView>| match end {
        Some(end) => {
            let newest = end.recorded_at.as_ref().map(|at| format!(", newest {}", output.time_of(at)));
            let (events, segments) =
                (counted(end.events, "event", "events"), counted(end.segments, "segment", "segments"));
            format!("{events} in {segments}{}", newest.unwrap_or_default())
        }
        None => "no ledger, or no answer".to_owned(),
    };
    output.line(format_args!("replica    {} ({} early deletion)", view.location, view.enforcement))?;
    output.line(format_args!("primary    {}", end(&view.primary)))?;
    output.line(format_args!("copy       {}", end(&view.replica)))?;
    match view.events_behind {
        Some(0) => output.line(format_args!("{GREEN}behind     0 events{GREEN:#}"))?,
        Some(behind) => {
            let since = view.behind_since.as_ref().map(|at| format!(", since {}", output.time_of(at)));
            let behind = counted(behind, "event", "events");
            output
                .line(format_args!("{YELLOW}behind     {behind}{}{YELLOW:#}", since.unwrap_or_default()))?;
        }
        None => output.line(format_args!("{YELLOW}behind     is not known{YELLOW:#}"))?,
    }
    if view.events_ahead > 0 {
        let ahead = count(view.events_ahead);
        output.line(format_args!(
            "{RED}ahead      the copy has {ahead} events that the primary lacks{RED:#}"
        ))?;
    }
    match view.agree {
        Some(true) => {
            output.line(format_args!("{GREEN}same       the newest common segment is the same{GREEN:#}"))?;
        }
        Some(false) => {
            output.line(format_args!("{RED}same       no: the two are different ledgers{RED:#}"))?;
        }
        None => {}
    }
    if let Some(trouble) = &view.trouble {
        let what = if view.is_stopped { "stopped" } else { "trouble" };
        output.line(format_args!("{RED}{what:<10} {trouble}{RED:#}"))?;
    }
    if view.disposed_left > 0 {
        let left = counted(view.disposed_left, "object", "objects");
        output.line(format_args!("{YELLOW}left       {left} that should be destroyed{YELLOW:#}"))?;
    }
    for finding in &view.findings {
        output.line(format_args!("{RED}finding    {finding}{RED:#}"))?;
    }
    Ok(())
}
