//! Object keys: the only way to name an object, valid by construction.
//!
//! A key is one or more segments joined by `/`. Because a segment cannot be empty, `.` or `..`, a key can
//! be appended to a directory path without ever leaving that directory. This module does not know which
//! keys the archive uses; the layout is spelled elsewhere.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;

/// The longest key in bytes; S3 allows 1,024 and adapters may prepend a prefix of their own.
pub const KEY_BYTES_MAX: usize = 900;

/// The longest segment in bytes; file systems allow 255 and adapters may prepend a marker.
pub const SEGMENT_BYTES_MAX: usize = 240;

/// The beginning of the name of the marker file with which a directory store records a hold.
pub(crate) const HOLD_PREFIX: &str = ".hold-";

/// The directory in which a directory store writes objects that have no name yet.
pub(crate) const STAGING: &str = ".staging";

/// A valid object key; ordered by its bytes, as every listing is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectKey(String);

/// Says why a text is not an object key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The text is empty or longer than [`KEY_BYTES_MAX`].
    #[error("expected an object key of 1 to {KEY_BYTES_MAX} bytes, found {found}")]
    Length {
        /// Length of the text in bytes.
        found: usize,
    },
    /// A segment is empty, relative, reserved, too long, or has a byte outside `[A-Za-z0-9._-]`.
    #[error("expected key segments of [A-Za-z0-9._-], found `{segment}` in `{key}`")]
    Segment {
        /// The whole text.
        key: String,
        /// The offending part.
        segment: String,
    },
}

impl ObjectKey {
    /// Checks `key` and takes it over.
    ///
    /// # Errors
    ///
    /// Fails if the text breaks one of the rules in [`KeyError`].
    pub fn new(key: impl Into<String>) -> Result<Self, KeyError> {
        let key = key.into();
        if key.is_empty() || key.len() > KEY_BYTES_MAX {
            return Err(KeyError::Length { found: key.len() });
        }
        if let Some(segment) = key.split('/').find(|segment| !is_valid_segment(segment)) {
            let segment = segment.to_owned();
            return Err(KeyError::Segment { key, segment });
        }
        Ok(Self(key))
    }

    /// Returns the key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Tells whether the text of the key begins with `prefix`; a prefix may end inside a segment.
    pub fn starts_with(&self, prefix: &str) -> bool {
        self.0.starts_with(prefix)
    }
}

/// Tells whether `segment` may stand between two slashes of a key.
pub(crate) fn is_valid_segment(segment: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    !segment.is_empty()
        && segment.len() <= SEGMENT_BYTES_MAX
        && segment.bytes().all(is_allowed)
        && segment != "."
        && segment != ".."
        && segment != STAGING
        && !segment.starts_with(HOLD_PREFIX)
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Borrow<str> for ObjectKey {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for ObjectKey {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl FromStr for ObjectKey {
    type Err = KeyError;

    fn from_str(key: &str) -> Result<Self, KeyError> {
        Self::new(key)
    }
}

impl TryFrom<&str> for ObjectKey {
    type Error = KeyError;

    fn try_from(key: &str) -> Result<Self, KeyError> {
        Self::new(key)
    }
}

impl TryFrom<String> for ObjectKey {
    type Error = KeyError;

    fn try_from(key: String) -> Result<Self, KeyError> {
        Self::new(key)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn valid_keys_are_taken_as_they_are() {
        for key in ["a", "genesis", "l/log/000000000001.seg", ".probe/x_Y-1.z", "a..b/...", "A/-/_"] {
            assert_eq!(ObjectKey::new(key).map(|key| key.to_string()), Ok(key.to_owned()));
        }
        assert!(ObjectKey::new(format!("{}/{}", "a".repeat(240), "b".repeat(240))).is_ok());
    }

    #[test]
    fn invalid_keys_are_refused() {
        let too_long = vec!["a".repeat(100); 9].join("/");
        let long_segment = "a".repeat(SEGMENT_BYTES_MAX + 1);
        for key in [
            "",
            "/",
            "/a",
            "a/",
            "a//b",
            ".",
            "..",
            "../a",
            "a/../b",
            "a/.",
            "a b",
            "a\0b",
            "ä",
            "a\\b",
            "a%2f",
            ".hold-a",
            "a/.hold-",
            ".staging",
            ".staging/a",
            &too_long,
            &long_segment,
        ] {
            assert!(ObjectKey::new(key).is_err(), "`{key}` is not a key");
        }
    }

    #[test]
    fn a_prefix_may_end_inside_a_segment() {
        let key = ObjectKey::new("ledger/log/7").expect("the key is valid");
        assert!(key.starts_with("") && key.starts_with("led") && key.starts_with("ledger/log/7"));
        assert!(!key.starts_with("log"));
    }

    proptest! {
        #[test]
        fn no_accepted_key_leaves_its_root(text in "[a./\\\\_-]{0,24}") {
            if let Ok(key) = ObjectKey::new(text) {
                let path = std::path::Path::new("/root").join(key.as_str());
                let is_normal = |part| matches!(part, std::path::Component::Normal(_));
                prop_assert!(path.starts_with("/root"));
                prop_assert!(path.components().skip(1).all(is_normal));
            }
        }
    }
}
