//! Copies of local state. They are written row by row, so that commits go on meanwhile, and hold no free pages.

use std::path::Path;

use piperoll_format::SegmentNo;
use redb::{
    Database, Key, ReadTransaction, ReadableDatabase, ReadableTable as _, TableDefinition, Value,
    WriteTransaction,
};

use super::{
    CONFIGURED, ENDS, KEYS, LEDGER, META, NEXT_SEGMENT, OBJECTS, ORDERS, SEGMENTS, SOURCES, SUBJECTS, State,
    VERSION, broken,
};
use crate::error::EngineError;

/// Memory for pages of the copy while it is written.
const CACHE_BYTES: usize = 16 * 1024 * 1024;

impl State {
    /// Copies everything that is committed to `path`, where no file is; returns the first segment that it lacks.
    pub(crate) fn copy_to(&self, path: &Path) -> Result<SegmentNo, EngineError> {
        let read = self.db.begin_read().map_err(broken)?;
        let copy = Database::builder().set_cache_size(CACHE_BYTES).create(path).map_err(broken)?;
        let write = copy.begin_write().map_err(broken)?;
        let next = copy_meta(&read, &write)?;
        copy_table(&read, &write, LEDGER)?;
        copy_table(&read, &write, SOURCES)?;
        copy_table(&read, &write, KEYS)?;
        copy_table(&read, &write, SUBJECTS)?;
        copy_table(&read, &write, SEGMENTS)?;
        copy_table(&read, &write, OBJECTS)?;
        copy_table(&read, &write, ORDERS)?;
        copy_table(&read, &write, ENDS)?;
        copy_table(&read, &write, CONFIGURED)?;
        write.commit().map_err(broken)?;
        Ok(next)
    }
}

/// Copies what [`META`] holds about the ledger; the rest of it is about the clock of this machine.
fn copy_meta(read: &ReadTransaction, write: &WriteTransaction) -> Result<SegmentNo, EngineError> {
    let from = read.open_table(META).map_err(broken)?;
    let next = from.get(NEXT_SEGMENT).map_err(broken)?.map_or(0, |next| next.value());
    let mut to = write.open_table(META).map_err(broken)?;
    let _ = to.insert(VERSION, State::VERSION).map_err(broken)?;
    let _ = to.insert(NEXT_SEGMENT, next).map_err(broken)?;
    Ok(SegmentNo(next))
}

fn copy_table<K: Key + 'static, V: Value + 'static>(
    read: &ReadTransaction,
    write: &WriteTransaction,
    table: TableDefinition<'_, K, V>,
) -> Result<(), EngineError> {
    let from = read.open_table(table).map_err(broken)?;
    let mut to = write.open_table(table).map_err(broken)?;
    for entry in from.iter().map_err(broken)? {
        let (key, value) = entry.map_err(broken)?;
        let _ = to.insert(key.value(), value.value()).map_err(broken)?;
    }
    Ok(())
}
