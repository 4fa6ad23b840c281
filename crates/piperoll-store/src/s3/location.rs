//! Where a store is, `s3://bucket/prefix`, and how it locks.

use std::fmt;
use std::str::FromStr;

use super::options::S3Error;
use crate::key::{KEY_BYTES_MAX, ObjectKey, is_valid_segment};
use crate::port::LockMode;

/// The longest name of an object in S3, in bytes; a prefix takes its part of it.
const NAME_BYTES_MAX: usize = 1_024;

/// A bucket and a prefix inside it, written `s3://bucket/prefix`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct S3Location {
    /// The bucket's name.
    pub bucket: String,
    /// What stands before every key, without slashes at its ends; empty for the whole bucket.
    pub prefix: String,
}

impl S3Location {
    /// Returns the name in the bucket of the object with this key, or the beginning of names for a prefix.
    pub(super) fn name(&self, key: &str) -> String {
        if self.prefix.is_empty() { key.to_owned() } else { format!("{}/{key}", self.prefix) }
    }

    /// Returns the key of the object with this name in the bucket; `None` if it is none of this store's.
    pub(super) fn key(&self, name: &str) -> Option<ObjectKey> {
        let key = if self.prefix.is_empty() {
            name
        } else {
            name.strip_prefix(self.prefix.as_str())?.strip_prefix('/')?
        };
        ObjectKey::new(key).ok()
    }
}

impl fmt::Display for S3Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s3://{}", self.bucket)?;
        if self.prefix.is_empty() { Ok(()) } else { write!(f, "/{}", self.prefix) }
    }
}

impl FromStr for S3Location {
    type Err = S3Error;

    fn from_str(text: &str) -> Result<Self, S3Error> {
        let wrong = |reason| S3Error::Location { text: text.to_owned(), reason };
        let rest = text.strip_prefix("s3://").ok_or_else(|| wrong("it does not begin with `s3://`"))?;
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
        if !is_bucket_name(bucket) {
            return Err(wrong("a bucket's name has 3 to 63 characters of [a-z0-9.-]"));
        }
        if !prefix.is_empty() && !prefix.split('/').all(is_valid_segment) {
            return Err(wrong("a prefix has segments of [A-Za-z0-9._-]"));
        }
        if prefix.len() + 1 + KEY_BYTES_MAX > NAME_BYTES_MAX {
            return Err(wrong("a prefix has at most 123 bytes"));
        }
        Ok(Self { bucket: bucket.to_owned(), prefix: prefix.to_owned() })
    }
}

fn is_bucket_name(name: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    (3..=63).contains(&name.len())
        && name.bytes().all(|byte| is_plain(byte) || matches!(byte, b'.' | b'-'))
        && name.bytes().next().is_some_and(is_plain)
        && name.bytes().next_back().is_some_and(is_plain)
}

/// Who can lift a lock before its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum S3Mode {
    /// Nobody.
    Compliance,
    /// A principal with the right to bypass; for trying out.
    Governance,
}

impl S3Mode {
    /// Returns the name that stands in requests and answers.
    pub(super) const fn wire(self) -> &'static str {
        match self {
            Self::Compliance => "COMPLIANCE",
            Self::Governance => "GOVERNANCE",
        }
    }

    pub(super) const fn lock_mode(self) -> LockMode {
        match self {
            Self::Compliance => LockMode::Compliance,
            Self::Governance => LockMode::Governance,
        }
    }
}

impl fmt::Display for S3Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Compliance => "compliance",
            Self::Governance => "governance",
        })
    }
}

impl FromStr for S3Mode {
    type Err = S3Error;

    fn from_str(text: &str) -> Result<Self, S3Error> {
        match text {
            "compliance" => Ok(Self::Compliance),
            "governance" => Ok(Self::Governance),
            _ => Err(S3Error::Mode { found: text.to_owned() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locations_are_read_and_written() {
        for (text, bucket, prefix, shown) in [
            ("s3://records", "records", "", "s3://records"),
            ("s3://records/", "records", "", "s3://records"),
            ("s3://my.bucket-1/a/b", "my.bucket-1", "a/b", "s3://my.bucket-1/a/b"),
            ("s3://records/a/", "records", "a", "s3://records/a"),
        ] {
            let location: S3Location = text.parse().expect("it is a location");
            assert_eq!((location.bucket.as_str(), location.prefix.as_str()), (bucket, prefix));
            assert_eq!(location.to_string(), shown);
        }
        let long = format!("s3://records/{}", "a".repeat(124));
        for text in
            ["records", "s3://", "s3://ab", "s3://Records", "s3://-ab", "s3://abc//d", "s3://abc/ä", &long]
        {
            assert!(text.parse::<S3Location>().is_err(), "`{text}` is no location");
        }
    }

    #[test]
    fn names_in_the_bucket_are_those_of_keys_below_the_prefix() {
        let location: S3Location = "s3://records/a".parse().expect("it is a location");
        assert_eq!(location.name("b/c"), "a/b/c");
        assert_eq!(location.key("a/b/c"), Some(ObjectKey::new("b/c").expect("it is a key")));
        assert_eq!(location.key("ab/c"), None);
        assert_eq!(location.key("a/ä"), None);
        let whole: S3Location = "s3://records".parse().expect("it is a location");
        assert_eq!(whole.name("b"), "b");
        assert_eq!(whole.key("b"), Some(ObjectKey::new("b").expect("it is a key")));
    }

    #[test]
    fn modes_are_read_and_written() {
        for mode in [S3Mode::Compliance, S3Mode::Governance] {
            assert_eq!(mode.to_string().parse::<S3Mode>().ok(), Some(mode));
        }
        assert!("COMPLIANCE".parse::<S3Mode>().is_err());
    }
}
