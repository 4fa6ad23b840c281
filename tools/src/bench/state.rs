//! What is folded from events, at the size of the archive: making the projections anew, pages of conversations, and
//! what a consent and a template were at a moment.

#![expect(clippy::disallowed_methods, reason = "`json!` unwraps what cannot fail")]

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::figure::{Figure, Results, Target};
use super::grown::Grown;
use super::histogram::Histogram;
use super::http::{Connection, escape, write_request};
use super::probe::flush;
use super::search::duration;
use super::supply::{Supply, bodies};
use super::{millis, now};
use crate::traffic::{BASE_TIME, Traffic};

/// Conversations that have a full page.
const LONG: usize = 20;
/// Messages of a page.
pub(super) const PAGE: usize = 200;
/// Consents that are handed in; fewer persons, since some withdraw.
const CONSENTS: usize = 400;
/// Each question is asked this often, after once without counting.
const TIMES: usize = 5;
/// The number with the long conversations.
const NUMBER: &str = "100000000000001";

static PROJECT: Figure = Figure::new(
    "projections-rebuild",
    "projections made anew, with the server's start",
    "events/s",
    Target::AtLeast(40_000.0),
);
static MEMORY: Figure = Figure::new(
    "projections-memory",
    "resident memory of the server meanwhile, peak",
    "MB",
    Target::AtMost(500.0),
);
static ANONYMOUS: Figure =
    Figure::new("projections-anonymous", "of it not mapped files, at the end", "MB", Target::None);
static PAGE_P50: Figure = ms("conversation-p50", "conversation, 200 messages, p50", Target::None).detail();
static PAGE_P99: Figure =
    ms("conversation-p99", "conversation, page of 200 messages, whole request, p99", Target::AtMost(50.0));
static CONSENT: [Figure; 2] = [
    ms("consent-projections-p99", "consent at a moment, projections, p99", Target::AtMost(5.0)),
    ms("consent-p99", "consent at a moment, whole request with proofs, p99", Target::None),
];
static TEMPLATE: [Figure; 2] = [
    ms("template-projections-p99", "template at a moment, projections, p99", Target::AtMost(5.0)),
    ms("template-p99", "template at a moment, whole request with proofs, p99", Target::None),
];

const fn ms(key: &'static str, title: &'static str, target: Target) -> Figure {
    Figure::new(key, title, "ms", target)
}

/// Prepares the messages of the long conversations that belong into a part of the archive: each gets its share of a
/// page, so that the messages of a page are spread over the ledger.
///
/// # Errors
///
/// Fails when a body is not that of a text message.
pub(super) fn share(part: u64, parts: u64) -> Result<Supply> {
    let each = PAGE.div_ceil(usize::try_from(parts.max(1))?) + 1;
    let mut messages = Vec::with_capacity(each * LONG);
    for (nth, body) in bodies(part, each * LONG).enumerate() {
        let sample: Value = serde_json::from_slice(&body)?;
        let value = &sample["entry"][0]["changes"][0]["value"];
        let (text, at) = (&value["messages"][0]["text"]["body"], &value["messages"][0]["timestamp"]);
        ensure!(text.is_string() && at.is_string(), "expected a text message, found {value}");
        let from = handset(nth % LONG);
        let message = json!({"from": from, "id": format!("wamid.long.{part}.{nth}"), "timestamp": at,
            "type": "text", "text": {"body": text}});
        let value = json!({"messaging_product": "whatsapp", "messages": [message],
            "metadata": {"display_phone_number": "15550100900", "phone_number_id": NUMBER},
            "contacts": [{"profile": {"name": format!("Long {}", nth % LONG)}, "wa_id": from}]});
        let body = json!({"object": "whatsapp_business_account",
            "entry": [{"id": "1", "changes": [{"field": "messages", "value": value}]}]});
        messages.push(body.to_string().into_bytes());
    }
    Ok(Supply::sign(messages.into_iter(), 1))
}

fn handset(nth: usize) -> String {
    format!("1555019{nth:04}")
}

/// Hands in consents and templates, once for all rounds.
///
/// # Errors
///
/// Fails when the server does, or when it refuses one.
pub(super) fn prepare(grown: &Grown) -> Result<Asked> {
    let server = grown.archive.serve()?;
    let consents: Vec<Vec<u8>> = Traffic::consents(7, BASE_TIME - 86_400, CONSENTS).collect();
    let templates: Vec<Vec<u8>> = Traffic::template_snapshots(BASE_TIME - 86_400).collect();
    let authorization = format!("Bearer {}", grown.archive.token);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut connection = Connection::open(&server.address).await?;
        for event in consents.iter().chain(&templates) {
            let mut request = Vec::new();
            let headers = [("Authorization", authorization.as_str()), ("Content-Type", "application/json")];
            write_request(&mut request, "POST", "/v1/events", &headers, event);
            let status = connection.status(&request).await?;
            ensure!(status == 200, "expected 200 for an event, found {status}");
        }
        Ok::<_, anyhow::Error>(())
    })?;
    server.stop()?;
    Asked::of(&consents, &templates)
}

/// The addresses that are asked.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Asked {
    conversations: Vec<String>,
    consents: Vec<String>,
    templates: Vec<String>,
}

impl Asked {
    fn of(consents: &[Vec<u8>], templates: &[Vec<u8>]) -> Result<Self> {
        let text = |value: &Value| value.as_str().map(str::to_owned).context("expected a text");
        let mut asked = Self::default();
        let at = escape("2099-01-01T00:00:00Z");
        for nth in 0..LONG {
            let id = escape(&format!("{NUMBER}:{}", handset(nth)));
            asked.conversations.push(format!("/v1/conversations/{id}?limit={PAGE}"));
        }
        for consent in consents.iter().step_by(4) {
            let person = escape(&text(&serde_json::from_slice::<Value>(consent)?["person"]["phone"])?);
            asked.consents.push(format!("/v1/persons/{person}/consent?purpose=marketing&at={at}"));
        }
        for template in templates {
            let name = escape(&text(&serde_json::from_slice::<Value>(template)?["template"]["name"])?);
            asked.templates.push(format!("/v1/templates/{name}?at={at}"));
        }
        Ok(asked)
    }
}

/// Makes the projections anew and asks them.
///
/// # Errors
///
/// Fails when the server does, or when an answer lacks what was handed in.
pub(super) fn measure(dir: &Path, grown: &Grown, asked: &Asked, results: &mut Results) -> Result<()> {
    grown.archive.forget_projections()?;
    let before = flush(dir)?;
    let begun = now();
    let server = grown.archive.serve()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut connection = Connection::open(&server.address).await?;
        let events = wait_for_projections(&mut connection, &grown.archive.token).await?;
        let probes = Some([before, flush(dir)?]);
        #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
        let rate = events as f64 / begun.elapsed().as_secs_f64();
        results.add(&PROJECT, rate, probes);
        ask_all(&mut connection, dir, grown, asked, results).await
    })?;
    let memory = server.memory()?;
    results.add(&MEMORY, memory.peak, None);
    results.add(&ANONYMOUS, memory.anonymous, None);
    server.stop()
}

async fn ask_all(
    connection: &mut Connection,
    dir: &Path,
    grown: &Grown,
    asked: &Asked,
    results: &mut Results,
) -> Result<()> {
    let token = &grown.archive.token;
    let before = flush(dir)?;
    let is_full = |page: &Value| page["turns"].as_array().is_some_and(|turns| turns.len() == PAGE);
    let (whole, _) = ask(connection, token, &asked.conversations, &is_full).await?;
    results.add(&PAGE_P50, millis(whole.quantile(0.5)), None);
    results.add(&PAGE_P99, millis(whole.quantile(0.99)), Some([before, flush(dir)?]));
    let is_known = |consent: &Value| consent["state"] != "unknown";
    let (whole, inside) = ask(connection, token, &asked.consents, &is_known).await?;
    results.add(&CONSENT[0], millis(inside.quantile(0.99)), None);
    results.add(&CONSENT[1], millis(whole.quantile(0.99)), None);
    let is_told = |template: &Value| template["languages"].as_array().is_some_and(|all| !all.is_empty());
    let (whole, inside) = ask(connection, token, &asked.templates, &is_told).await?;
    results.add(&TEMPLATE[0], millis(inside.quantile(0.99)), None);
    results.add(&TEMPLATE[1], millis(whole.quantile(0.99)), None);
    Ok(())
}

/// Asks every address; gives the times of whole requests, and those in the projections as the server tells them.
async fn ask(
    connection: &mut Connection,
    token: &str,
    paths: &[String],
    is_right: &dyn Fn(&Value) -> bool,
) -> Result<(Histogram, Histogram)> {
    let (mut whole, mut inside) = (Histogram::new(), Histogram::new());
    for round in 0..=TIMES {
        for path in paths {
            let request = get(token, path);
            let started = now();
            let response = connection.call(&request).await?;
            let elapsed = started.elapsed();
            ensure!(response.status == 200, "`{path}` was answered with {}", response.status);
            if round == 0 {
                let answer: Value = serde_json::from_slice(&response.body)?;
                ensure!(is_right(&answer), "`{path}` was answered with too little: {answer}");
                continue;
            }
            whole.record(elapsed);
            let timing = response.header("server-timing");
            if let Some(took) = timing.and_then(|timing| duration(timing, "projections")) {
                inside.record(took);
            }
        }
    }
    Ok((whole, inside))
}

fn get(token: &str, path: &str) -> Vec<u8> {
    let (mut request, authorization) = (Vec::new(), format!("Bearer {token}"));
    write_request(&mut request, "GET", path, &[("Authorization", &authorization)], b"");
    request
}

/// Waits until the projections have every event; gives how many these are.
async fn wait_for_projections(connection: &mut Connection, token: &str) -> Result<u64> {
    const PATIENCE: Duration = Duration::from_secs(600);
    let (begun, request) = (now(), get(token, "/v1/ledger"));
    loop {
        let response = connection.call(&request).await?;
        let ledger: Value = serde_json::from_slice(&response.body)?;
        let number =
            |name: &str| ledger[name].as_u64().with_context(|| format!("expected `{name}`: {ledger}"));
        let (size, projected) = (number("size")?, number("projected_to")?);
        if projected >= size {
            return Ok(size);
        }
        ensure!(begun.elapsed() < PATIENCE, "expected the projections within {} s", PATIENCE.as_secs());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests may unwrap")]
mod tests {
    use super::{Asked, LONG, PAGE, share};
    use crate::traffic::Traffic;

    #[test]
    fn shares_make_a_full_page_of_every_conversation() {
        for parts in [1, 4, 7] {
            let messages: usize = (0..parts).map(|part| share(part, parts).unwrap().len()).sum();
            assert!(messages >= PAGE * LONG, "{parts}: {messages}");
        }
    }

    #[test]
    fn persons_and_templates_that_were_handed_in_are_asked_for() {
        let consents: Vec<_> = Traffic::consents(7, 0, 8).collect();
        let templates: Vec<_> = Traffic::template_snapshots(0).collect();
        let asked = Asked::of(&consents, &templates).unwrap();
        assert_eq!((asked.conversations.len(), asked.consents.len()), (LONG, 2));
        assert_eq!(asked.templates.len(), templates.len());
        assert!(asked.consents[0].starts_with("/v1/persons/%2B"), "{}", asked.consents[0]);
    }
}
