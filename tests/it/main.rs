//! The archive end to end: the real router over a real ledger, a clock that moves only when it is told to, and a
//! check of everything after each story.
#![expect(clippy::disallowed_methods, reason = "tests may unwrap and measure")]

mod access;
mod capture;
mod consent;
mod conversation;
mod coverage;
mod dispose;
mod evidence;
mod extract;
mod import;
mod limit;
mod log;
mod media;
mod poll;
mod proxy;
mod recover;
mod search;
mod senders;
mod snapshot;
mod watch;

#[test]
fn no_test_file_is_forgotten() {
    assert_eq!(piperoll_tests::forgotten_modules("it"), Vec::<String>::new());
}
