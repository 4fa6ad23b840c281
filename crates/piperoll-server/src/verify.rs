//! Verifying the ledger through the archive, on the record.

use piperoll_format::Kind;
use piperoll_verify::report::Report;
use piperoll_verify::verify::{VerifyError, VerifyOptions, verify_ledger};

use crate::access::Access;
use crate::archive::Archive;
use crate::error::{ApiError, ErrorCode};
use crate::tokens::Caller;

/// How thoroughly to verify.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// Every signature and every commitment.
    Full,
    /// Chain, tree and the signatures of checkpoints.
    Quick,
}

impl Archive {
    /// Verifies the whole ledger. Whoever does not trust this process runs `piperoll-audit` on the store instead.
    ///
    /// # Errors
    /// [`ErrorCode::Busy`] while another verification runs; [`ErrorCode::Unavailable`]; those of a commit.
    pub async fn verify(&self, caller: &Caller, depth: Depth) -> Result<Report, ApiError> {
        let running = self.verifying.try_lock();
        let _running = running.map_err(|_| ApiError::new(ErrorCode::Busy, "another verification runs"))?;
        let options = VerifyOptions {
            vkeys: vec![self.reader.vkey().clone()],
            quick: depth == Depth::Quick,
            keys: Some(self.reader.keys().clone()),
            now: self.now(),
            ..VerifyOptions::default()
        };
        let report = verify_ledger(self.reader.store().clone(), self.ledger(), options).await;
        let report = report.map_err(|error| match error {
            VerifyError::NoLedger { .. } => ApiError::internal(error),
            VerifyError::Store(_) => {
                ApiError::new(ErrorCode::Unavailable, "the store cannot be read now").because(error)
            }
        })?;
        let access = Access {
            action: if depth == Depth::Quick { "verify-quick" } else { "verify" },
            hits: Some(report.finding_counts.values().sum()),
            ..Access::default()
        };
        let _ = self.record_access(Kind::AccessVerify, caller, &access).await?;
        Ok(report)
    }
}
