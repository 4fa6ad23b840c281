//! Local state derived from the segments: where keys, events and repeats are found without reading them all.
//!
//! Nothing in it is the record. It holds digests and positions only, no key and no captured byte, and is made
//! again from the store whenever it is missing, damaged or of another version. Writes are not flushed one by one:
//! a crash loses the last few, and opening the ledger replays the segments after the cursor.

mod copy;

use std::collections::BTreeMap;
use std::path::Path;

use piperoll_format::{
    Bucket, ChainHash, EventCore, KeyId, Kind, LedgerId, ObjectDigest, ObjectEntry, ObjectName, ObjectType,
    Pseudonym, RetainUntil, SegmentNo, Seq, SourceDigest, Timestamp,
};
use redb::{
    Database, Durability, ReadOnlyTable, ReadableDatabase, ReadableTable, TableDefinition, WriteTransaction,
};

use crate::error::EngineError;
use crate::local::STATE_FILE;
use crate::watch::{Remembered, Unresolved};

const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
/// In [`META`]: the version of the whole.
const VERSION: &str = "version";
/// In [`META`]: the first segment that is not covered.
const NEXT_SEGMENT: &str = "next_segment";
const LEDGER: TableDefinition<'_, &str, [u8; 16]> = TableDefinition::new("ledger");
/// Source digest → the events that have it, oldest first.
const SOURCES: TableDefinition<'_, [u8; 16], Vec<u64>> = TableDefinition::new("sources");
/// Bucket and key id → the segment that names its key object.
const KEYS: TableDefinition<'_, (&str, [u8; 16]), u64> = TableDefinition::new("keys");
/// Bucket and pseudonym → the id of the subject's key.
const SUBJECTS: TableDefinition<'_, (&str, [u8; 16]), [u8; 16]> = TableDefinition::new("subjects");
/// First `seq` → segment number.
const SEGMENTS: TableDefinition<'_, u64, u64> = TableDefinition::new("segments");
/// Object name → digest, size, retain-until.
const OBJECTS: TableDefinition<'_, &str, ([u8; 32], u64, u64)> = TableDefinition::new("objects");

/// The chain hash at the end of what is covered.
const ENDS: TableDefinition<'_, &str, [u8; 32]> = TableDefinition::new("ends");

/// Buckets that hold disposal orders.
const ORDERS: TableDefinition<'_, &str, ()> = TableDefinition::new("orders");

/// Events that changed the configuration.
const CONFIGURED: TableDefinition<'_, u64, ()> = TableDefinition::new("configured");

/// Events remembered for one source digest; a sender that keeps changing a fact under one id is compared with these.
const VARIANTS_MAX: usize = 8;

/// The state database.
#[derive(Debug)]
pub(crate) struct State {
    db: Database,
}

/// What one committed segment adds.
#[derive(Debug)]
pub(crate) struct Addition<'a> {
    pub(crate) number: SegmentNo,
    pub(crate) first_seq: Seq,
    pub(crate) cores: &'a [EventCore],
    pub(crate) objects: &'a [ObjectEntry],
    /// The keys in its key objects.
    pub(crate) keys: &'a [(Bucket, Vec<KeyId>)],
    /// Chain hash of its last event.
    pub(crate) chain: ChainHash,
}

impl Addition<'_> {
    fn buckets_with_orders(&self) -> impl Iterator<Item = &Bucket> {
        let orders = self.cores.iter().filter(|core| core.kind == Kind::DisposalOrdered);
        orders.filter_map(|core| self.bucket_of(core))
    }

    fn bucket_of(&self, core: &EventCore) -> Option<&Bucket> {
        let named = |object: &&ObjectEntry| {
            object.object == ObjectType::Pack
                && object.digest.prefix() == core.payload.pack
                && *object.bucket.class() == core.class
        };
        self.objects.iter().find(named).map(|object| &object.bucket)
    }

    /// Returns the keys that subjects got, in each bucket in the order of the pseudonyms.
    fn assignments(&self) -> BTreeMap<&Bucket, BTreeMap<Pseudonym, KeyId>> {
        let mut assignments: BTreeMap<_, BTreeMap<_, _>> = BTreeMap::new();
        for core in self.cores {
            let subject = core.payload.pseudonym.zip(core.payload.key);
            if let Some(((pseudonym, key), bucket)) = subject.zip(self.bucket_of(core)) {
                let _ = assignments.entry(bucket).or_default().insert(pseudonym, key);
            }
        }
        assignments
    }
}

/// An object that a segment names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InventoryObject {
    /// Its bucket.
    pub bucket: Bucket,
    /// Its name, without the ledger's prefix.
    pub name: String,
    /// Its digest.
    pub digest: ObjectDigest,
    /// Its size in bytes.
    pub size: u64,
    /// Its lock as recorded.
    pub retain_until: RetainUntil,
}

/// What is known of senders and subjects when a batch begins. To open it costs more than to look something up, and
/// nothing is added before the batch is committed.
pub(crate) struct Known {
    sources: ReadOnlyTable<[u8; 16], Vec<u64>>,
    subjects: ReadOnlyTable<(&'static str, [u8; 16]), [u8; 16]>,
}

impl Known {
    /// Returns the events that have each of the digests, in their order.
    pub(crate) fn sources(&self, digests: &[Option<SourceDigest>]) -> Result<Vec<Vec<Seq>>, EngineError> {
        let find = |digest: &Option<SourceDigest>| -> Result<Vec<Seq>, EngineError> {
            let Some(digest) = digest else { return Ok(Vec::new()) };
            let found = self.sources.get(digest.0).map_err(broken)?;
            Ok(found.map(|found| found.value().into_iter().map(Seq).collect()).unwrap_or_default())
        };
        digests.iter().map(find).collect()
    }

    /// Returns the key that a subject has in a bucket.
    pub(crate) fn key_of(&self, bucket: &Bucket, pseudonym: Pseudonym) -> Result<Option<KeyId>, EngineError> {
        let found = self.subjects.get((&*bucket.to_string(), pseudonym.0)).map_err(broken)?;
        Ok(found.map(|found| KeyId(found.value())))
    }
}

fn broken(error: impl std::error::Error + Send + Sync + 'static) -> EngineError {
    EngineError::fatal_from("the local state database failed; delete it and start again", error)
}

impl State {
    /// The version of tables and values; a database of another version is made anew.
    pub(crate) const VERSION: u64 = 4;

    /// Opens the database, or starts an empty one when there is none that fits.
    pub(crate) fn open(dir: &Path, ledger: LedgerId, cache_bytes: usize) -> Result<Self, EngineError> {
        let path = dir.join(STATE_FILE);
        let open = || Database::builder().set_cache_size(cache_bytes).create(&path);
        std::fs::create_dir_all(dir).map_err(broken)?;
        // The database panics on pages that make no sense; a damaged one is as good as none.
        let fitting = std::panic::catch_unwind(|| {
            open().ok().map(|db| Self { db }).filter(|state| state.is_of(ledger).unwrap_or(false))
        });
        if let Ok(Some(state)) = fitting {
            return Ok(state);
        }
        tracing::info!("building the local state anew");
        if path.exists() {
            std::fs::remove_file(&path).map_err(broken)?;
        }
        let state = Self { db: open().map_err(broken)? };
        state.begin(ledger)?;
        Ok(state)
    }

    /// Opens the database only if there is one that fits.
    pub(crate) fn open_existing(dir: &Path, ledger: LedgerId) -> Option<Self> {
        let path = dir.join(STATE_FILE);
        let open = || Database::open(&path).ok().map(|db| Self { db });
        // As in `open`: the database panics on pages that make no sense.
        std::panic::catch_unwind(open).ok()?.filter(|state| state.is_of(ledger).unwrap_or(false))
    }

    /// Returns the first event of the newest segment that is covered.
    pub(crate) fn last_segment(&self) -> Result<Option<Seq>, EngineError> {
        let read = self.db.begin_read().map_err(broken)?;
        let table = read.open_table(SEGMENTS).map_err(broken)?;
        let last = table.last().map_err(broken)?;
        Ok(last.map(|(first_seq, _)| Seq(first_seq.value())))
    }

    fn is_of(&self, ledger: LedgerId) -> Result<bool, EngineError> {
        let read = self.db.begin_read().map_err(broken)?;
        let version = read.open_table(META).map_err(broken)?.get(VERSION).map_err(broken)?;
        let of = read.open_table(LEDGER).map_err(broken)?.get("id").map_err(broken)?;
        Ok(version.is_some_and(|version| version.value() == Self::VERSION)
            && of.is_some_and(|id| id.value() == ledger.0))
    }

    fn begin(&self, ledger: LedgerId) -> Result<(), EngineError> {
        let write = self.db.begin_write().map_err(broken)?;
        {
            let _ = write.open_table(META).map_err(broken)?.insert(VERSION, Self::VERSION).map_err(broken)?;
            let _ = write.open_table(LEDGER).map_err(broken)?.insert("id", ledger.0).map_err(broken)?;
            let _ = write.open_table(SOURCES).map_err(broken)?;
            let _ = write.open_table(KEYS).map_err(broken)?;
            let _ = write.open_table(SUBJECTS).map_err(broken)?;
            let _ = write.open_table(SEGMENTS).map_err(broken)?;
            let _ = write.open_table(OBJECTS).map_err(broken)?;
            let _ = write.open_table(ORDERS).map_err(broken)?;
            let _ = write.open_table(ENDS).map_err(broken)?;
            let _ = write.open_table(CONFIGURED).map_err(broken)?;
        }
        write.commit().map_err(broken)
    }

    /// Returns the number of the first segment that is not covered.
    pub(crate) fn cursor(&self) -> Result<SegmentNo, EngineError> {
        let read = self.db.begin_read().map_err(broken)?;
        let value = read.open_table(META).map_err(broken)?.get(NEXT_SEGMENT).map_err(broken)?;
        Ok(SegmentNo(value.map_or(0, |value| value.value())))
    }

    /// Returns the chain hash at the end of what is covered; `None` when nothing is.
    pub(crate) fn chain(&self) -> Result<Option<ChainHash>, EngineError> {
        let read = self.db.begin_read().map_err(broken)?;
        let found = read.open_table(ENDS).map_err(broken)?.get("chain").map_err(broken)?;
        Ok(found.map(|found| ChainHash(found.value())))
    }

    /// Returns the events that changed the configuration, in their order.
    pub(crate) fn configured(&self) -> Result<Vec<Seq>, EngineError> {
        let read = self.db.begin_read().map_err(broken)?;
        let table = read.open_table(CONFIGURED).map_err(broken)?;
        let seqs = table.iter().map_err(broken)?;
        seqs.map(|entry| Ok(Seq(entry.map_err(broken)?.0.value()))).collect()
    }

    /// Returns what is remembered of the clock.
    pub(crate) fn clock(&self) -> Result<Remembered, EngineError> {
        let read = self.db.begin_read().map_err(broken)?;
        let meta = read.open_table(META).map_err(broken)?;
        let get = |key| Ok::<_, EngineError>(meta.get(key).map_err(broken)?.map(|found| found.value()));
        let times = get("clock_before")?.zip(get("clock_after")?);
        let unresolved = times.map(|(before, after)| Unresolved { before, after });
        Ok(Remembered { unresolved, right: get("clock_right")? })
    }

    /// Remembers a jump of the clock that was recorded, or that it is over, also over a crash.
    pub(crate) fn set_clock(&self, remembered: Remembered) -> Result<(), EngineError> {
        let Remembered { unresolved, right } = remembered;
        let write = self.db.begin_write().map_err(broken)?;
        {
            let mut meta = write.open_table(META).map_err(broken)?;
            let times = [
                ("clock_before", unresolved.map(|jump| jump.before)),
                ("clock_after", unresolved.map(|jump| jump.after)),
                ("clock_right", right),
            ];
            for (key, time) in times {
                match time {
                    Some(time) => drop(meta.insert(key, time).map_err(broken)?),
                    None => drop(meta.remove(key).map_err(broken)?),
                }
            }
        }
        write.commit().map_err(broken)
    }

    /// Adds committed segments, in their order. With `durable`, everything added so far survives a crash.
    pub(crate) fn add(&self, additions: &[Addition<'_>], durable: bool) -> Result<(), EngineError> {
        let Some(last) = additions.last() else { return Ok(()) };
        let mut write = self.db.begin_write().map_err(broken)?;
        let durability = if durable { Durability::Immediate } else { Durability::None };
        write.set_durability(durability).map_err(broken)?;
        add_sources(&write, additions)?;
        add_keys(&write, additions)?;
        {
            let mut objects = write.open_table(OBJECTS).map_err(broken)?;
            let mut orders = write.open_table(ORDERS).map_err(broken)?;
            let mut segments = write.open_table(SEGMENTS).map_err(broken)?;
            for addition in additions {
                for object in addition.objects {
                    let value = (object.digest.0, object.size, object.retain_until.0.0);
                    let name = object.name(addition.number).to_string();
                    let _ = objects.insert(&*name, value).map_err(broken)?;
                }
                for bucket in addition.buckets_with_orders() {
                    let _ = orders.insert(&*bucket.to_string(), ()).map_err(broken)?;
                }
                let _ = segments.insert(addition.first_seq.0, addition.number.0).map_err(broken)?;
            }
            let mut configured = write.open_table(CONFIGURED).map_err(broken)?;
            let cores = additions.iter().flat_map(|addition| addition.cores);
            for core in cores.filter(|core| core.kind == Kind::ConfigChanged) {
                let _ = configured.insert(core.seq.0, ()).map_err(broken)?;
            }
            let mut ends = write.open_table(ENDS).map_err(broken)?;
            let _ = ends.insert("chain", last.chain.0).map_err(broken)?;
            let mut meta = write.open_table(META).map_err(broken)?;
            let _ = meta.insert(NEXT_SEGMENT, last.number.next().0).map_err(broken)?;
        }
        write.commit().map_err(broken)
    }

    /// Returns what a batch asks for most, as it is now.
    pub(crate) fn known(&self) -> Result<Known, EngineError> {
        let read = self.db.begin_read().map_err(broken)?;
        Ok(Known {
            sources: read.open_table(SOURCES).map_err(broken)?,
            subjects: read.open_table(SUBJECTS).map_err(broken)?,
        })
    }

    /// Returns the key object that holds a key, unless it was disposed of.
    pub(crate) fn key_object(&self, bucket: &Bucket, key: KeyId) -> Result<Option<ObjectName>, EngineError> {
        let read = self.db.begin_read().map_err(broken)?;
        let keys = read.open_table(KEYS).map_err(broken)?;
        let found = keys.get((&*bucket.to_string(), key.0)).map_err(broken)?;
        let Some(number) = found.map(|found| SegmentNo(found.value())) else { return Ok(None) };
        let start = format!("keys/{bucket}/{number}-");
        let objects = read.open_table(OBJECTS).map_err(broken)?;
        let first = objects.range(&*start..).map_err(broken)?.next().transpose().map_err(broken)?;
        let name = first.map(|(name, _)| name.value().to_owned()).filter(|name| name.starts_with(&start));
        let parsed = name.map(|name| ObjectName::parse(&name)).transpose();
        parsed.map_err(|_| foreign())
    }

    /// Returns the segment that holds an event.
    pub(crate) fn segment_of(&self, seq: Seq) -> Result<Option<SegmentNo>, EngineError> {
        let read = self.db.begin_read().map_err(broken)?;
        let table = read.open_table(SEGMENTS).map_err(broken)?;
        let last = table.range(..=seq.0).map_err(broken)?.next_back().transpose().map_err(broken)?;
        Ok(last.map(|(_, number)| SegmentNo(number.value())))
    }

    /// Lists the objects of all buckets by name, without those that were disposed of, and without the buckets that
    /// hold disposal orders: these account for what is gone and stay as long as the segments do.
    pub(crate) fn inventory(&self) -> Result<Vec<InventoryObject>, EngineError> {
        let read = self.db.begin_read().map_err(broken)?;
        let table = read.open_table(OBJECTS).map_err(broken)?;
        let orders = read.open_table(ORDERS).map_err(broken)?;
        let mut inventory = Vec::new();
        for entry in table.iter().map_err(broken)? {
            let (name, value) = entry.map_err(broken)?;
            let (digest, size, retain_until) = value.value();
            let name = name.value().to_owned();
            let bucket = bucket_of(&name)?;
            if orders.get(&*bucket.to_string()).map_err(broken)?.is_some() {
                continue;
            }
            let retain_until = RetainUntil(Timestamp(retain_until));
            inventory.push(InventoryObject {
                bucket,
                name,
                digest: ObjectDigest(digest),
                size,
                retain_until,
            });
        }
        Ok(inventory)
    }

    /// Forgets objects, and the keys and subjects of a bucket.
    pub(crate) fn forget(&self, names: &[String], bucket: Option<&Bucket>) -> Result<(), EngineError> {
        let write = self.db.begin_write().map_err(broken)?;
        {
            let mut objects = write.open_table(OBJECTS).map_err(broken)?;
            for name in names {
                let _ = objects.remove(&**name).map_err(broken)?;
            }
            if let Some(bucket) = bucket.map(ToString::to_string) {
                let all = (&*bucket, [0; 16])..=(&*bucket, [0xff; 16]);
                let mut keys = write.open_table(KEYS).map_err(broken)?;
                keys.retain_in(all.clone(), |_, _| false).map_err(broken)?;
                let mut subjects = write.open_table(SUBJECTS).map_err(broken)?;
                subjects.retain_in(all, |_, _| false).map_err(broken)?;
            }
        }
        write.commit().map_err(broken)
    }
}

/// Adds where the sources of events are. In the order of the digests, neighbours fall on the same pages.
fn add_sources(write: &WriteTransaction, additions: &[Addition<'_>]) -> Result<(), EngineError> {
    let mut sources = write.open_table(SOURCES).map_err(broken)?;
    let cores = additions.iter().flat_map(|addition| addition.cores);
    let mut found: Vec<([u8; 16], u64)> =
        cores.filter_map(|core| Some((core.source_digest?.0, core.seq.0))).collect();
    found.sort_unstable();
    for (digest, seq) in found {
        // Mostly there is none yet.
        let known = sources.insert(digest, vec![seq]).map_err(broken)?.map(|known| known.value());
        if let Some(mut seqs) = known {
            if seqs.len() == VARIANTS_MAX {
                let _ = seqs.remove(1);
            }
            seqs.push(seq);
            let _ = sources.insert(digest, seqs).map_err(broken)?;
        }
    }
    Ok(())
}

/// Adds where keys are and whose they are.
fn add_keys(write: &WriteTransaction, additions: &[Addition<'_>]) -> Result<(), EngineError> {
    let mut keys = write.open_table(KEYS).map_err(broken)?;
    let mut subjects = write.open_table(SUBJECTS).map_err(broken)?;
    for addition in additions {
        for (bucket, ids) in addition.keys {
            let bucket = bucket.to_string();
            for id in ids {
                let _ = keys.insert((&*bucket, id.0), addition.number.0).map_err(broken)?;
            }
        }
        for (bucket, assigned) in addition.assignments() {
            let bucket = bucket.to_string();
            for (pseudonym, key) in assigned {
                let _ = subjects.insert((&*bucket, pseudonym.0), key.0).map_err(broken)?;
            }
        }
    }
    Ok(())
}

fn bucket_of(name: &str) -> Result<Bucket, EngineError> {
    match ObjectName::parse(name) {
        Ok(ObjectName::Pack { bucket, .. } | ObjectName::Keys { bucket, .. }) => Ok(bucket),
        _ => Err(foreign()),
    }
}

fn foreign() -> EngineError {
    EngineError::fatal("the local state database names a foreign object; delete it and start again")
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests may unwrap")]
mod tests {
    use piperoll_format::{Commitment, PayloadRef, WriterKeyId};

    use super::*;

    #[test]
    fn jump_of_the_clock_is_remembered_until_it_is_made_good() {
        let dir = tempfile::tempdir().unwrap();
        let open = || State::open(dir.path(), LedgerId([1; 16]), 1 << 20).unwrap();
        assert_eq!(open().clock().unwrap(), Remembered::default());
        let jump = Remembered { unresolved: Some(Unresolved { before: 1, after: 2 }), right: None };
        for set in [jump, Remembered { unresolved: None, right: Some(3) }, jump] {
            open().set_clock(set).unwrap();
            assert_eq!(open().clock().unwrap(), set);
        }
    }

    fn core(key: [u8; 16], pseudonym: Option<[u8; 16]>, pack: ObjectDigest) -> EventCore {
        EventCore {
            ledger: LedgerId([1; 16]),
            seq: Seq(0),
            prev: ChainHash([0; 32]),
            recorded_at: Timestamp(0),
            kind: Kind::WhatsappMessage,
            class: "a".parse().unwrap(),
            payload: PayloadRef {
                commitment: Commitment([0; 32]),
                length: 1,
                pack: pack.prefix(),
                offset: 8,
                stored: 1,
                key: Some(KeyId(key)),
                pseudonym: pseudonym.map(Pseudonym),
            },
            source_digest: None,
            writer: WriterKeyId([0; 4]),
        }
    }

    #[test]
    fn keys_and_subjects_are_known_until_their_bucket_goes() {
        let dir = tempfile::tempdir().unwrap();
        let state = State::open(dir.path(), LedgerId([1; 16]), 1 << 20).unwrap();
        let bucket = |label| Bucket::new("a".parse().unwrap(), label).unwrap();
        let (gone, kept) = (bucket("2026-11"), bucket("2026-11-21"));
        let entry = |object, bucket: &Bucket, n| ObjectEntry {
            object,
            bucket: bucket.clone(),
            digest: ObjectDigest([n; 32]),
            size: 1,
            retain_until: RetainUntil(Timestamp(0)),
        };
        for (number, bucket, n) in [(7, &gone, 0), (8, &kept, 1)] {
            let addition = Addition {
                number: SegmentNo(number),
                first_seq: Seq(number),
                cores: &[
                    core([n; 16], Some([n + 10; 16]), ObjectDigest([n; 32])),
                    core([n; 16], None, ObjectDigest([n; 32])),
                ],
                objects: &[entry(ObjectType::Pack, bucket, n), entry(ObjectType::Keys, bucket, n + 2)],
                // The second is a spare.
                keys: &[(bucket.clone(), vec![KeyId([n; 16]), KeyId([0xff; 16])])],
                chain: ChainHash([0; 32]),
            };
            state.add(&[addition], false).unwrap();
        }
        let known = |bucket: &Bucket, n: u8| {
            let subject = state.known().unwrap().key_of(bucket, Pseudonym([n + 10; 16])).unwrap();
            let keys = [[n; 16], [0xff; 16]].map(|id| state.key_object(bucket, KeyId(id)).unwrap());
            (subject, keys.map(|name| name.map(|name| name.to_string())))
        };
        let name = |bucket: &Bucket, number, n| {
            Some(entry(ObjectType::Keys, bucket, n).name(SegmentNo(number)).to_string())
        };
        let (of_gone, of_kept) = (name(&gone, 7, 2), name(&kept, 8, 3));
        assert_eq!(known(&gone, 0), (Some(KeyId([0; 16])), [of_gone.clone(), of_gone.clone()]));
        assert_eq!(known(&kept, 1), (Some(KeyId([1; 16])), [of_kept.clone(), of_kept.clone()]));
        assert_eq!(known(&kept, 0).0, None, "a subject of the other bucket");
        // The object first, as a disposal that was interrupted leaves it.
        state.forget(&of_gone.into_iter().collect::<Vec<_>>(), None).unwrap();
        assert_eq!(known(&gone, 0), (Some(KeyId([0; 16])), [None, None]));
        state.forget(&[], Some(&gone)).unwrap();
        assert_eq!(known(&gone, 0), (None, [None, None]));
        assert_eq!(known(&kept, 1), (Some(KeyId([1; 16])), [of_kept.clone(), of_kept]));
    }
}
