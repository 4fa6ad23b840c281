//! PostgreSQL as a peer: a cluster of its own, driven by `pgbench` over a socket, with every commit flushed.
//!
//! Two tables: one takes plain inserts, the other has a trigger that chains each row to the one before with
//! SHA-256. A chain needs one order, so the trigger takes a lock until its transaction ends.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::process::{install, is_root, output, wait_until};

const SCHEMA: &str = "
CREATE TABLE plain (seq bigserial PRIMARY KEY, recorded_at timestamptz NOT NULL DEFAULT now(), body text NOT NULL);
CREATE TABLE chained (seq bigint PRIMARY KEY, recorded_at timestamptz NOT NULL DEFAULT now(), body text NOT NULL,
    previous bytea NOT NULL, hash bytea NOT NULL);
CREATE FUNCTION chain() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE last record;
BEGIN
    PERFORM pg_advisory_xact_lock(1);
    SELECT seq, hash INTO last FROM chained ORDER BY seq DESC LIMIT 1;
    NEW.seq := coalesce(last.seq, 0) + 1;
    NEW.previous := coalesce(last.hash, sha256(''));
    NEW.hash := sha256(NEW.previous || convert_to(NEW.body, 'UTF8'));
    RETURN NEW;
END $$;
CREATE TRIGGER chain BEFORE INSERT ON chained FOR EACH ROW EXECUTE FUNCTION chain();
";

/// Memory and log limits a production server would have; flushing stays on, as it is by default.
const SETTINGS: &str = "
listen_addresses = ''
fsync = on
synchronous_commit = on
shared_buffers = 1GB
max_wal_size = 4GB
max_connections = 100
";

const READY_MAX: Duration = Duration::from_secs(60);

/// Which table rows go to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Table {
    Plain,
    Chained,
}

impl Table {
    fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Chained => "chained",
        }
    }
}

/// What one run of `pgbench` found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Rate {
    /// Transactions, which are rows, per second.
    pub(super) rows_per_second: f64,
    pub(super) latency_average_ms: f64,
}

/// A running cluster; stopped when dropped.
#[derive(Debug)]
pub(super) struct Postgres {
    programs: PathBuf,
    dir: PathBuf,
    body: String,
    child: Option<Child>,
    /// As the server names it.
    pub(super) version: String,
}

impl Postgres {
    /// Installs PostgreSQL if it is absent, and starts a new cluster in `dir`.
    ///
    /// # Errors
    ///
    /// Fails when it cannot be installed or started.
    pub(super) fn start(dir: &Path, body: &[u8]) -> Result<Self> {
        install("postgresql", || programs().is_some())?;
        let programs = programs().context("expected the programs of PostgreSQL, found none")?;
        fs::create_dir_all(dir)?;
        let body = std::str::from_utf8(body).context("the body is not text")?.to_owned();
        let mut server = Self { programs, dir: dir.to_owned(), body, child: None, version: String::new() };
        if is_root() {
            output(Command::new("chown").arg("postgres").arg(dir))?;
        }
        let data = server.data();
        server.run("initdb", &["-D", &data, "-A", "trust", "-U", "postgres", "-E", "UTF8", "--no-locale"])?;
        let socket = format!("unix_socket_directories = '{}'\n", dir.display());
        fs::write(format!("{data}/postgresql.auto.conf"), SETTINGS.to_owned() + &socket)?;
        server.launch()?;
        server.sql(SCHEMA)?;
        for table in [Table::Plain, Table::Chained] {
            fs::write(server.script(table), script(table))?;
        }
        server.version = server.sql("SHOW server_version")?.trim().to_owned();
        Ok(server)
    }

    /// Inserts rows for `seconds`, one a transaction.
    ///
    /// # Errors
    ///
    /// Fails when `pgbench` does.
    pub(super) fn insert(&self, table: Table, connections: usize, seconds: u64) -> Result<Rate> {
        let threads = if connections == 1 { "1" } else { "2" };
        let said = self.run(
            "pgbench",
            &[
                &["-h", &self.socket(), "-U", "postgres", "-n", "-M", "prepared"][..],
                &["-f", &self.script(table), "-D", &format!("body={}", self.body)],
                &["-c", &connections.to_string(), "-j", threads, "-T", &seconds.to_string(), "postgres"],
            ]
            .concat(),
        )?;
        parse(&said)
    }

    /// Gives the bytes on disk for each row of the table, with its index, and starts it afresh.
    ///
    /// # Errors
    ///
    /// Fails when the server does.
    pub(super) fn bytes_per_row(&self, table: Table) -> Result<f64> {
        let name = table.name();
        let size = self.sql(&format!(
            "SELECT pg_total_relation_size('{name}')::float8 / greatest(count(*), 1) FROM {name}"
        ))?;
        self.sql(&format!("TRUNCATE {name}"))?;
        size.trim().parse().with_context(|| format!("expected a size, found `{size}`"))
    }

    fn data(&self) -> String {
        format!("{}/data", self.dir.display())
    }

    fn script(&self, table: Table) -> String {
        format!("{}/{}.sql", self.dir.display(), table.name())
    }

    fn socket(&self) -> String {
        self.dir.display().to_string()
    }

    fn sql(&self, text: &str) -> Result<String> {
        self.run(
            "psql",
            &[
                "-h",
                &self.socket(),
                "-U",
                "postgres",
                "-qAt",
                "-v",
                "ON_ERROR_STOP=1",
                "-c",
                text,
                "postgres",
            ],
        )
    }

    /// Starts the server as a child, so that an interrupt from the terminal reaches it too.
    fn launch(&mut self) -> Result<()> {
        let log_path = self.dir.join("log");
        let log = fs::File::create(&log_path)?;
        let mut command = self.command("postgres", &["-D", &self.data()]);
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        self.child = Some(command.spawn().context("cannot start PostgreSQL")?);
        if wait_until(READY_MAX, || self.sql("SELECT 1").is_ok()) {
            return Ok(());
        }
        let said = fs::read_to_string(&log_path).unwrap_or_default();
        bail!("expected PostgreSQL to become ready, found: {}", said.trim())
    }

    fn run(&self, program: &str, arguments: &[&str]) -> Result<String> {
        output(&mut self.command(program, arguments))
    }

    /// Prepares one of its programs; PostgreSQL refuses to be root.
    fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let program = self.programs.join(program);
        let mut command;
        if is_root() {
            let mut words = vec!["exec".to_owned(), quoted(&program.display().to_string())];
            words.extend(arguments.iter().map(|argument| quoted(argument)));
            command = Command::new("su");
            command.args(["-s", "/bin/sh", "-c", &words.join(" "), "postgres"]);
        } else {
            command = Command::new(program);
            command.args(arguments);
        }
        command.current_dir(&self.dir);
        command
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        // Ended already, or the whole bench is failing: nothing is left to do either way.
        let _stopped = self.run("pg_ctl", &["-D", &self.data(), "-m", "fast", "-w", "stop"]);
        let _ended = child.wait();
    }
}

/// Finds the newest `initdb` of Debian's packages, or one in the search path.
fn programs() -> Option<PathBuf> {
    let version = |path: &Path| path.file_name()?.to_str()?.parse::<u32>().ok();
    let packaged = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let newest = packaged.map(|entry| entry.path()).max_by_key(|path| version(path));
    let in_path = std::env::var_os("PATH");
    let in_path = in_path.iter().flat_map(std::env::split_paths);
    newest
        .map(|path| path.join("bin"))
        .into_iter()
        .chain(in_path)
        .find(|dir| ["initdb", "pg_ctl", "psql", "pgbench"].iter().all(|program| dir.join(program).exists()))
}

/// Writes the `pgbench` script: the body is sent as a value each time, and made different by a number.
fn script(table: Table) -> String {
    let name = table.name();
    format!(
        "\\set id random(1, 1000000000)\n\
         INSERT INTO {name} (body) VALUES (:body::text || (:id)::text);\n"
    )
}

fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// Reads the rate and the average latency from what `pgbench` says at its end.
fn parse(said: &str) -> Result<Rate> {
    let value = |start: &str| {
        let line = said.lines().find_map(|line| line.strip_prefix(start))?;
        line.split_whitespace().next()?.parse::<f64>().ok()
    };
    match (value("tps = "), value("latency average = ")) {
        (Some(rows_per_second), Some(latency_average_ms)) => Ok(Rate { rows_per_second, latency_average_ms }),
        _ => bail!("expected a rate from pgbench, found: {said}"),
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests may unwrap")]
mod tests {
    use super::{Rate, Table, parse, quoted, script};

    #[test]
    fn summary_of_pgbench_is_read() {
        let said = "scaling factor: 1\nlatency average = 0.547 ms\n\
                    initial connection time = 4.1 ms\ntps = 1826.3 (without initial connection time)\n";
        let rate = Rate { rows_per_second: 1826.3, latency_average_ms: 0.547 };
        assert_eq!(parse(said).unwrap(), rate);
        assert!(parse("pgbench: error: connection failed").is_err());
    }

    #[test]
    fn words_survive_the_shell() {
        assert_eq!(quoted("it's \"x\" $y"), r#"'it'\''s "x" $y'"#);
        assert!(
            script(Table::Chained)
                .ends_with("INSERT INTO chained (body) VALUES (:body::text || (:id)::text);\n")
        );
    }
}
