//! Exports in the forms that phones and other archives write.
#![expect(clippy::disallowed_methods, reason = "tests may unwrap")]

use std::io::{Cursor, Write as _};

use super::*;

fn context(format: Format) -> Context {
    Context {
        format,
        number: "9001".to_owned(),
        zone: chrono_tz::Europe::Berlin,
        date_order: None,
        name: Some("Acme".to_owned()),
        person: Some("4915550000001".to_owned()),
    }
}
