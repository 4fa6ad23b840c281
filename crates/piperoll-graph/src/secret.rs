//! A token that no log and no message shows.

use std::fmt;

/// An access token. Its only way out is the `Authorization` header of a request.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    /// Takes a token; surrounding white space, as in a file, is not part of it.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(text.trim().to_owned())
    }

    /// Returns the token itself.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}
