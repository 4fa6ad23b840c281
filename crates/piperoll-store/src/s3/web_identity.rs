//! Web identity: keys from a token service (STS), against a token that the platform puts into a file.
//!
//! The client library asks the service and asks again before the keys end. It says little about settings that cannot
//! work, and calls https only; an own service on this host may be plain http, as the store itself may.

use std::env;
use std::fs;
use std::sync::Arc;

use async_trait::async_trait;
use object_store::CredentialProvider;
use object_store::aws::{AwsCredential, AwsCredentialProvider};
use object_store::client::{ClientOptions, HttpClient, HttpConnector, ReqwestConnector};
use url::Url;

use super::connect::is_loopback;
use super::options::S3Error;

const TOKEN_FILE: &str = "AWS_WEB_IDENTITY_TOKEN_FILE";
const ROLE: &str = "AWS_ROLE_ARN";
const ENDPOINT: &str = "AWS_ENDPOINT_URL_STS";

/// What the environment says about web identity.
#[derive(Clone, Debug)]
pub(super) struct WebIdentity {
    /// Who gives the keys, for people.
    service: String,
    is_plain: bool,
}

impl WebIdentity {
    /// Reads and checks the environment; nothing when it asks for no web identity, or has keys, which go first.
    pub(super) fn from_environment(allow_http: bool) -> Result<Option<Self>, S3Error> {
        let Some(file) = env::var_os(TOKEN_FILE) else { return Ok(None) };
        if env::var_os("AWS_ACCESS_KEY_ID").is_some() {
            return Ok(None);
        }
        let wrong = |reason: String| S3Error::WebIdentity { reason };
        if env::var_os(ROLE).is_none() {
            return Err(wrong(format!("{TOKEN_FILE} is set, expected {ROLE} beside it, found none")));
        }
        // It is read again whenever keys are asked for.
        match fs::read(&file) {
            Ok(token) if !token.is_empty() => {}
            Ok(_) => return Err(wrong(format!("expected a token in `{}`, found nothing", file.display()))),
            Err(error) => {
                return Err(wrong(format!(
                    "expected a token in `{}` ({TOKEN_FILE}): {error}",
                    file.display()
                )));
            }
        }
        Ok(Some(match env::var(ENDPOINT) {
            Ok(service) => Self { is_plain: is_plain(&service, allow_http)?, service },
            Err(_) => Self { is_plain: false, service: "AWS STS".to_owned() },
        }))
    }

    /// Returns a provider that says in its errors who should have given keys.
    pub(super) fn name_in_errors(&self, keys: AwsCredentialProvider) -> AwsCredentialProvider {
        Arc::new(Named { keys, service: self.service.clone() })
    }
}

impl HttpConnector for WebIdentity {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        let options = options.clone();
        let options = if self.is_plain { options.with_allow_http(true) } else { options };
        ReqwestConnector::default().connect(&options)
    }
}

/// See [`WebIdentity::name_in_errors`].
#[derive(Debug)]
struct Named {
    keys: AwsCredentialProvider,
    service: String,
}

#[async_trait]
impl CredentialProvider for Named {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<AwsCredential>> {
        self.keys.get_credential().await.map_err(|error| {
            let source =
                format!("expected keys by web identity from `{}`, found none: {error}", self.service);
            object_store::Error::Generic { store: "S3", source: source.into() }
        })
    }
}

/// Tells whether the token service is asked over plain http, which would show token and keys to a network.
fn is_plain(endpoint: &str, allow_http: bool) -> Result<bool, S3Error> {
    let url = Url::parse(endpoint).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
    let url = url.ok_or_else(|| S3Error::Endpoint { found: endpoint.to_owned() })?;
    if url.scheme() == "https" {
        return Ok(false);
    }
    if allow_http || is_loopback(&url) {
        Ok(true)
    } else {
        Err(S3Error::PlainHttp { found: endpoint.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::disallowed_methods, reason = "tests may unwrap")]

    use super::*;

    #[test]
    fn token_service_is_asked_over_plain_http_on_this_host_only() {
        assert!(!is_plain("https://sts.eu-west-1.amazonaws.com", false).unwrap());
        assert!(is_plain("http://127.0.0.1:4000", false).unwrap());
        assert!(is_plain("http://sts.internal", true).unwrap());
        assert!(matches!(is_plain("http://sts.internal", false), Err(S3Error::PlainHttp { .. })));
        assert!(matches!(is_plain("sts.internal", false), Err(S3Error::Endpoint { .. })));
    }
}
