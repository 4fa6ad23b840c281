//! The tour: each step says what it shows and which command would do the same.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use piperoll_format::Timestamp;
use piperoll_server::{
    ConversationView, CoverageView, DisposalPlanView, LedgerView, ProofView, SearchView, SendEvidenceView,
};
use piperoll_store::{Clock as _, SystemClock};
use piperoll_tlog::hash::leaf_hash;
use piperoll_tlog::note::key::VerifierKey;
use piperoll_tlog::tlog_proof::TlogProof;

use super::sends;
use crate::args::VerifyArgs;
use crate::client::{Client, encode, query};
use crate::command::{conversation, coverage, dispose, evidence, search, verify};
use crate::directory::ArchiveDirectory;
use crate::error::Exit;
use crate::output::{BOLD, CYAN, DIM, GREEN, Output};
use crate::text::{bytes, count, counted};

/// A phrase in English.
const PHRASE: &str = "\"fast before the blood test\"";
/// A word inside Japanese sentences, which have no spaces: blood test.
const JAPANESE: &str = "血液検査";
/// A number that left the platform and came back.
const WITH_GAPS: &str = "100000000000004";
/// The number whose records the demo policy keeps for five seconds.
const SHORT_LIVED: &str = "number:100000000000009 kind:whatsapp.*";
/// The class of that policy, as buckets begin.
const SHORT_LIVED_CLASS: &str = "demo/";
/// How much of a long listing is shown.
const SHOWN: u32 = 4;
/// A moment more than the store's clock needs to have passed the end of a lock.
const MARGIN: Duration = Duration::from_millis(20);
/// The pause between two looks at the gaps, each of which is a search on the record.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

pub(super) struct Tour<'a> {
    pub(super) client: &'a Client,
    pub(super) directory: &'a ArchiveDirectory,
    pub(super) vkey: &'a str,
    pub(super) output: &'a Output,
}

impl Tour<'_> {
    pub(super) async fn run(&self) -> anyhow::Result<()> {
        self.wait_for_index().await?;
        let found = self.search("Search: a phrase", PHRASE, SHOWN).await?;
        self.search("Search: a word in another language, without spaces around it", JAPANESE, SHOWN).await?;
        let hit = found.hits.first().context("the demo traffic has the phrase")?;
        let conversation = hit.message.as_ref().and_then(|message| message.conversation.as_deref());
        self.conversation(conversation.context("the hit belongs to a conversation")?).await?;
        self.proof(hit.seq).await?;
        self.coverage().await?;
        self.evidence("A send, with everything that allowed it", sends::PROVEN).await?;
        self.evidence("A send that nobody journaled", sends::NOT_PROVEN).await?;
        self.verify("Verify everything").await?;
        self.search("Retention: this number's records are kept for five seconds only", SHORT_LIVED, SHOWN)
            .await?;
        self.dispose().await?;
        self.verify("Verify again: what is gone by order is accounted for").await?;
        let left = self.search("Search for what was destroyed", SHORT_LIVED, SHOWN).await?;
        ensure!(left.total == 0, "expected nothing of the destroyed records, found {}", left.total);
        Ok(())
    }

    fn step(&self, title: &str, command: &str) -> anyhow::Result<()> {
        self.output.line(format_args!("\n{CYAN}▌{CYAN:#} {BOLD}{title}{BOLD:#}"))?;
        let dir = self.directory.root().display();
        self.output.line(format_args!("{CYAN}▌{CYAN:#} {DIM}piperoll --dir {dir} {command}{DIM:#}\n"))
    }

    async fn search(&self, title: &str, text: &str, limit: u32) -> anyhow::Result<SearchView> {
        self.step(title, &format!("search '{text}' --limit {limit}"))?;
        let parameters = [("q", Some(text.to_owned())), ("limit", Some(limit.to_string()))];
        let found: SearchView = self.client.get(&query("/v1/search", &parameters)).await?;
        search::print(&found, self.output)?;
        Ok(found)
    }

    async fn conversation(&self, id: &str) -> anyhow::Result<()> {
        self.step("The conversation of the first hit", &format!("conversation '{id}' --limit 8"))?;
        let path = query(&format!("/v1/conversations/{}", encode(id)), &[("limit", Some("8".to_owned()))]);
        let found: ConversationView = self.client.get(&path).await?;
        conversation::print(&found, self.output)
    }

    async fn coverage(&self) -> anyhow::Result<()> {
        self.step("What was not captured, and why", &format!("coverage {WITH_GAPS}"))?;
        let view: CoverageView = self.client.get(&format!("/v1/coverage/{WITH_GAPS}")).await?;
        ensure!(!view.missing.is_empty(), "expected gaps of number {WITH_GAPS}, found none");
        coverage::print(&view, self.output)
    }

    async fn evidence(&self, title: &str, wamid: &str) -> anyhow::Result<()> {
        self.step(title, &format!("evidence send {wamid}"))?;
        let found: SendEvidenceView =
            self.client.get(&format!("/v1/evidence/sends/{}", encode(wamid))).await?;
        let (verdict, expected) =
            (&found.verdict, if wamid == sends::PROVEN { "PROVEN" } else { "NOT PROVEN" });
        ensure!(verdict == expected, "expected the verdict {expected} for {wamid}, found {verdict}");
        evidence::print(&found, self.output)
    }

    async fn proof(&self, seq: u64) -> anyhow::Result<()> {
        self.step("A proof that outsiders can check without this archive", &format!("show {seq} --proof"))?;
        let path = format!("/v1/events/{seq}/proof");
        let file = self.client.get_bytes(&format!("{path}?format=tlog-proof")).await?;
        let text = String::from_utf8_lossy(&file);
        for line in text.lines().filter(|line| !line.is_empty()) {
            self.output.line(format_args!("  {DIM}{}{DIM:#}", crate::text::fit(line, 96)))?;
        }
        let view: ProofView = self.client.get(&path).await?;
        let core = STANDARD.decode(&view.core).context("the core is base64")?;
        let vkey = VerifierKey::parse(self.vkey).context("the key of the archive")?;
        let checkpoint =
            TlogProof::parse(&file)?.verify(leaf_hash(&core), &[vkey]).context("the proof does not hold")?;
        self.output.line(format_args!(
            "\n{GREEN}✓{GREEN:#} event {seq} is in the tree of {} events whose root the archive's key signed",
            count(checkpoint.size)
        ))
    }

    async fn verify(&self, title: &str) -> anyhow::Result<()> {
        self.step(title, "verify")?;
        let args = VerifyArgs { quick: false, since: None, no_keys: false };
        let report = verify::verify(self.directory, &args, self.output).await?;
        verify::print(&report, self.output)?;
        ensure!(verify::exit_of(&report) == Exit::Success, "the archive of the demonstration has problems");
        Ok(())
    }

    async fn dispose(&self) -> anyhow::Result<()> {
        self.step("Disposal: the plan, the deed, and what stays on the record", "dispose execute")?;
        let plan = self.wait_until_due().await?;
        let size: u64 = plan.due.iter().map(|due| due.bytes).sum();
        let objects: usize = plan.due.iter().map(|due| due.objects).sum();
        let buckets = counted(plan.due.len() as u64, "bucket", "buckets");
        self.output
            .line(format_args!("{buckets} due with {objects} objects, {}; for example", bytes(size)))?;
        let first = plan.due.first().context("something is due")?;
        let reason = first.reason.replace("; ", ";\n    ");
        self.output.line(format_args!("  {}\n    {reason}\n", first.bucket))?;
        let names: Vec<&str> = plan.due.iter().map(|due| due.bucket.as_str()).collect();
        dispose::print_done(&dispose::execute(self.client, &names).await?, self.output)
    }

    /// Waits for the moments that the plan itself names, until nothing of the short-lived class stays.
    async fn wait_until_due(&self) -> anyhow::Result<DisposalPlanView> {
        let spinner = self.output.counter("Waiting");
        loop {
            let plan = dispose::plan(self.client).await?;
            let stays = plan.stays.iter().filter(|kept| kept.bucket.starts_with(SHORT_LIVED_CLASS));
            let latest = stays
                .filter_map(|kept| chrono::DateTime::parse_from_rfc3339(kept.due_at.as_deref()?).ok())
                .max();
            let Some(latest) = latest else {
                spinner.finish_and_clear();
                return Ok(plan);
            };
            let now = Timestamp(SystemClock.now_micros()).to_utc();
            let left = latest.to_utc().signed_duration_since(now).to_std().unwrap_or_default();
            tokio::time::sleep(left + MARGIN).await;
        }
    }

    /// Events are searchable within two seconds, and gaps are known soon after; the tour starts when all are.
    async fn wait_for_index(&self) -> anyhow::Result<()> {
        let sent: LedgerView = self.client.get("/v1/ledger").await?;
        loop {
            let now: LedgerView = self.client.get("/v1/ledger").await?;
            if now.complete_to >= sent.size {
                break;
            }
            tokio::time::sleep(MARGIN).await;
        }
        let look = query("/v1/search", &[("q", Some(PHRASE.to_owned())), ("limit", Some("1".to_owned()))]);
        loop {
            let found: SearchView = self.client.get(&look).await?;
            if found.gaps.complete_to >= sent.size {
                return Ok(());
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }
}
