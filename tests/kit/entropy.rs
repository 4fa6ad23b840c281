//! Randomness that is the same in every run.

use piperoll_engine::Entropy;

/// Bytes derived from a seed; every fill gives others.
#[derive(Debug)]
pub struct SeededEntropy {
    seed: u64,
    fills: u64,
}

impl SeededEntropy {
    /// Starts at the beginning of the seed's bytes.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self { seed, fills: 0 }
    }
}

impl Entropy for SeededEntropy {
    fn fill(&mut self, buffer: &mut [u8]) {
        self.fills += 1;
        let mut hasher = blake3::Hasher::new();
        let _ = hasher.update(&self.seed.to_be_bytes()).update(&self.fills.to_be_bytes());
        hasher.finalize_xof().fill(buffer);
    }
}
