//! The programs as people and scripts use them: real processes on real directories.
#![expect(clippy::disallowed_methods, reason = "tests may unwrap and measure")]

mod bucket;
mod damage;
mod demo;
mod eio;
mod gap;
mod identity;
mod kill;
mod media;
mod poll;
mod story;
mod transcript;

#[test]
fn no_test_file_is_forgotten() {
    assert_eq!(piperoll_tests::forgotten_modules("cli"), Vec::<String>::new());
}
