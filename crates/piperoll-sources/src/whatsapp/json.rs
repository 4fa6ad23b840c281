//! Reading the outer layers of a body: each object keeps what `split` understands as is, and every other member
//! as raw text, so that nothing that might name a person is overlooked. Elements are never interpreted here.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;
use std::ops::Range;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

/// Declares an object with known members, members that name no person, and `others`: all the rest, raw.
///
/// A known member that occurs twice is an error; an array in place of the object is one too.
macro_rules! object {
    (
        $(#[$doc:meta])*
        $name:ident $(<$value:ident>)? {
            $( $(#[$field_doc:meta])* $field:ident = $key:literal: $kind:ty, )*
        } impersonal [ $($safe:literal),* ]
    ) => {
        $(#[$doc])*
        pub(super) struct $name<'de $(, $value)?> {
            $( $(#[$field_doc])* pub(super) $field: Option<$kind>, )*
            /// Members that are not understood and may name a person.
            pub(super) others: Vec<&'de serde_json::value::RawValue>,
        }

        impl<'de $(, $value: serde::Deserialize<'de>)?> serde::Deserialize<'de> for $name<'de $(, $value)?> {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Members<T>(std::marker::PhantomData<T>);

                impl<'de $(, $value: serde::Deserialize<'de>)?> serde::de::Visitor<'de>
                    for Members<$name<'de $(, $value)?>>
                {
                    type Value = $name<'de $(, $value)?>;

                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        f.write_str("an object")
                    }

                    fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                        let mut object = $name { $( $field: None, )* others: Vec::new() };
                        while let Some(key) = map.next_key::<$crate::whatsapp::json::Key<'de>>()? {
                            match key.as_str() {
                                $( $key => {
                                    if object.$field.replace(map.next_value()?).is_some() {
                                        return Err(serde::de::Error::duplicate_field($key));
                                    }
                                } )*
                                $( $safe => {
                                    map.next_value::<serde::de::IgnoredAny>()?;
                                } )*
                                _ => object.others.push(map.next_value()?),
                            }
                        }
                        Ok(object)
                    }
                }

                deserializer.deserialize_map(Members(std::marker::PhantomData))
            }
        }
    };
}
pub(crate) use object;

/// The key of a member, borrowed unless it is written with escapes.
pub(crate) struct Key<'a>(Cow<'a, str>);

impl Key<'_> {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Key<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct KeyVisitor;

        impl<'de> Visitor<'de> for KeyVisitor {
            type Value = Key<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Key(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Key(Cow::Owned(text.to_owned())))
            }
        }

        deserializer.deserialize_str(KeyVisitor)
    }
}

/// Returns the bytes of `body` that are `raw`, which must be a part of it.
pub(crate) fn range_in(body: &str, raw: &RawValue) -> Range<usize> {
    let text = raw.get();
    let start = text.as_ptr().addr() - body.as_ptr().addr();
    start..start + text.len()
}

/// Tells whether a value is an object.
pub(super) fn is_object(raw: &RawValue) -> bool {
    raw.get().starts_with('{')
}

/// Tells whether an object has a key twice; which of the two values is meant cannot be known.
pub(super) fn repeats_a_key(raw: &RawValue) -> bool {
    struct Keys;

    impl<'de> Visitor<'de> for Keys {
        type Value = bool;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<bool, A::Error> {
            let mut seen = HashSet::new();
            let mut repeated = false;
            while let Some(key) = map.next_key::<Key<'de>>()? {
                repeated |= !seen.insert(key.0);
                map.next_value::<IgnoredAny>()?;
            }
            Ok(repeated)
        }
    }

    serde_json::Deserializer::from_str(raw.get()).deserialize_map(Keys).unwrap_or(false)
}
