//! Keys and region of a profile in the files of the AWS tools.

use std::path::{Path, PathBuf};
use std::{env, fs};

use object_store::aws::AwsCredential;

use super::options::S3Error;

/// What a profile says that is of use here.
#[derive(Debug)]
pub(super) struct Profile {
    pub(super) credential: AwsCredential,
    pub(super) region: Option<String>,
}

/// Reads a profile: keys from the credentials file, the region from there or from the config file.
pub(super) fn read(name: &str) -> Result<Profile, S3Error> {
    let path = file("AWS_SHARED_CREDENTIALS_FILE", "credentials");
    let wrong = |reason: String| S3Error::Profile {
        profile: name.to_owned(),
        file: path.display().to_string(),
        reason,
    };
    let text = fs::read_to_string(&path).map_err(|error| wrong(error.to_string()))?;
    let value = |setting: &str| find(&text, name, setting);
    let require = |setting: &str| {
        value(setting).ok_or_else(|| match configured(name, &text) {
            Some(other) => wrong(format!(
                "it has `{other}`, and only profiles with keys are read; take the role's keys into the environment \
                 (`aws configure export-credentials`), or use web identity (`AWS_WEB_IDENTITY_TOKEN_FILE`)"
            )),
            None => wrong(format!("it has no `{setting}`")),
        })
    };
    let credential = AwsCredential {
        key_id: require("aws_access_key_id")?.to_owned(),
        secret_key: require("aws_secret_access_key")?.to_owned(),
        token: value("aws_session_token").map(str::to_owned),
    };
    let region = value("region").map(str::to_owned).or_else(|| configured_region(name));
    Ok(Profile { credential, region })
}

/// Settings by which the AWS tools get keys for a profile that has none, and that are not followed here.
const OTHER_WAYS: [&str; 6] = [
    "role_arn",
    "source_profile",
    "credential_process",
    "sso_session",
    "sso_start_url",
    "web_identity_token_file",
];

/// Returns the setting by which a profile would get keys from elsewhere.
fn configured(name: &str, credentials: &str) -> Option<&'static str> {
    let config = fs::read_to_string(file("AWS_CONFIG_FILE", "config")).unwrap_or_default();
    other_way(name, credentials, &config)
}

fn other_way(name: &str, credentials: &str, config: &str) -> Option<&'static str> {
    let section = config_section(name);
    let has = |setting: &&str| {
        find(credentials, name, setting).is_some() || find(config, &section, setting).is_some()
    };
    OTHER_WAYS.into_iter().find(has)
}

fn configured_region(name: &str) -> Option<String> {
    let text = fs::read_to_string(file("AWS_CONFIG_FILE", "config")).ok()?;
    find(&text, &config_section(name), "region").map(str::to_owned)
}

/// Returns the heading of a profile in the config file.
fn config_section(name: &str) -> String {
    if name == "default" { name.to_owned() } else { format!("profile {name}") }
}

/// Returns the file that a variable names, or the usual one.
fn file(variable: &str, usual: &str) -> PathBuf {
    match env::var_os(variable) {
        Some(path) => path.into(),
        None => Path::new(&env::var_os("HOME").unwrap_or_default()).join(".aws").join(usual),
    }
}

/// Finds `setting = value` in `[section]`.
fn find<'a>(text: &'a str, section: &str, setting: &str) -> Option<&'a str> {
    let mut is_inside = false;
    for line in text.lines().map(str::trim) {
        if let Some(header) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            is_inside = header.trim() == section;
        } else if is_inside
            && let Some((name, value)) = line.split_once('=')
            && name.trim() == setting
        {
            return Some(value.trim());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::{find, other_way};

    #[test]
    fn profile_that_takes_a_role_is_told_apart() {
        let credentials = "[keys]\naws_access_key_id = A\n[assumed]\nrole_arn = arn:aws:iam::1:role/a\n";
        let config = "[profile sso]\nsso_session = s\n[default]\ncredential_process = p\n";
        let ways =
            ["keys", "assumed", "sso", "default", "missing"].map(|name| other_way(name, credentials, config));
        assert_eq!(ways, [None, Some("role_arn"), Some("sso_session"), Some("credential_process"), None]);
    }

    #[test]
    fn settings_are_found_in_their_section() {
        let text =
            "# keys\n[default]\naws_access_key_id = A\nregion=eu-west-1\n\n[ other ]\naws_access_key_id=B=\n";
        assert_eq!(find(text, "default", "aws_access_key_id"), Some("A"));
        assert_eq!(find(text, "other", "aws_access_key_id"), Some("B="));
        assert_eq!(find(text, "default", "region"), Some("eu-west-1"));
        assert_eq!(find(text, "other", "region"), None);
        assert_eq!(find(text, "missing", "region"), None);
    }
}
