//! The second copy: it follows a writer, survives being stopped anywhere, verifies by itself, and mends the first.
//!
//! Both stores are real directories. The clock moves only when it is told to.
#![expect(clippy::disallowed_methods, reason = "tests may unwrap and measure")]

mod copy;
mod pair;
mod scrub;
mod served;

#[test]
fn no_test_file_is_forgotten() {
    assert_eq!(piperoll_tests::forgotten_modules("replica"), Vec::<String>::new());
}
