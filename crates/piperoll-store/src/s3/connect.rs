//! From options to clients: endpoint, region, credentials. Nothing is sent.

use std::env;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use object_store::aws::{
    AmazonS3, AmazonS3Builder, AmazonS3ConfigKey, AwsCredential, AwsCredentialProvider, Checksum,
};
use object_store::client::{ClientOptions, HttpClient, HttpConnector};
use object_store::{BackoffConfig, RetryConfig, StaticCredentialProvider};
use url::{Host, Url};

use super::api::Api;
use super::lock::LockConnector;
use super::options::{S3Credentials, S3Error, S3Options};
use super::profile;
use super::web_identity::WebIdentity;

/// How long it may take until a connection stands.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long requests of one call may be repeated.
const RETRY_TIMEOUT: Duration = Duration::from_secs(30);

/// The region where nothing names one; what other services than AWS expect as well.
const REGION: &str = "us-east-1";

/// The ways to a bucket.
#[derive(Debug)]
pub(super) struct Clients {
    pub(super) data: AmazonS3,
    pub(super) api: Api,
    /// The identity that deletes, if it is another.
    pub(super) manager: Option<Api>,
    /// The service's address, for people.
    pub(super) endpoint: String,
}

/// Sets up clients; `connector` makes the HTTP client below.
pub(super) fn connect(options: &S3Options, connector: &dyn HttpConnector) -> Result<Clients, S3Error> {
    let (credentials, found_region) = provider(&options.credentials, options)?;
    let region = options.region.clone().or(found_region).unwrap_or_else(|| REGION.to_owned());
    let bucket_url = bucket_url(options, &region)?;
    let client_options = ClientOptions::new()
        .with_user_agent(HeaderValue::from_static(concat!("piperoll/", env!("CARGO_PKG_VERSION"))))
        .with_timeout(options.request_timeout)
        .with_connect_timeout(CONNECT_TIMEOUT)
        .with_allow_http(bucket_url.scheme() == "http");
    let http = connector.connect(&client_options).map_err(S3Error::Client)?;
    let endpoint = bucket_url.origin().ascii_serialization();
    let bucket_url = bucket_url.as_str().trim_end_matches('/').to_owned();
    let api = Api { http: http.clone(), credentials, region, bucket_url, retries: options.retries };
    let manager = match &options.records_manager {
        Some(credentials) => {
            let (credentials, _) = provider(credentials, options)?;
            Some(Api { credentials, ..api.clone() })
        }
        None => None,
    };
    let data = data(options, client_options, &api, http)?;
    Ok(Clients { data, api, manager, endpoint })
}

fn data(
    options: &S3Options,
    client_options: ClientOptions,
    api: &Api,
    inner: HttpClient,
) -> Result<AmazonS3, S3Error> {
    let (credentials, region) = (Arc::clone(&api.credentials), api.region.clone());
    AmazonS3Builder::new()
        .with_bucket_name(&options.location.bucket)
        .with_region(&region)
        .with_allow_http(api.bucket_url.starts_with("http:"))
        // The URL with the bucket in it, wherever it stands there.
        .with_endpoint(&api.bucket_url)
        .with_virtual_hosted_style_request(true)
        .with_credentials(Arc::clone(&credentials))
        // A PUT of a lock without a checksum is refused by AWS, and by no other service.
        .with_checksum_algorithm(Checksum::SHA256)
        .with_retry(retry(options))
        .with_client_options(client_options)
        .with_http_connector(LockConnector { inner, credentials, region })
        .build()
        .map_err(S3Error::Client)
}

/// Returns how requests are repeated, also those for keys.
const fn retry(options: &S3Options) -> RetryConfig {
    let backoff = BackoffConfig {
        init_backoff: Duration::from_millis(50),
        max_backoff: Duration::from_secs(1),
        base: 2.0,
    };
    RetryConfig { backoff, max_retries: options.retries, retry_timeout: RETRY_TIMEOUT }
}

/// Makes the provider of an identity, with the region that comes with it.
fn provider(
    credentials: &S3Credentials,
    options: &S3Options,
) -> Result<(AwsCredentialProvider, Option<String>), S3Error> {
    let fixed = |credential| Arc::new(StaticCredentialProvider::new(credential)) as AwsCredentialProvider;
    match credentials {
        S3Credentials::Static { access_key_id, secret_access_key, session_token } => {
            let credential = AwsCredential {
                key_id: access_key_id.clone(),
                secret_key: secret_access_key.clone(),
                token: session_token.clone(),
            };
            Ok((fixed(credential), environment_region()))
        }
        S3Credentials::Profile(name) => {
            let profile = profile::read(name)?;
            Ok((fixed(profile.credential), profile.region.or_else(environment_region)))
        }
        S3Credentials::Environment => {
            if env::var_os("AWS_ACCESS_KEY_ID").is_none()
                && let Ok(name) = env::var("AWS_PROFILE")
            {
                return provider(&S3Credentials::Profile(name), options);
            }
            let region = options.region.clone().or_else(environment_region);
            let mut chain = AmazonS3Builder::from_env()
                .with_bucket_name(&options.location.bucket)
                .with_region(region.as_deref().unwrap_or(REGION))
                .with_retry(retry(options));
            let identity = WebIdentity::from_environment(options.allow_http)?;
            if let Some(identity) = &identity {
                chain = chain.with_http_connector(identity.clone());
            }
            let keys = Arc::clone(chain.build().map_err(S3Error::Client)?.credentials());
            Ok((identity.map_or(Arc::clone(&keys), |identity| identity.name_in_errors(keys)), region))
        }
    }
}

fn environment_region() -> Option<String> {
    AmazonS3Builder::from_env().get_config_value(&AmazonS3ConfigKey::Region)
}

fn bucket_url(options: &S3Options, region: &str) -> Result<Url, S3Error> {
    let bucket = &options.location.bucket;
    let from_environment =
        || ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"].into_iter().find_map(|name| env::var(name).ok());
    let given = options.endpoint.clone().or_else(from_environment).filter(|endpoint| !endpoint.is_empty());
    // A certificate for `*.s3.…` does not cover a bucket with dots.
    let in_path = options.path_style.unwrap_or(given.is_some() || bucket.contains('.'));
    let endpoint = given.unwrap_or_else(|| format!("https://s3.{region}.amazonaws.com"));
    let wrong = || S3Error::Endpoint { found: endpoint.clone() };
    let mut url = Url::parse(&endpoint).map_err(|_| wrong())?;
    let is_plain = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
    let has_user = !url.username().is_empty() || url.password().is_some();
    if !matches!(url.scheme(), "https" | "http") || !is_plain || has_user {
        return Err(wrong());
    }
    if url.scheme() == "http" && !options.allow_http && !is_loopback(&url) {
        return Err(S3Error::PlainHttp { found: endpoint });
    }
    if in_path {
        url.set_path(bucket);
    } else {
        let host = url.host_str().map(|host| format!("{bucket}.{host}")).ok_or_else(wrong)?;
        url.set_host(Some(&host)).map_err(|_| wrong())?;
    }
    Ok(url)
}

pub(super) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => IpAddr::V4(address).is_loopback(),
        Some(Host::Ipv6(address)) => IpAddr::V6(address).is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::s3::S3Mode;

    fn url(endpoint: Option<&str>, path_style: Option<bool>, allow_http: bool) -> Result<String, S3Error> {
        let location = "s3://records/a".parse().expect("it is a location");
        let mut options = S3Options::new(location, S3Mode::Compliance, S3Credentials::Environment);
        options.endpoint = endpoint.map(str::to_owned);
        options.path_style = path_style;
        options.allow_http = allow_http;
        bucket_url(&options, "eu-west-1").map(|url| url.to_string())
    }

    #[test]
    fn bucket_stands_in_host_or_path() {
        let aws = url(Some(""), None, false).expect("an empty endpoint is none");
        assert_eq!(aws, "https://records.s3.eu-west-1.amazonaws.com/");
        let own = url(Some("https://s3.example.com:9000"), None, false).expect("it is an endpoint");
        assert_eq!(own, "https://s3.example.com:9000/records");
        let hosted = url(Some("https://s3.example.com"), Some(false), false).expect("it is an endpoint");
        assert_eq!(hosted, "https://records.s3.example.com/");
    }

    #[test]
    fn plain_http_is_for_this_host_only() {
        for host in ["127.0.0.1:8333", "localhost", "[::1]:80", "127.1.2.3"] {
            assert!(url(Some(&format!("http://{host}")), None, false).is_ok(), "{host}");
        }
        for host in ["10.0.0.1", "s3.example.com", "localhost.example.com"] {
            let refused = url(Some(&format!("http://{host}")), None, false);
            assert!(matches!(refused, Err(S3Error::PlainHttp { .. })), "{refused:?}");
            assert!(url(Some(&format!("http://{host}")), None, true).is_ok(), "{host}");
        }
        for wrong in ["s3.example.com", "ftp://a", "https://a/b", "https://u:p@a", "https://a/?b"] {
            assert!(matches!(url(Some(wrong), None, false), Err(S3Error::Endpoint { .. })), "{wrong}");
        }
    }
}
