//! Searching and looking: hits are read again from the store, proven, and put on the record before they are shown.

use std::time::Duration;

use chrono_tz::Tz;
use piperoll_format::{Kind, Seq};
use piperoll_index::{Hits, Query};
use piperoll_sources::{Sender, whatsapp};
use piperoll_verify::prove::{Evidence, Prover};
use tokio::time::Instant;

use crate::access::Access;
use crate::archive::Archive;
use crate::error::{ApiError, ErrorCode};
use crate::tokens::Caller;
use crate::wire::{EventView, LedgerView, PolicyView, ProofView, SearchView};

/// Most events on one page.
const PAGE_MAX: usize = 500;
/// Events on a page whose size is not given.
const PAGE: usize = 50;

/// What the search leaves out unless the query says `kind:`: the records of earlier searches would bury what they
/// searched for.
const OWN_EVENTS: &str = "NOT kind:access.*";

/// A page of hits, and how long the index alone took for it.
#[derive(Clone, Debug)]
pub struct Searched {
    /// The page.
    pub view: SearchView,
    /// Without reading the hits again, proving and recording.
    pub index_took: Duration,
}

/// Which part of a result.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// How many events at most; 50 when not given, 500 at most.
    pub limit: Option<usize>,
    /// Only events with a lower `seq`.
    pub before: Option<u64>,
}

/// A search as it was asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Search {
    /// The query as it was typed; empty for everything.
    pub query: String,
    /// Which part of the result.
    pub page: Page,
    /// The time zone of its days; the archive's when not given.
    pub time_zone: Option<Tz>,
}

/// The exact body that an event came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Raw {
    /// The bytes.
    pub body: Vec<u8>,
    /// Their media type as received.
    pub media_type: String,
    /// The signature header as received.
    pub signature: Option<String>,
    /// Whether a configured secret still produces that signature; `None` without one.
    pub signature_valid: Option<bool>,
}

impl Archive {
    /// Finds events, newest first.
    ///
    /// # Errors
    /// [`ErrorCode::BadQuery`] pointing at the character; those of reading and of a commit.
    pub async fn search(&self, caller: &Caller, search: &Search) -> Result<Searched, ApiError> {
        let query = self.parse(search)?;
        let canonical = query.to_string();
        let gaps = self.gaps_soon(&query).await;
        let (hits, index_took) = self.find(query, search.page).await?;
        let (events, next_before) = self.show(&hits, search.page).await?;
        let access = Access {
            action: "search",
            query: Some(&canonical),
            typed: Some(&search.query),
            hits: Some(hits.total),
            shown: events.iter().map(|event| event.seq).collect(),
            ..Access::default()
        };
        let recorded = self.record_access(Kind::AccessSearch, caller, &access).await?;
        let _ = self.metrics.searches.inc();
        let view = SearchView {
            query: canonical,
            complete_to: hits.complete_to,
            total: hits.total,
            hits: events,
            next_before,
            gaps,
            recorded_as: recorded.0,
        };
        Ok(Searched { view, index_took })
    }

    /// Shows one event.
    ///
    /// # Errors
    /// [`ErrorCode::NotFound`]; those of reading and of a commit.
    pub async fn event(&self, caller: &Caller, seq: Seq) -> Result<EventView, ApiError> {
        let prover = self.prover()?;
        let evidence = prover.prove(seq).await?;
        self.record_view(caller, "view", seq).await?;
        let mut shown = view(&prover, &evidence);
        let attachments = shown.message.as_ref().map_or(0, |message| message.attachments.len());
        shown.attachments = self.attachment_views(seq, attachments).await?;
        Ok(shown)
    }

    /// Returns the exact body that an event came in, and whether its signature still verifies.
    ///
    /// # Errors
    /// [`ErrorCode::NotFound`], [`ErrorCode::Destroyed`]; those of reading and of a commit.
    pub async fn raw(&self, caller: &Caller, seq: Seq) -> Result<Raw, ApiError> {
        let body = self.reader.body(seq).await?;
        self.record_view(caller, "raw", seq).await?;
        let (key, received_at) = (&body.provenance.signature_key, body.provenance.received_at);
        let again = match key.as_deref().zip(received_at) {
            Some((key, at)) if body.provenance.source == Sender::Aws.as_str() => {
                self.check_notice_again(key, &body.bytes, at).await?
            }
            _ => None,
        };
        let check = |kept: &String| self.still_accepts(&body.provenance.source, kept, &body.bytes);
        let (signature, signature_valid) = match again {
            Some((signature, is_valid)) => (Some(signature), Some(is_valid)),
            None => {
                let is_valid = body.provenance.signature.as_ref().map(check);
                (body.provenance.signature, is_valid)
            }
        };
        Ok(Raw { body: body.bytes, media_type: body.provenance.media_type, signature, signature_valid })
    }

    /// Repeats the check of a delivery's signature from what was kept of it.
    fn still_accepts(&self, source: &str, kept: &str, body: &[u8]) -> bool {
        let sender = source.parse().unwrap_or(Sender::Meta);
        match self.senders.get(sender) {
            Some(check) => check.still_accepts(sender, kept, body),
            None => {
                sender == Sender::Meta
                    && whatsapp::verify(Some(kept), body, &self.whatsapp.app_secrets).is_ok()
            }
        }
    }

    /// Returns everything that shows to an outsider that an event is in the log.
    ///
    /// # Errors
    /// [`ErrorCode::NotFound`]; those of reading and of a commit.
    pub async fn proof(&self, caller: &Caller, seq: Seq) -> Result<ProofView, ApiError> {
        let evidence = self.prove_for(caller, seq).await?;
        Ok(ProofView::new(&evidence, self.reader.vkey().to_string()))
    }

    /// Returns the proof as a C2SP `.tlog-proof`.
    ///
    /// # Errors
    /// Those of [`Self::proof`].
    pub async fn tlog_proof(&self, caller: &Caller, seq: Seq) -> Result<String, ApiError> {
        let evidence = self.prove_for(caller, seq).await?;
        Ok(evidence.tlog_proof().map_err(ApiError::internal)?.to_string())
    }

    async fn prove_for(&self, caller: &Caller, seq: Seq) -> Result<Evidence, ApiError> {
        let evidence = self.prover()?.prove(seq).await?;
        self.record_view(caller, "proof", seq).await?;
        Ok(evidence)
    }

    /// Tells what the ledger is and how large.
    ///
    /// # Errors
    /// [`ErrorCode::Internal`] when its checkpoint is not valid.
    pub fn describe(&self) -> Result<LedgerView, ApiError> {
        let prover = self.prover()?;
        let genesis = self.engine.genesis();
        let policies = self.engine.policies().policies().iter().map(|policy| PolicyView {
            id: policy.id().to_string(),
            version: policy.version(),
            title: policy.title().to_owned(),
            legal_basis: policy.legal_basis().to_owned(),
            keep: policy.keep().to_string(),
            dispose_after: policy.dispose_after().to_string(),
        });
        Ok(LedgerView {
            ledger: self.ledger().to_string(),
            origin: genesis.origin.clone(),
            vkey: self.reader.vkey().to_string(),
            created_at: genesis.created_at.to_string(),
            size: prover.checkpoint().size,
            root: prover.checkpoint().root.to_base64(),
            checkpoint: prover.note().to_owned(),
            complete_to: self.index().cursor().unwrap_or(0),
            projected_to: self.progress().borrow().projected,
            policies: policies.collect(),
            store: self.store.clone(),
        })
    }

    /// Reads a query as it was typed, and leaves out the archive's own records unless it asks for kinds.
    pub(crate) fn parse(&self, search: &Search) -> Result<Query, ApiError> {
        let own = || OWN_EVENTS.parse::<Query>().expect("it is a query");
        if search.query.trim().is_empty() {
            return Ok(own());
        }
        let typed = self.expand_persons(&search.query)?;
        let query = Query::parse(&typed, search.time_zone.unwrap_or(self.time_zone))?;
        // The canonical text spells fields alike, and inside a quoted text a colon changes nothing that matters.
        if query.to_string().contains("kind:") { Ok(query) } else { Ok(query.and(own())) }
    }

    async fn find(&self, query: Query, page: Page) -> Result<(Hits, Duration), ApiError> {
        let limit = page.limit.unwrap_or(PAGE);
        if !(1..=PAGE_MAX).contains(&limit) {
            let message = format!("field `limit`: expected 1 to {PAGE_MAX}, found `{limit}`");
            return Err(ApiError::new(ErrorCode::Invalid, message));
        }
        self.find_up_to(query, limit, page.before).await
    }

    /// Searches the index away from the async threads, and tells how long that took.
    pub(crate) async fn find_up_to(
        &self,
        query: Query,
        limit: usize,
        before_seq: Option<u64>,
    ) -> Result<(Hits, Duration), ApiError> {
        let index = self.index();
        let page = piperoll_index::Page { limit, before_seq };
        let found = tokio::task::spawn_blocking(move || {
            let started = Instant::now();
            let hits = index.search(&query, page)?;
            Ok::<_, ApiError>((hits, started.elapsed()))
        });
        found.await.map_err(ApiError::internal)?
    }

    /// Reads hits again and proves them; tells where the next page starts.
    async fn show(&self, hits: &Hits, page: Page) -> Result<(Vec<EventView>, Option<u64>), ApiError> {
        let seqs: Vec<Seq> = hits.hits.iter().map(|hit| Seq(hit.seq)).collect();
        let prover = self.prover()?;
        let evidence = prover.prove_many(&seqs).await?;
        let is_full = seqs.len() == page.limit.unwrap_or(PAGE);
        let next_before = seqs.last().filter(|_| is_full).map(|seq| seq.0);
        Ok((evidence.iter().map(|evidence| view(&prover, evidence)).collect(), next_before))
    }

    /// Proves under the newest checkpoint.
    pub(crate) fn prover(&self) -> Result<Prover, ApiError> {
        let checkpoint = self.engine.head().borrow().checkpoint.clone();
        Ok(Prover::new(&self.reader, &checkpoint)?)
    }

    async fn record_view(&self, caller: &Caller, action: &str, seq: Seq) -> Result<(), ApiError> {
        let target = format!("event {seq}");
        let access = Access { action, target: Some(&target), shown: vec![seq.0], ..Access::default() };
        let _ = self.record_access(Kind::AccessView, caller, &access).await?;
        Ok(())
    }
}

/// Shows evidence, and logs what should be readable and is not.
pub(crate) fn view(prover: &Prover, evidence: &Evidence) -> EventView {
    if let Err(error) = &evidence.payload
        && !error.is_destroyed()
    {
        let error = error as &dyn std::error::Error;
        tracing::warn!(seq = evidence.event.seq().0, error, "a payload cannot be read");
    }
    let checkpoint = prover.checkpoint();
    EventView::new(evidence, checkpoint.size, &checkpoint.root.to_base64())
}
