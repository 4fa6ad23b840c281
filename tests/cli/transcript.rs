//! Transcripts: commands, what they print, and how they end, in one text file per story.
//!
//! | line | meaning |
//! |---|---|
//! | `# …` | a comment |
//! | `$ piperoll …`, `$ piperoll-audit …` | runs a program; words are split at blanks, `'…'` is one word |
//! | `? N` | the command before ends with exit code N; 0 without this line |
//! | `! …` | a line that the command before prints on stderr |
//! | `@ set NAME POINTER` | keeps a value of the JSON that the command before printed; `{NAME}` stands for it |
//! | `@ take NAME` | keeps the whole stdout of the command before, without its last line end |
//! | `@ env NAME VALUE` | sets a variable for all later commands |
//! | `@ file PATH TEXT` | writes a file; `\n` in the text ends a line |
//! | `@ flip PATH` | changes the last byte of a stored object |
//! | `@ remove PATH` | removes a file |
//! | `@ serve` / `@ stop` | starts and stops a server on the directory `archive`; `{server}` is its address |
//! | `@ searchable` | waits until the server's index covers every event |
//! | `@ send NUMBER ID FROM TEXT` | sends a signed webhook to the server |
//! | `@ hook FIELD JSON` | sends a signed webhook of the number 100 whose value has these members |
//! | `@ post PATH JSON` | sends JSON with the server's own token |
//! | `@ due` | waits until a bucket can be disposed of |
//! | anything else | a line that the command before prints on stdout |
//!
//! In what is printed, `[..]` stands for any text in a line and a line `[...]` for any lines. Stderr is compared only
//! where a story says what is expected there. Empty lines before the next command do not count.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use piperoll_tests::{Running, command, piperoll, piperoll_audit, webhook_to};
use serde_json::{Value, json};

/// How long a bucket of the demo policy may take to become due: five seconds, and what a busy machine adds.
const DUE_WITHIN: Duration = Duration::from_secs(60);

/// Plays one story; an error names the line.
pub(crate) fn play(name: &str, text: &str) {
    let home = tempfile::tempdir().unwrap();
    let mut stage = Stage {
        name,
        home: home.path().to_owned(),
        values: BTreeMap::new(),
        environment: BTreeMap::new(),
        running: None,
        stdout: String::new(),
    };
    let mut lines = text.lines().zip(1..).peekable();
    while let Some((line, number)) = lines.next() {
        if let Some(typed) = line.strip_prefix("$ ") {
            let mut expected = Expected::default();
            while let Some((line, _)) = lines.next_if(|(line, _)| !starts_step(line)) {
                expected.add(line);
            }
            stage.run(number, typed, expected);
        } else if let Some(order) = line.strip_prefix("@ ") {
            stage.arrange(number, order);
        } else {
            assert!(line.is_empty() || line.starts_with('#'), "{name}:{number}: a line without a command");
        }
    }
}

fn starts_step(line: &str) -> bool {
    ["$ ", "@ ", "#"].iter().any(|start| line.starts_with(start))
}

/// What a command should do.
#[derive(Debug, Default)]
struct Expected {
    stdout: Vec<String>,
    stderr: Vec<String>,
    exit: i32,
}

impl Expected {
    fn add(&mut self, line: &str) {
        if let Some(exit) = line.strip_prefix("? ") {
            self.exit = exit.parse().unwrap();
        } else if let Some(line) = line.strip_prefix('!') {
            self.stderr.push(line.strip_prefix(' ').unwrap_or(line).to_owned());
        } else {
            self.stdout.push(line.to_owned());
        }
    }
}

struct Stage<'a> {
    name: &'a str,
    home: PathBuf,
    values: BTreeMap<String, String>,
    environment: BTreeMap<String, String>,
    running: Option<Running>,
    stdout: String,
}

impl Stage<'_> {
    fn run(&mut self, number: u32, typed: &str, expected: Expected) {
        let words = words(&self.fill(typed));
        let program = match words[0].as_str() {
            "piperoll" => piperoll(),
            "piperoll-audit" => piperoll_audit(),
            other => panic!("{}:{number}: there is no program `{other}`", self.name),
        };
        let output = command(program, &self.home).args(&words[1..]).envs(&self.environment).output().unwrap();
        let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        let place = format!("{}:{number}: {typed}\nstdout:\n{stdout}\nstderr:\n{stderr}", self.name);
        assert_eq!(output.status.code(), Some(expected.exit), "{place}");
        let fill = |lines: &[String]| lines.iter().map(|line| self.fill(line)).collect::<Vec<_>>();
        if !matches_lines(&fill(&expected.stdout), &lines_of(&stdout)) {
            panic!("stdout is not as expected: {place}\nexpected:\n{}", fill(&expected.stdout).join("\n"));
        }
        if !expected.stderr.is_empty() && !matches_lines(&fill(&expected.stderr), &lines_of(&stderr)) {
            panic!("stderr is not as expected: {place}\nexpected:\n{}", fill(&expected.stderr).join("\n"));
        }
        self.stdout = stdout;
    }

    fn arrange(&mut self, number: u32, order: &str) {
        let order = self.fill(order);
        let (verb, rest) = order.split_once(' ').unwrap_or((&order, ""));
        let two = || rest.split_once(' ').unwrap_or((rest, ""));
        match verb {
            "set" => {
                let (name, pointer) = two();
                let json: Value = serde_json::from_str(&self.stdout).unwrap();
                let value =
                    json.pointer(pointer).unwrap_or_else(|| panic!("{}:{number}: no {pointer}", self.name));
                let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                self.values.insert(name.to_owned(), value);
            }
            "take" => drop(self.values.insert(rest.to_owned(), self.stdout.trim_end().to_owned())),
            "env" => drop(self.environment.insert(two().0.to_owned(), two().1.to_owned())),
            "file" => {
                fs::write(self.home.join(two().0), format!("{}\n", two().1.replace("\\n", "\n"))).unwrap();
            }
            "flip" => flip(&self.home.join(rest)),
            "remove" => fs::remove_file(self.home.join(rest)).unwrap(),
            "serve" => {
                let running = Running::start(&self.home, "archive");
                self.values.insert("server".to_owned(), format!("http://{}", running.address()));
                self.running = Some(running);
            }
            "searchable" => self.wait_until_searchable(),
            "stop" => assert!(self.running.take().unwrap().stop().success(), "{}:{number}", self.name),
            "send" => {
                let [number, id, from, text] = rest.splitn(4, ' ').collect::<Vec<_>>().try_into().unwrap();
                let mut connection = self.running.as_ref().unwrap().connect().unwrap();
                let status = connection.signed_post(&webhook_to(number, &[(id, from, text)])).unwrap();
                assert_eq!(status, 200, "{}:{number}", self.name);
            }
            "hook" => {
                let body = webhook_of(two().0, two().1);
                let mut connection = self.running.as_ref().unwrap().connect().unwrap();
                assert_eq!(connection.signed_post(body.as_bytes()).unwrap(), 200, "{}:{number}", self.name);
            }
            "post" => self.post(number, two().0, two().1),
            "due" => self.wait_until_due(),
            other => panic!("{}:{number}: there is no order `{other}`", self.name),
        }
    }

    fn wait_until_due(&self) {
        let started = Instant::now();
        loop {
            let mut plan = command(piperoll(), &self.home);
            let output = plan.args(["--dir", "archive", "--json", "dispose", "plan"]).output().unwrap();
            let plan: Value = serde_json::from_slice(&output.stdout).unwrap();
            if !plan["due"].as_array().unwrap().is_empty() {
                return;
            }
            assert!(started.elapsed() < DUE_WITHIN, "nothing becomes due: {plan}");
            // Every look at the plan is an event; nobody wakes this thread before the time.
            std::thread::park_timeout(Duration::from_millis(500));
        }
    }

    fn post(&self, number: u32, path: &str, body: &str) {
        let token = fs::read_to_string(self.home.join("archive/secrets/local-token")).unwrap();
        let headers = format!("content-type: application/json\r\nauthorization: Bearer {}\r\n", token.trim());
        let mut connection = self.running.as_ref().unwrap().connect().unwrap();
        let (status, answer) = connection.post(path, &headers, body.as_bytes()).unwrap();
        assert_eq!(status, 200, "{}:{number}: {}", self.name, String::from_utf8_lossy(&answer));
    }

    fn wait_until_searchable(&self) {
        let token = fs::read_to_string(self.home.join("archive/secrets/local-token")).unwrap();
        let mut connection = self.running.as_ref().unwrap().connect().unwrap();
        let started = Instant::now();
        loop {
            let (status, body) = connection.get("/v1/ledger", token.trim()).unwrap();
            assert_eq!(status, 200);
            let view: Value = serde_json::from_slice(&body).unwrap();
            if view["complete_to"].as_u64() >= view["size"].as_u64() {
                return;
            }
            assert!(started.elapsed() < DUE_WITHIN, "nothing becomes searchable: {view}");
            std::thread::park_timeout(Duration::from_millis(10));
        }
    }

    fn fill(&self, text: &str) -> String {
        let mut filled = text.to_owned();
        for (name, value) in &self.values {
            filled = filled.replace(&format!("{{{name}}}"), value);
        }
        filled
    }
}

/// Makes a webhook of the number 100.
fn webhook_of(field: &str, members: &str) -> String {
    let mut value: Value = serde_json::from_str(members).unwrap();
    if field != "account_update" {
        value["messaging_product"] = "whatsapp".into();
        value["metadata"] = json!({"display_phone_number": "15550109", "phone_number_id": "100"});
    }
    let change = json!({"field": field, "value": value});
    json!({"object": "whatsapp_business_account", "entry": [{"id": "1022", "time": 1_795_260_000, "changes": [change]}]})
        .to_string()
}

/// Changes the last byte of a file that is read-only, keeping its time, which is its lock.
fn flip(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    let lock = fs::metadata(path).unwrap().modified().unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o644)).unwrap();
    fs::write(path, bytes).unwrap();
    fs::File::options().write(true).open(path).unwrap().set_modified(lock).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o444)).unwrap();
}

fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (part, is_quoted) in text.split('\'').zip([false, true].into_iter().cycle()) {
        if is_quoted {
            words.push(part.to_owned());
        } else {
            words.extend(part.split_whitespace().map(str::to_owned));
        }
    }
    words
}

fn lines_of(text: &str) -> Vec<String> {
    text.lines().map(|line| line.trim_end().to_owned()).collect()
}

/// Compares lines; empty ones at the end do not count.
fn matches_lines(expected: &[String], found: &[String]) -> bool {
    let end = |lines: &[String]| lines.iter().rposition(|line| !line.is_empty()).map_or(0, |last| last + 1);
    matches_from(&expected[..end(expected)], &found[..end(found)])
}

fn matches_from(expected: &[String], found: &[String]) -> bool {
    match (expected.split_first(), found.split_first()) {
        (None, None) => true,
        (Some((first, rest)), _) if first == "[...]" => {
            (0..=found.len()).any(|skipped| matches_from(rest, &found[skipped..]))
        }
        (Some((first, rest)), Some((line, tail))) => matches_line(first, line) && matches_from(rest, tail),
        _ => false,
    }
}

fn matches_line(expected: &str, found: &str) -> bool {
    let Some((start, rest)) = expected.split_once("[..]") else { return expected == found };
    let Some(found) = found.strip_prefix(start) else { return false };
    found.char_indices().map(|(at, _)| at).chain([found.len()]).any(|at| matches_line(rest, &found[at..]))
}

#[test]
fn wildcards_match_what_they_stand_for() {
    assert!(
        matches_line("a [..] c", "a b c") && matches_line("[..]", "") && !matches_line("a [..] c", "a b")
    );
    let lines = |text: &str| lines_of(text);
    assert!(matches_lines(&lines("a\n[...]\nd\n\n"), &lines("a\nb\nc\nd")));
    assert!(!matches_lines(&lines("a\nd"), &lines("a\nb\nd")));
    assert_eq!(words("piperoll search 'two words' x"), ["piperoll", "search", "two words", "x"]);
}
