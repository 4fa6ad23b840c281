//! JSON as Meta writes it: compact, keys in a fixed order, every non-ASCII character as `\u` with four
//! lower-case hex digits (pairs of surrogates above U+FFFF) and `/` as `\/`.
//!
//! `serde_json` is not used for writing: the order of its keys depends on a feature that any other package
//! of the workspace may turn on.

/// A JSON value with ordered keys.
#[derive(Debug, Clone)]
pub(crate) enum Json {
    /// Not written; a map leaves out the key as well.
    Absent,
    Null,
    Bool(bool),
    Int(i64),
    /// A number written as given, for decimals.
    Number(String),
    Text(String),
    List(Vec<Self>),
    Map(Vec<(&'static str, Self)>),
}

impl Json {
    /// Writes the value as the bytes of a webhook body.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(1200);
        self.write(&mut out);
        out
    }

    /// Adds an entry at the end of a map; other values stay as they are.
    pub(crate) fn with(mut self, key: &'static str, value: impl Into<Self>) -> Self {
        if let Self::Map(entries) = &mut self {
            entries.push((key, value.into()));
        }
        self
    }

    /// Puts the entries of another map after those of this one.
    pub(crate) fn merge(mut self, other: Self) -> Self {
        if let (Self::Map(entries), Self::Map(more)) = (&mut self, other) {
            entries.extend(more);
        }
        self
    }

    /// Puts the elements of `entry` of another body after those of this one.
    pub(crate) fn join_entries(mut self, other: Self) -> Self {
        if let (Self::Map(body), Self::Map(more)) = (&mut self, other)
            && let Some((_, Self::List(entries))) = body.iter_mut().find(|(key, _)| *key == "entry")
        {
            for (_, value) in more {
                if let Self::List(others) = value {
                    entries.extend(others);
                }
            }
        }
        self
    }

    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Absent | Self::Null => out.extend_from_slice(b"null"),
            Self::Bool(true) => out.extend_from_slice(b"true"),
            Self::Bool(false) => out.extend_from_slice(b"false"),
            Self::Int(number) => out.extend_from_slice(number.to_string().as_bytes()),
            Self::Number(text) => out.extend_from_slice(text.as_bytes()),
            Self::Text(text) => write_text(text, out),
            Self::List(values) => {
                write_joined(out, *b"[]", values.iter(), Self::write);
            }
            Self::Map(entries) => {
                let present = entries.iter().filter(|(_, value)| !matches!(value, Self::Absent));
                write_joined(out, *b"{}", present, |(key, value), out| {
                    write_text(key, out);
                    out.push(b':');
                    value.write(out);
                });
            }
        }
    }
}

fn write_joined<T>(
    out: &mut Vec<u8>,
    [open, close]: [u8; 2],
    values: impl Iterator<Item = T>,
    write: impl Fn(T, &mut Vec<u8>),
) {
    out.push(open);
    for (position, value) in values.enumerate() {
        if position > 0 {
            out.push(b',');
        }
        write(value, out);
    }
    out.push(close);
}

fn write_text(text: &str, out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    out.push(b'"');
    for character in text.chars() {
        match character {
            '"' => out.extend_from_slice(b"\\\""),
            '\\' => out.extend_from_slice(b"\\\\"),
            '/' => out.extend_from_slice(b"\\/"),
            '\n' => out.extend_from_slice(b"\\n"),
            '\r' => out.extend_from_slice(b"\\r"),
            '\t' => out.extend_from_slice(b"\\t"),
            ' '..='~' => out.push(u8::try_from(character).expect("the range is ASCII")),
            _ => {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    out.extend_from_slice(b"\\u");
                    for shift in [12, 8, 4, 0] {
                        out.push(HEX[usize::from(*unit >> shift) & 15]);
                    }
                }
            }
        }
    }
    out.push(b'"');
}

impl From<&str> for Json {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<&String> for Json {
    fn from(text: &String) -> Self {
        Self::Text(text.clone())
    }
}

impl From<String> for Json {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<i64> for Json {
    fn from(number: i64) -> Self {
        Self::Int(number)
    }
}

impl From<bool> for Json {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<Vec<Self>> for Json {
    fn from(values: Vec<Self>) -> Self {
        Self::List(values)
    }
}

impl<T: Into<Self>> From<Option<T>> for Json {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Absent, Into::into)
    }
}

/// Builds a [`Json::Map`] whose keys are written in the given order.
macro_rules! map {
    ($($key:literal : $value:expr),* $(,)?) => {
        $crate::traffic::json::Json::Map(vec![$(($key, $crate::traffic::json::Json::from($value))),*])
    };
}
/// Builds a [`Json::List`].
macro_rules! list {
    ($($value:expr),* $(,)?) => {
        $crate::traffic::json::Json::List(vec![$($crate::traffic::json::Json::from($value)),*])
    };
}
pub(crate) use {list, map};

#[cfg(test)]
mod tests {
    use super::Json;

    #[test]
    fn text_is_escaped_as_meta_does() {
        let value = map! {"a": "ż/\"\\\n😀", "none": None::<i64>, "list": list![1, true, Json::Null]};
        assert_eq!(
            String::from_utf8_lossy(&value.to_bytes()),
            r#"{"a":"\u017c\/\"\\\n\ud83d\ude00","list":[1,true,null]}"#
        );
    }
}
