//! Layout, dependencies and habits: what `cargo xt tidy` checks, so that `cargo test` is enough.

use piperoll_tests::forgotten_modules;

#[test]
fn no_test_file_is_forgotten() {
    assert_eq!(forgotten_modules("architecture"), Vec::<String>::new());
}

#[test]
fn repository_is_tidy() {
    let complaints: Vec<String> = tools::tidy::tidy().iter().map(ToString::to_string).collect();
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}
