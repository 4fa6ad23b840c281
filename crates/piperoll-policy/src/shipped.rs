//! The policy files that come with the archive, compiled in so that it starts without a configuration.

/// Returns file name and text of every file in `retention-policies/`, by name.
///
/// They are a choice, not a set: an operator names those that apply. All together are valid as a set too.
#[must_use]
pub fn shipped() -> &'static [(&'static str, &'static str)] {
    macro_rules! files {
        ($($name:literal),+ $(,)?) => {
            &[$(($name, include_str!(concat!("../../../retention-policies/", $name)))),+]
        };
    }
    files![
        "demo-rest.toml",
        "demo.toml",
        "disposal-records.toml",
        "finra-4511.toml",
        "gdpr-consent.toml",
        "hipaa.toml",
        "mifid-ii-7y.toml",
        "mifid-ii.toml",
        "operations.toml",
        "sec-17a-4.toml",
    ]
}
