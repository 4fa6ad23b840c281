//! The description of the interface is the committed one.

use std::path::Path;

/// Set to `1` to write the file instead of comparing it.
const UPDATE: &str = "PIPEROLL_UPDATE_GOLDEN";

#[test]
fn description_is_the_committed_one() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schemas/openapi.json");
    let made = crate::openapi();
    if std::env::var_os(UPDATE).is_some_and(|value| value == "1") {
        std::fs::write(&path, &made).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        made == committed,
        "schemas/openapi.json is not what the routes say: run the test with {UPDATE}=1"
    );
}
