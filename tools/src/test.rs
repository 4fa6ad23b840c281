//! `cargo xt test`: every check and every test, in order of cost.

use std::process::{Command, ExitCode, Stdio};

use anyhow::{Result, ensure};

use crate::bench::process::{install, is_root, output};
use crate::repository::{cargo, root, say};
use crate::s3_ceph::Gateway;
use crate::{corpus, s3, tidy};

/// What one step of the run does.
enum Work {
    /// Runs cargo with these arguments; a missing component of the toolchain is installed if possible.
    Cargo { arguments: &'static [&'static str], component: Option<&'static str> },
    /// Calls a function that gives one line per problem.
    Own(fn() -> Vec<String>),
    /// Starts the services that tests talk to.
    Services,
    /// Runs all tests and counts them.
    Tests,
}

struct Step {
    name: &'static str,
    work: Work,
}

/// The steps, cheapest first. A new check is one line here.
const STEPS: [Step; 7] = [
    Step {
        name: "format",
        work: Work::Cargo { arguments: &["fmt", "--all", "--check"], component: Some("rustfmt") },
    },
    Step { name: "tidy", work: Work::Own(tidy_lines) },
    Step { name: "corpus", work: Work::Own(corpus_lines) },
    Step {
        name: "clippy",
        work: Work::Cargo {
            arguments: &["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"],
            component: Some("clippy"),
        },
    },
    // Tests of the programs run them; built together with the tests, nothing is compiled twice.
    Step {
        name: "build",
        work: Work::Cargo { arguments: &["build", "--workspace", "--all-targets"], component: None },
    },
    Step { name: "services", work: Work::Services },
    Step { name: "tests", work: Work::Tests },
];

/// Tests that ran.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Count {
    passed: u64,
    failed: u64,
    /// Tests against a real S3 service that passed: they pass without doing anything where there is none.
    s3: u64,
    /// The summary that comes next is that of the tests against S3.
    is_in_s3: bool,
}

/// Runs the task: all steps, also after a failure, then `N passed, N failed`.
///
/// # Errors
///
/// Fails when cargo cannot be started.
pub fn run() -> Result<ExitCode> {
    let mut count = Count::default();
    let (mut broken, mut services) = (Vec::new(), Services::default());
    for Step { name, work } in &STEPS {
        say(&format!("== {name}"));
        let started = now();
        let good = match work {
            Work::Cargo { arguments, component } => run_cargo(arguments, *component)?,
            Work::Own(check) => report(&check()),
            Work::Services => report(&services.start()),
            Work::Tests => {
                let good = run_tests(&services.environment(), &mut count)?;
                good & report(&check_s3(services.s3.is_some(), count.s3))
            }
        };
        let verdict = if good { "ok" } else { "FAILED" };
        say(&format!("== {name}: {verdict} ({:.1} s)", started.elapsed().as_secs_f64()));
        if !good {
            broken.push(*name);
        }
    }
    if !broken.is_empty() {
        say(&format!("failed steps: {}", broken.join(", ")));
    }
    say(&format!("{} passed, {} failed", count.passed, count.failed));
    Ok(if broken.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The services that tests talk to; they stop with this value.
#[derive(Debug, Default)]
struct Services {
    s3: Option<s3::Service>,
    ceph: Option<Gateway>,
}

impl Services {
    /// Starts them, and returns one line for each that should be there and is not.
    fn start(&mut self) -> Vec<String> {
        let mut problems = Vec::new();
        match s3::Service::start() {
            Ok(service) => self.s3 = Some(service),
            Err(error) => problems.push(format!("{error:#}")),
        }
        match Gateway::start() {
            Ok(gateway) => self.ceph = gateway,
            Err(error) => problems.push(format!("{error:#}")),
        }
        // It lets system calls of a process fail.
        if let Err(error) = find_strace() {
            say(&format!("strace is not here, tests of disks that fail are skipped: {error:#}"));
        }
        problems
    }

    fn environment(&self) -> Vec<(String, String)> {
        let s3 = self.s3.as_ref().map(s3::Service::environment).unwrap_or_default();
        let ceph = self.ceph.as_ref().map(Gateway::environment).unwrap_or_default();
        [s3, ceph].concat()
    }
}

fn find_strace() -> Result<()> {
    let is_found = || output(Command::new("strace").arg("--version")).is_ok();
    ensure!(is_found() || is_root(), "only root can install Debian packages");
    install("strace", is_found)
}

#[expect(clippy::disallowed_methods, reason = "the task runner shows how long each step took")]
fn now() -> std::time::Instant {
    std::time::Instant::now()
}

fn report(problems: &[String]) -> bool {
    for problem in problems {
        say(problem);
    }
    problems.is_empty()
}

fn tidy_lines() -> Vec<String> {
    tidy::tidy().iter().map(ToString::to_string).collect()
}

fn corpus_lines() -> Vec<String> {
    corpus::check(&root())
}

/// Runs cargo; a component that is missing and cannot be installed is named, and the step passes.
fn run_cargo(arguments: &[&str], component: Option<&str>) -> Result<bool> {
    if let Some(component) = component
        && !installed(arguments[0])
    {
        say(&format!("cargo {} is missing, trying `rustup component add {component}`", arguments[0]));
        let mut rustup = Command::new("rustup");
        rustup.args(["component", "add", component]).current_dir(root());
        if !succeeds(rustup) || !installed(arguments[0]) {
            say(&format!("{component} cannot be installed, step skipped"));
            return Ok(true);
        }
    }
    Ok(cargo(arguments).status()?.success())
}

fn installed(subcommand: &str) -> bool {
    succeeds(cargo(&[subcommand, "--version"]))
}

fn succeeds(mut command: Command) -> bool {
    command.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

/// Runs all tests with cargo-nextest where it is installed, and doc tests with cargo itself.
fn run_tests(environment: &[(String, String)], count: &mut Count) -> Result<bool> {
    if !installed("nextest") {
        say("cargo nextest is not installed, using cargo test");
        return counted(&["test", "--workspace", "--no-fail-fast"], environment, count);
    }
    let tests = counted(&["nextest", "run", "--workspace", "--no-fail-fast"], environment, count)?;
    let documents = counted(&["test", "--workspace", "--doc", "--no-fail-fast"], environment, count)?;
    Ok(tests && documents)
}

/// Runs cargo, shows its output as it comes and adds up the summaries of the test runners.
fn counted(arguments: &[&str], environment: &[(String, String)], count: &mut Count) -> Result<bool> {
    use std::io::{BufRead, BufReader};
    // The summaries stand in stdout (cargo test) or stderr (nextest): both go through one pipe.
    let (reader, writer) = std::io::pipe()?;
    let mut command = cargo(arguments);
    command.envs(environment.iter().map(|(name, value)| (name, value)));
    command.stdout(writer.try_clone()?).stderr(writer);
    let mut child = command.spawn()?;
    // The command holds the writing ends; without this the reader never sees the end.
    drop(command);
    for line in BufReader::new(reader).lines() {
        let line = line?;
        say(&line);
        add_s3(&line, count);
        add_summary(&line, count);
    }
    Ok(child.wait()?.success())
}

/// A run without tests against S3 has shown nothing about it.
fn check_s3(has_service: bool, passed: u64) -> Vec<String> {
    if has_service && passed == 0 {
        return vec!["expected tests against the S3 service to pass, found none that ran".to_owned()];
    }
    Vec::new()
}

/// Finds tests against S3: `PASS [   0.1s] ( 1/9) piperoll-tests::s3 name` of nextest, and
/// `Running s3/main.rs (…)` with a summary of `cargo test`.
fn add_s3(line: &str, count: &mut Count) {
    let line = line.trim_start();
    if line.starts_with("PASS [") && line.contains(" piperoll-tests::s3 ") {
        count.s3 += 1;
    } else if line.starts_with("Running ") {
        count.is_in_s3 = line.contains(" s3/main.rs ");
    }
}

/// Reads `test result: ok. 3 passed; 1 failed; …` and
/// `Summary [ 1.2s] 4 tests run: 3 passed (1 slow), 1 failed, 0 skipped`.
fn add_summary(line: &str, count: &mut Count) {
    if !line.starts_with("test result:") && !line.trim_start().starts_with("Summary [") {
        return;
    }
    let words: Vec<&str> = line.split_whitespace().collect();
    for pair in words.windows(2) {
        let Ok(number) = pair[0].parse::<u64>() else { continue };
        match pair[1].trim_end_matches([',', ';']) {
            "passed" => {
                count.passed += number;
                count.s3 += if std::mem::take(&mut count.is_in_s3) { number } else { 0 };
            }
            "failed" => count.failed += number,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Count, add_summary};

    #[test]
    fn summaries_of_both_runners_are_added_up() {
        let mut count = Count::default();
        for line in [
            "test result: FAILED. 10 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.9s",
            "     Summary [   0.127s] 14 tests run: 13 passed (2 slow), 1 failed, 0 skipped",
            "test a_test_with_5 passed in its name",
        ] {
            add_summary(line, &mut count);
        }
        assert_eq!(count, Count { passed: 23, failed: 3, ..Count::default() });
    }

    #[test]
    fn tests_against_s3_are_found_in_the_output_of_both_runners() {
        let mut count = Count::default();
        for line in [
            "        PASS [   0.512s] ( 12/800) piperoll-tests::s3 compliance::probe_passes",
            "        FAIL [   0.512s] ( 13/800) piperoll-tests::s3 compliance::other",
            "        PASS [   0.512s] ( 14/800) piperoll-tests::faults s3",
            "     Running s3/main.rs (target/debug/deps/s3-0123)",
            "test result: ok. 40 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.9s",
            "     Running it/main.rs (target/debug/deps/it-0123)",
            "test result: ok. 5 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.9s",
        ] {
            super::add_s3(line, &mut count);
            add_summary(line, &mut count);
        }
        assert_eq!((count.s3, count.passed), (41, 45));
        assert!(super::check_s3(true, 0).len() == 1 && super::check_s3(true, 41).is_empty());
    }
}
