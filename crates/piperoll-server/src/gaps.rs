//! The gaps of all numbers, of now: the older part of each number's time is kept, the newer part computed when somebody
//! asks.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use piperoll_projections::coverage::{
    Canary, Coverage, CoverageOptions, Interval, KnownNumber, Missing, Older,
};
use piperoll_projections::{ProjectionError, Projections};
use tokio::sync::OwnedMutexGuard;
use tokio::time::Instant;

use crate::coverage::computed;
use crate::error::ApiError;

/// References that are followed for each number, the newest of its older part and of its newer part.
const REFERENCES_EACH: usize = 100_000;

/// Who searches waits for gaps of now where they took no longer the last time; otherwise those of a moment before are
/// named, and the answer says so.
const SOON: Duration = Duration::from_millis(8);

/// Who waits does so for so long at most.
const WAIT: Duration = Duration::from_millis(250);

/// After gaps were computed, searches have none computed for so many times as long as that took.
const PAUSE: u32 = 10;

/// The older part is found anew every time if that takes no longer.
const QUICK: Duration = Duration::from_millis(20);

/// It is found anew after this time, if that takes no longer than [`SLOW`], and in any case after [`DAY`].
const QUARTER: i64 = 15 * 60 * 1_000_000;
const SLOW: Duration = Duration::from_secs(1);
const DAY: i64 = 24 * 3_600 * 1_000_000;

/// The answer to the same question is the same for so long: a silence grows without an event. Microseconds.
const SAME_FOR: i64 = 10 * 1_000_000;

/// The gaps of all numbers, and how each number is now.
#[derive(Debug)]
pub(crate) struct Book {
    pub(crate) numbers: Vec<(KnownNumber, Option<Interval>, Vec<Missing>)>,
    /// Every event with a lower `seq` was looked at.
    pub(crate) projected: u64,
    /// Of which moment it is, microseconds since the epoch.
    pub(crate) at: i64,
    /// Of which moment the older part is.
    pub(crate) older_at: i64,
    /// Whether every reference was followed.
    pub(crate) is_complete: bool,
    /// When it was computed, by the clock of the machine, and how long that took.
    computed: (Instant, Duration),
}

/// What gaps are computed from.
#[derive(Debug)]
pub(crate) struct GapQuestion {
    pub(crate) projections: Projections,
    pub(crate) canaries: Vec<Canary>,
    pub(crate) projected: u64,
    pub(crate) now: i64,
}

/// What was found about the older part of all numbers' time.
#[derive(Debug)]
struct OlderBook {
    numbers: HashMap<String, Older>,
    at: i64,
    took: Duration,
    /// How many disposals there had been: what they took away must not be named for long.
    disposals: usize,
}

/// Keeps the last answer and the older part.
#[derive(Debug, Default)]
pub(crate) struct GapKeeper {
    book: Mutex<Option<Arc<Book>>>,
    /// Held while gaps are computed, so that those who search at the same time share one computation.
    older: Arc<tokio::sync::Mutex<Option<Arc<OlderBook>>>>,
}

impl GapKeeper {
    /// Returns gaps of now, or, where computing them takes long, those of the last time; they are computed meanwhile.
    ///
    /// # Errors
    /// Those of reading.
    pub(crate) async fn book_soon(self: &Arc<Self>, question: GapQuestion) -> Result<Arc<Book>, ApiError> {
        let Some(before) = self.last() else { return self.book(question).await };
        let (at, took) = before.computed;
        if answers(&before, &question) || took > SOON && at.elapsed() < took * PAUSE {
            return Ok(before);
        }
        let keeper = self.clone();
        if took <= SOON {
            let mut computing = tokio::spawn(async move { keeper.book(question).await });
            return match tokio::time::timeout(WAIT, &mut computing).await {
                Ok(computed) => computed.map_err(ApiError::internal)?,
                Err(_) => Ok(before),
            };
        }
        // Where somebody computes them already, there is nothing to do.
        if let Ok(older) = self.older.clone().try_lock_owned() {
            drop(tokio::spawn(async move {
                if let Err(error) = keeper.compute(question, older).await {
                    let error = &error as &dyn std::error::Error;
                    tracing::warn!(error, "gaps could not be computed");
                }
            }));
        }
        Ok(before)
    }

    /// Returns gaps of now.
    ///
    /// # Errors
    /// Those of reading.
    pub(crate) async fn book(&self, question: GapQuestion) -> Result<Arc<Book>, ApiError> {
        let older = self.older.clone().lock_owned().await;
        // Somebody else may have asked the same meanwhile.
        match self.last().filter(|book| answers(book, &question)) {
            Some(book) => Ok(book),
            None => self.compute(question, older).await,
        }
    }

    async fn compute(
        &self,
        question: GapQuestion,
        mut older: OwnedMutexGuard<Option<Arc<OlderBook>>>,
    ) -> Result<Arc<Book>, ApiError> {
        let known = older.clone();
        let (found, book) = computed(move || compute(&question, known)).await?;
        let book = Arc::new(book);
        *older = Some(found);
        *self.book.lock().unwrap_or_else(PoisonError::into_inner) = Some(book.clone());
        Ok(book)
    }

    fn last(&self) -> Option<Arc<Book>> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn answers(book: &Book, question: &GapQuestion) -> bool {
    book.projected >= question.projected && question.now - book.at < SAME_FOR
}

fn compute(
    question: &GapQuestion,
    known: Option<Arc<OlderBook>>,
) -> Result<(Arc<OlderBook>, Book), ProjectionError> {
    const DISPOSALS_MAX: usize = 100_000;
    let began = Instant::now();
    let GapQuestion { projections, canaries, projected, now } = question;
    let options = CoverageOptions { now: *now, canaries, references_max: REFERENCES_EACH };
    let numbers = projections.numbers()?;
    let disposals = projections.disposals(DISPOSALS_MAX)?.len();
    let fits = |known: &Arc<OlderBook>| {
        let age = now - known.at;
        let is_fresh = known.took > QUICK && age < if known.took > SLOW { DAY } else { QUARTER };
        is_fresh
            && age >= 0
            && known.disposals == disposals
            && numbers.iter().all(|number| known.numbers.contains_key(&number.number))
    };
    let older = match known.filter(fits) {
        Some(known) => known,
        None => {
            let started = Instant::now();
            let of = |number: &KnownNumber| {
                Ok((number.number.clone(), projections.coverage_older(number, &options)?))
            };
            let numbers = numbers.iter().map(of).collect::<Result<_, ProjectionError>>()?;
            Arc::new(OlderBook { numbers, at: *now, took: started.elapsed(), disposals })
        }
    };
    let mut is_complete = true;
    let mut found = Vec::with_capacity(numbers.len());
    for number in &numbers {
        let Some(before) = older.numbers.get(&number.number) else { continue };
        let coverage = projections.coverage_now(number, before, &options)?;
        is_complete &= coverage.is_complete;
        let Coverage { number, mut intervals, missing, .. } = coverage;
        // Before the first connection nothing was promised.
        let missing = missing.into_iter().filter(|missing| missing.from > i64::MIN / 2).collect();
        found.push((number, intervals.pop(), missing));
    }
    let (projected, at, older_at) = (*projected, *now, older.at);
    let computed = (Instant::now(), began.elapsed());
    Ok((older, Book { numbers: found, projected, at, older_at, is_complete, computed }))
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests may unwrap")]
mod tests {
    use piperoll_format::LedgerId;

    use super::*;

    /// A book of the moment 1 that took a second to compute, so many seconds ago.
    fn known(seconds_ago: u64) -> Arc<Book> {
        let ago = Duration::from_secs(seconds_ago);
        let computed = (Instant::now().checked_sub(ago).unwrap(), Duration::from_secs(1));
        Arc::new(Book { numbers: Vec::new(), projected: 1, at: 1, older_at: 1, is_complete: true, computed })
    }

    #[tokio::test]
    async fn gaps_of_a_moment_before_are_named_where_those_of_now_take_long() {
        let dir = tempfile::tempdir().unwrap();
        let projections =
            Projections::open(&dir.path().join("projections.redb"), LedgerId([1; 16]), 1 << 20).unwrap();
        let question =
            || GapQuestion { projections: projections.clone(), canaries: Vec::new(), projected: 2, now: 3 };
        let keeper = Arc::new(GapKeeper::default());
        let set = |book: Arc<Book>| *keeper.book.lock().unwrap() = Some(book);
        set(known(1));
        assert_eq!(keeper.book_soon(question()).await.unwrap().at, 1);
        assert!(keeper.older.try_lock().is_ok(), "so soon nothing is computed");
        set(known(11));
        assert_eq!(keeper.book_soon(question()).await.unwrap().at, 1, "nobody waits");
        while keeper.last().unwrap().at == 1 {
            tokio::task::yield_now().await;
        }
        // That took no time at all, so the next question is answered as of now.
        let later = GapQuestion { projected: 4, now: 5, ..question() };
        assert_eq!(keeper.book_soon(later).await.unwrap().at, 5);
        set(known(1));
        assert_eq!(keeper.book(question()).await.unwrap().at, 3, "whoever must know waits");
    }
}
