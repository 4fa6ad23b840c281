//! Retention classes and their buckets, as names.

use std::fmt;
use std::str::FromStr;

use crate::error::DecodeError;

/// A retention class: the id of the policy that decided, `[a-z0-9-]{1,32}`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Class(String);

impl Class {
    /// Returns the text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Class {
    type Err = DecodeError;

    fn from_str(text: &str) -> Result<Self, DecodeError> {
        let valid = (1..=32).contains(&text.len())
            && text.bytes().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-');
        if !valid {
            return Err(DecodeError::Text { what: "class", expected: "1 to 32 of a-z, 0-9 and -" });
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A class in one period of `recorded_at`: what shares a keep date and is destroyed together.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Bucket {
    class: Class,
    label: String,
}

impl Bucket {
    /// Names a bucket. The label is the UTC period: `2026-11`, or a shorter one such as `2026-11-21T21`.
    ///
    /// # Errors
    /// [`DecodeError::Text`] when the label has another form.
    pub fn new(class: Class, label: &str) -> Result<Self, DecodeError> {
        const FORM: &[u8] = b"9999-99-99T999999";
        let same_form = label.bytes().zip(FORM).all(|(c, form)| match form {
            b'9' => c.is_ascii_digit(),
            fixed => c == *fixed,
        });
        if !same_form || !matches!(label.len(), 7 | 10 | 13 | 15 | 17) {
            return Err(DecodeError::Text { what: "bucket", expected: "a period such as 2026-11" });
        }
        Ok(Self { class, label: label.to_owned() })
    }

    /// Returns the retention class.
    #[must_use]
    pub const fn class(&self) -> &Class {
        &self.class
    }

    /// Returns the period, such as `2026-11`.
    #[must_use]
    pub fn label(&self) -> &str {
        &self.label
    }
}

impl fmt::Display for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.class, self.label)
    }
}

impl FromStr for Bucket {
    type Err = DecodeError;

    fn from_str(text: &str) -> Result<Self, DecodeError> {
        let (class, label) =
            text.split_once('/').ok_or(DecodeError::Text { what: "bucket", expected: "<class>/<period>" })?;
        Self::new(class.parse()?, label)
    }
}
