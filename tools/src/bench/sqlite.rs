//! SQLite as a peer: one process, one connection, full synchronous WAL, a SHA-256 chain and an FTS5 index.
//!
//! The script reads the bodies and cuts out their texts before it starts the clock, and nothing crosses a
//! network, so SQLite is spared what every server pays.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::process::{install, output};

const SCRIPT: &str = r#"
import hashlib, json, os, sqlite3, sys, time

database, bodies, rows_each, seconds = sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4])
rows = []
for line in open(bodies, "rb"):
    body = line.rstrip(b"\n")
    message = json.loads(body)["entry"][0]["changes"][0]["value"]["messages"][0]
    rows.append((body, message["text"]["body"]))

connection = sqlite3.connect(database, isolation_level=None)
connection.execute("PRAGMA journal_mode=WAL")
connection.execute("PRAGMA synchronous=FULL")
connection.execute("CREATE TABLE events (seq INTEGER PRIMARY KEY, body BLOB NOT NULL, hash BLOB NOT NULL)")
connection.execute("CREATE VIRTUAL TABLE texts USING fts5(text, content='')")
chain, seq, position = b"", 0, 0
started = time.perf_counter()
while time.perf_counter() - started < seconds:
    events, texts = [], []
    for _ in range(rows_each):
        body, text = rows[position]
        position = (position + 1) % len(rows)
        seq += 1
        chain = hashlib.sha256(chain + body).digest()
        events.append((seq, body, chain))
        texts.append((seq, text))
    connection.execute("BEGIN")
    connection.executemany("INSERT INTO events VALUES (?, ?, ?)", events)
    connection.executemany("INSERT INTO texts (rowid, text) VALUES (?, ?)", texts)
    connection.execute("COMMIT")
elapsed = time.perf_counter() - started
connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
connection.close()
size = os.path.getsize(database)
print(json.dumps({"rows": seq, "seconds": elapsed, "bytes": size, "version": sqlite3.sqlite_version}))
"#;

/// What one run found.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Run {
    pub(super) rows_per_second: f64,
    pub(super) bytes_per_row: f64,
    pub(super) version: String,
}

/// The script and the bodies it inserts.
#[derive(Debug)]
pub(super) struct Sqlite {
    dir: PathBuf,
}

impl Sqlite {
    /// Installs Python if it is absent, and writes script and bodies to `dir`.
    ///
    /// # Errors
    ///
    /// Fails when it cannot be installed, lacks FTS5, or `dir` cannot be written.
    pub(super) fn prepare(dir: &Path, bodies: impl Iterator<Item = Vec<u8>>) -> Result<Self> {
        install("python3", has_fts5)?;
        fs::create_dir_all(dir)?;
        let mut lines = Vec::new();
        for body in bodies {
            ensure!(!body.contains(&b'\n'), "expected bodies of one line, found several");
            lines.extend_from_slice(&body);
            lines.push(b'\n');
        }
        fs::write(dir.join("bodies"), lines)?;
        fs::write(dir.join("insert.py"), SCRIPT)?;
        Ok(Self { dir: dir.to_owned() })
    }

    /// Inserts rows into a new database for `seconds`, `rows_each` a commit.
    ///
    /// # Errors
    ///
    /// Fails when the script does.
    pub(super) fn insert(&self, rows_each: usize, seconds: u64) -> Result<Run> {
        let database = self.dir.join("events.sqlite");
        let mut command = Command::new("python3");
        command.arg(self.dir.join("insert.py")).arg(&database).arg(self.dir.join("bodies"));
        let said = output(command.args([rows_each.to_string(), seconds.to_string()]))?;
        for suffix in ["", "-wal", "-shm"] {
            let path = format!("{}{suffix}", database.display());
            if Path::new(&path).exists() {
                fs::remove_file(path)?;
            }
        }
        parse(&said)
    }
}

fn has_fts5() -> bool {
    let check = "import sqlite3; sqlite3.connect(':memory:').execute('CREATE VIRTUAL TABLE x USING fts5(y)')";
    output(Command::new("python3").args(["-c", check])).is_ok()
}

fn parse(said: &str) -> Result<Run> {
    let value: Value =
        serde_json::from_str(said).with_context(|| format!("expected JSON, found `{said}`"))?;
    let number = |name: &str| value[name].as_f64().with_context(|| format!("expected `{name}` in `{said}`"));
    let rows = number("rows")?;
    Ok(Run {
        rows_per_second: rows / number("seconds")?,
        bytes_per_row: number("bytes")? / rows,
        version: value["version"].as_str().unwrap_or("unknown").to_owned(),
    })
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests may unwrap")]
mod tests {
    use super::parse;

    #[test]
    fn result_of_the_script_is_read() {
        let run = parse(r#"{"rows": 200, "seconds": 0.5, "bytes": 30000, "version": "3.40.1"}"#).unwrap();
        assert_eq!((run.rows_per_second, run.bytes_per_row), (400.0, 150.0));
        assert!(parse("Traceback").is_err());
    }
}
