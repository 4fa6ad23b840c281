//! Checkpoint and tiles on the replica: derived, unlocked, and never a reason to fail.

use bytes::Bytes;
use piperoll_format::ObjectName;
use piperoll_verify::LedgerReader;

use crate::copy::Copier;

/// Leaves or nodes in a full tile (C2SP tlog-tiles).
const TILE_WIDTH: u64 = 256;

impl Copier {
    /// Publishes on the replica the tiles that have become full, and the checkpoint over what it holds.
    pub(crate) async fn publish(&mut self) {
        let (from, to) = (self.tiles_to, self.size);
        if from < to {
            self.publish_tiles(from, to).await;
            self.tiles_to = to;
        }
        // Taken, so that an idle pass writes nothing; a failure is made good with the next commit.
        if let Some(note) = self.checkpoint.take() {
            self.put(&ObjectName::Checkpoint, note).await;
        }
    }

    async fn publish_tiles(&self, from: u64, to: u64) {
        let mut reader = None;
        let (mut first, mut end) = (from / TILE_WIDTH, to / TILE_WIDTH);
        let mut level = 0_u8;
        while end > 0 {
            for index in first..end {
                let path = format!("tile/{level}/{}", position(index));
                let name = ObjectName::Tile(path.clone());
                let bytes = match self.primary.get(&name).await {
                    Ok(Some(bytes)) => Some(bytes),
                    // The writer publishes behind its commits; what is not there yet follows from the segments.
                    _ => self.compute(&mut reader, &path).await,
                };
                if let Some(bytes) = bytes {
                    self.put(&name, bytes).await;
                }
            }
            (first, end) = (first / TILE_WIDTH, end / TILE_WIDTH);
            level += 1;
        }
    }

    async fn compute(&self, reader: &mut Option<LedgerReader>, path: &str) -> Option<Bytes> {
        if reader.is_none() {
            *reader = LedgerReader::open(self.pair.replica.clone(), self.pair.ledger).await.ok();
        }
        reader.as_ref()?.tile_at(path).await.ok().map(Bytes::from)
    }

    async fn put(&self, name: &ObjectName, bytes: Bytes) {
        if let Err(error) = self.replica.store.put_derived(&self.replica.key(name), bytes).await {
            tracing::warn!(%error, "publishing on the replica failed; readers compute what is missing");
        }
    }
}

/// Writes a tile's index the way C2SP tlog-tiles spells it: groups of three digits, all but the last after an `x`.
fn position(index: u64) -> String {
    let mut text = format!("{:03}", index % 1_000);
    let mut rest = index / 1_000;
    while rest > 0 {
        text = format!("x{:03}/{text}", rest % 1_000);
        rest /= 1_000;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_spelled_as_tiles_are_named() {
        for (index, expected) in [(0, "000"), (67, "067"), (1_234, "x001/234"), (1_234_067, "x001/x234/067")]
        {
            assert_eq!(position(index), expected);
            assert!(ObjectName::parse(&format!("tile/0/{}", position(index))).is_ok());
        }
    }
}
