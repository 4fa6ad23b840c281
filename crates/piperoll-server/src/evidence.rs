//! The evidence of a send: what allowed it, what was sent, what became of it, and what is not known.

use chrono_tz::Tz;
use piperoll_format::Kind;
use piperoll_projections::{Assignment, Fact, SendCheck, render};

use crate::access::Access;
use crate::archive::Archive;
use crate::consent::{rule, signals};
use crate::disposal::Disposals;
use crate::error::ApiError;
use crate::moment::shown;
use crate::people::Proven;
use crate::template::{components, seqs_of, state_view};
use crate::tokens::Caller;
use crate::wire::{AssigneeView, LastInboundView, PayloadState, SendEvidenceView, StatusView, ViolationView};

impl Archive {
    /// Gathers the evidence of a message that was sent, by its id.
    ///
    /// # Errors
    /// Those of reading and of a commit; that something is not known is none.
    pub async fn send_evidence(
        &self,
        caller: &Caller,
        wamid: &str,
        zone: Option<Tz>,
    ) -> Result<SendEvidenceView, ApiError> {
        let zone = zone.unwrap_or(self.time_zone);
        let complete_to = self.progress().borrow().projected;
        let (asked, rules) = (wamid.to_owned(), self.rules());
        let (check, assignee) = self
            .ask(move |projections| {
                let check = projections.check_message(&asked, &rules)?.unwrap_or_else(|| SendCheck {
                    missing: vec!["any event about this message".to_owned()],
                    ..SendCheck::default()
                });
                let assignee = match (&check.number, check.at) {
                    (Some(number), Some(at)) => projections.assignee(number, at)?,
                    _ => None,
                };
                Ok((check, assignee))
            })
            .await?;
        let seqs = seqs(&check, assignee.as_ref());
        let proven = self.prove_all(seqs.clone()).await?;
        let access =
            Access { action: "evidence", target: Some(wamid), shown: seqs.clone(), ..Access::default() };
        let recorded = self.record_access(Kind::AccessView, caller, &access).await?;
        let disposals = self.disposals().await?;
        let missing = all_missing(&check, &seqs, &proven, &disposals);
        let mut view = shown_check(&check, assignee, &proven, zone);
        view.wamid = wamid.to_owned();
        view.verdict =
            if missing.is_empty() && check.violations.is_empty() { "PROVEN" } else { "NOT PROVEN" }
                .to_owned();
        view.missing = missing;
        view.consent_evidence = signals(&check.consent.evidence, &proven, &disposals, zone);
        view.consent_rule = rule(view.consent_rule, &disposals);
        view.events = seqs.into_iter().filter_map(|seq| proven.view(seq)).collect();
        (view.complete_to, view.recorded_as) = (complete_to, recorded.0);
        Ok(view)
    }
}

/// Adds to what is not known what can no longer be shown, and what may be the reason.
fn all_missing(check: &SendCheck, seqs: &[u64], proven: &Proven, disposals: &Disposals) -> Vec<String> {
    let mut missing = check.missing.clone();
    // What is known about an event is forgotten with its bucket: nobody can tell any more whether it was this one's.
    if !missing.is_empty()
        && let Some(named) = disposals.named()
    {
        missing.push(format!("what was disposed of: {named}; events about this message may have been in it"));
    }
    for seq in seqs {
        let Some(view) = proven.view(*seq) else {
            missing.push(format!("the proof of event {seq}: it is newer than the last checkpoint"));
            continue;
        };
        let bucket = proven.bucket_of(*seq).map_or_else(String::new, |bucket| format!(" (bucket {bucket})"));
        match (view.state, proven.disposed_on(*seq, disposals)) {
            (PayloadState::Available, _) => {}
            (_, Some(on)) => missing.push(format!("the content of event {seq}{bucket}: disposed of on {on}")),
            (PayloadState::Destroyed, None) => {
                missing.push(format!("the content of event {seq}{bucket}: it was disposed of or erased"));
            }
            (PayloadState::Unreadable, None) => {
                missing.push(format!("the content of event {seq}{bucket}: it cannot be read"));
            }
        }
    }
    missing
}

/// Returns every event that the evidence rests on, in the order of the ledger.
fn seqs(check: &SendCheck, assignee: Option<&Fact<Assignment>>) -> Vec<u64> {
    let mut seqs: Vec<u64> =
        [check.request, check.answer, check.window.last_inbound].into_iter().flatten().collect();
    seqs.extend(check.statuses.iter().map(|(_, seq, _)| *seq));
    seqs.extend(check.consent.evidence.iter().map(|weighed| weighed.seq));
    seqs.extend(check.template_state.iter().flat_map(seqs_of));
    seqs.extend(assignee.map(|fact| fact.seq));
    seqs.sort_unstable();
    seqs.dedup();
    seqs
}

/// Returns the text of a send: of a template with its parameters, else what was written.
pub(crate) fn text_of(seq: u64, version: Option<u64>, proven: &Proven) -> Option<String> {
    let request = || proven.document(seq)?.get("request").cloned();
    if let Some(components) = version.and_then(|version| components(version, proven))
        && let Some(request) = request()
    {
        let sent = request.get("template").and_then(|template| template.get("components"));
        return Some(render(&components, sent));
    }
    let texts = proven.view(seq)?.message?.texts;
    (!texts.is_empty()).then(|| texts.join("\n"))
}

fn shown_check(
    check: &SendCheck,
    assignee: Option<Fact<Assignment>>,
    proven: &Proven,
    zone: Tz,
) -> SendEvidenceView {
    let version = check.template_state.as_ref().and_then(|state| state.version.as_ref());
    let version = version.map(|version| version.seq);
    let violation = |violation: &piperoll_projections::Violation| ViolationView {
        rule: violation.rule.as_str().to_owned(),
        detail: violation.detail.clone(),
        shown_by: violation.shown_by,
    };
    let status = |(at, seq, status): &(i64, u64, String)| StatusView {
        status: status.clone(),
        at: shown(*at, zone),
        seq: *seq,
        errors: proven
            .view(*seq)
            .and_then(|event| event.message)
            .map(|message| message.error_codes)
            .unwrap_or_default(),
        person: None,
    };
    SendEvidenceView {
        wamid: String::new(),
        verdict: String::new(),
        missing: Vec::new(),
        violations: check.violations.iter().map(violation).collect(),
        sent_at: check.at.map(|at| shown(at, zone)),
        number: check.number.clone(),
        assignee: assignee.map(|fact| AssigneeView {
            employee: fact.value.employee,
            name: fact.value.name,
            seq: fact.seq,
        }),
        aliases: check.person.keys().map(str::to_owned).collect(),
        message_type: check.message_type.clone(),
        purpose: check.purpose.clone(),
        text: check.request.and_then(|seq| text_of(seq, version, proven)),
        request: check.request,
        answer: check.answer,
        template_name: check.template.as_ref().and_then(|template| template.name.clone()),
        template: check.template_state.as_ref().map(|state| state_view(state, proven, zone)),
        consent: check.consent.state.as_str().to_owned(),
        consent_rule: check.consent.rule.clone(),
        consent_evidence: Vec::new(),
        last_inbound: check
            .window
            .last_inbound_at
            .zip(check.window.last_inbound)
            .map(|(at, seq)| LastInboundView { at: shown(at, zone), seq }),
        window_open: check.window.is_open,
        statuses: check.statuses.iter().map(status).collect(),
        events: Vec::new(),
        time_zone: zone.to_string(),
        complete_to: 0,
        recorded_as: 0,
    }
}
