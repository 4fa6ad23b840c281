//! What is in the store: every object of the ledger but the segments, which are listed when they are read.

use std::collections::{BTreeMap, HashMap};

use piperoll_format::{Bucket, DigestPrefix, LedgerId, ObjectEntry, ObjectName, ObjectType, SegmentNo};
use piperoll_store::{LockStatus, ObjectKey, ObjectMeta, Shadow, StoreError, WormStore};
use piperoll_tlog::tile::Tile;

/// Objects asked for in one listing.
pub(super) const PAGE: usize = 1_000;

/// A pack or key object, in as little memory as possible: there may be millions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Slot {
    bucket: u32,
    is_pack: bool,
    segment: SegmentNo,
    digest: DigestPrefix,
}

/// What the store says about an object.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stored {
    /// End of retention, µs; `None` for no retention.
    pub(super) retain_until: Option<u64>,
    is_named: bool,
}

/// The objects of a ledger by name.
#[derive(Debug, Default)]
pub(super) struct Inventory {
    buckets: HashMap<Bucket, u32>,
    slots: HashMap<Slot, Stored>,
    pub(super) dictionaries: BTreeMap<u8, LockStatus>,
    pub(super) tiles: BTreeMap<Tile, ()>,
    pub(super) foreign: Vec<String>,
    /// What somebody put over objects, by their keys, segments included.
    pub(super) shadowed: BTreeMap<ObjectKey, Shadow>,
    pub(super) genesis: Option<LockStatus>,
    pub(super) has_checkpoint: bool,
    /// All objects, segments not included.
    pub(super) count: u64,
}

impl Inventory {
    /// Lists the ledger.
    pub(super) async fn list(store: &dyn WormStore, ledger: LedgerId) -> Result<Self, StoreError> {
        let prefix = format!("{ledger}/");
        let segments = format!("{ledger}/log/");
        let behind_segments = ObjectKey::new(format!("{ledger}/log/{}", "z".repeat(200)));
        let behind_segments = behind_segments.expect("a ledger id and letters are a key");
        let mut inventory = Self::default();
        let mut after: Option<ObjectKey> = None;
        loop {
            let page = store.list(&prefix, after.as_ref(), PAGE).await?;
            let is_last = page.len() < PAGE;
            let mut skip = None;
            for meta in page {
                if is_segment(&meta.key, &segments) {
                    // Whatever is listed here between segments comes again when they are read.
                    skip = Some(behind_segments.clone());
                } else {
                    inventory.add(&meta, &prefix);
                }
                after = Some(meta.key);
            }
            if is_last {
                return Ok(inventory);
            }
            after = after.max(skip);
        }
    }

    fn add(&mut self, meta: &ObjectMeta, prefix: &str) {
        let text = meta.key.as_str().strip_prefix(prefix).unwrap_or_default();
        self.count += 1;
        self.note_shadow(meta);
        let stored = Stored { retain_until: meta.lock.retain_until, is_named: false };
        match ObjectName::parse(text) {
            Ok(ObjectName::Genesis) => self.genesis = Some(meta.lock),
            Ok(ObjectName::Dictionary { number }) => drop(self.dictionaries.insert(number, meta.lock)),
            Ok(ObjectName::Checkpoint) => self.has_checkpoint = true,
            Ok(ObjectName::Pack { bucket, segment, digest }) => {
                self.put(bucket, true, segment, digest, stored);
            }
            Ok(ObjectName::Keys { bucket, segment, digest }) => {
                self.put(bucket, false, segment, digest, stored);
            }
            Ok(ObjectName::Tile(path)) => match Tile::parse_path(&path) {
                Ok(tile) => drop(self.tiles.insert(tile, ())),
                Err(_) => self.foreign.push(text.to_owned()),
            },
            // Nobody trusts a snapshot, so there is nothing to check about one.
            Ok(ObjectName::SnapshotManifest { .. } | ObjectName::SnapshotPiece(_)) => {}
            Ok(ObjectName::Segment(_)) | Err(_) => self.foreign.push(text.to_owned()),
        }
    }

    /// Remembers what lies over an object.
    pub(super) fn note_shadow(&mut self, meta: &ObjectMeta) {
        if let Some(shadow) = meta.shadowed {
            self.shadowed.insert(meta.key.clone(), shadow);
        }
    }

    fn put(
        &mut self,
        bucket: Bucket,
        is_pack: bool,
        segment: SegmentNo,
        digest: DigestPrefix,
        stored: Stored,
    ) {
        let next = u32::try_from(self.buckets.len()).expect("a ledger has fewer than 2^32 buckets");
        let bucket = *self.buckets.entry(bucket).or_insert(next);
        self.slots.insert(Slot { bucket, is_pack, segment, digest }, stored);
    }

    fn slot(&self, bucket: &Bucket, is_pack: bool, segment: SegmentNo, digest: DigestPrefix) -> Option<Slot> {
        Some(Slot { bucket: *self.buckets.get(bucket)?, is_pack, segment, digest })
    }

    /// Marks an object as named by its segment, and returns what the store says about it.
    pub(super) fn name(&mut self, entry: &ObjectEntry, segment: SegmentNo) -> Option<Stored> {
        let is_pack = entry.object == ObjectType::Pack;
        let slot = self.slot(&entry.bucket, is_pack, segment, entry.digest.prefix())?;
        let stored = self.slots.get_mut(&slot)?;
        stored.is_named = true;
        Some(*stored)
    }

    /// Tells whether there is nothing but what the creation of a ledger leaves.
    pub(super) fn is_fresh(&self) -> bool {
        self.slots.is_empty() && self.tiles.is_empty() && !self.has_checkpoint && self.foreign.is_empty()
    }

    /// Tells whether a pack or key object is there.
    pub(super) fn has(&self, name: &ObjectName) -> bool {
        let slot = match name {
            ObjectName::Pack { bucket, segment, digest } => self.slot(bucket, true, *segment, *digest),
            ObjectName::Keys { bucket, segment, digest } => self.slot(bucket, false, *segment, *digest),
            _ => None,
        };
        slot.is_some_and(|slot| self.slots.contains_key(&slot))
    }

    /// Returns the packs and key objects that no segment named, by name.
    pub(super) fn unnamed(&self) -> Vec<(SegmentNo, ObjectName)> {
        let mut buckets: Vec<Option<&Bucket>> = vec![None; self.buckets.len()];
        for (bucket, index) in &self.buckets {
            buckets[*index as usize] = Some(bucket);
        }
        let name = |slot: &Slot| {
            let bucket = buckets[slot.bucket as usize].expect("every index has a bucket").clone();
            let Slot { segment, digest, .. } = *slot;
            let name = if slot.is_pack {
                ObjectName::Pack { bucket, segment, digest }
            } else {
                ObjectName::Keys { bucket, segment, digest }
            };
            (segment, name)
        };
        let mut unnamed: Vec<_> =
            self.slots.iter().filter(|(_, stored)| !stored.is_named).map(|(slot, _)| name(slot)).collect();
        unnamed.sort();
        unnamed
    }
}

/// Reads a segment's number out of its key.
pub(super) fn segment_number(key: &ObjectKey, ledger: LedgerId) -> Option<SegmentNo> {
    let (prefix, name) = key.as_str().split_once('/')?;
    match ObjectName::parse(name) {
        Ok(ObjectName::Segment(number)) if prefix == ledger.to_string() => Some(number),
        _ => None,
    }
}

fn is_segment(key: &ObjectKey, segments: &str) -> bool {
    key.starts_with(segments)
}
