//! A token that no log and no message shows.

use std::fmt;
use std::sync::Arc;

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

/// Where the token comes from. It is asked again when the platform refuses the token in use, so that a new one takes
/// effect without a restart; `None` when there is none to be had.
#[derive(Clone)]
pub struct TokenSource(Arc<dyn Fn() -> Option<Secret> + Send + Sync>);

impl TokenSource {
    /// Takes what reads the token.
    #[must_use]
    pub fn new(read: impl Fn() -> Option<Secret> + Send + Sync + 'static) -> Self {
        Self(Arc::new(read))
    }

    pub(crate) fn read(&self) -> Option<Secret> {
        (self.0)()
    }
}

impl fmt::Debug for TokenSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenSource(…)")
    }
}
