//! What a store in S3 is told before it is connected, and what can be wrong with that.

use std::fmt;
use std::time::Duration;

use super::location::{S3Location, S3Mode};

/// How long one request may take, from its first byte to the last one of the answer.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// How often a request is repeated after an answer that a repetition may cure.
const RETRIES: usize = 3;

/// Where the credentials of an identity come from.
#[derive(Clone, PartialEq, Eq)]
pub enum S3Credentials {
    /// What the AWS tools would take: keys in environment variables, else the profile that `AWS_PROFILE`
    /// names, else web identity, container credentials, or instance metadata.
    Environment,
    /// A profile with keys in `~/.aws/credentials`, or the file that `AWS_SHARED_CREDENTIALS_FILE` names.
    Profile(String),
    /// Keys as they are.
    Static {
        /// Names the identity.
        access_key_id: String,
        /// Its secret.
        secret_access_key: String,
        /// Goes with temporary keys.
        session_token: Option<String>,
    },
}

impl fmt::Debug for S3Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Environment => f.write_str("Environment"),
            Self::Profile(name) => f.debug_tuple("Profile").field(name).finish(),
            Self::Static { access_key_id, .. } => {
                f.debug_struct("Static").field("access_key_id", access_key_id).finish_non_exhaustive()
            }
        }
    }
}

/// What a store in S3 is told before it is connected.
#[derive(Clone, Debug)]
pub struct S3Options {
    /// Bucket and prefix.
    pub location: S3Location,
    /// The service's URL without a bucket; `None` for `AWS_ENDPOINT_URL_S3`, `AWS_ENDPOINT_URL`, or AWS in
    /// the region.
    pub endpoint: Option<String>,
    /// The region; `None` for that of the profile, `AWS_REGION`, `AWS_DEFAULT_REGION`, or `us-east-1`.
    pub region: Option<String>,
    /// The mode of the locks of new objects.
    pub mode: S3Mode,
    /// The identity that writes and reads.
    pub credentials: S3Credentials,
    /// The identity that deletes what is due and clears holds; `None` for the one that writes, which
    /// should not be able to.
    pub records_manager: Option<S3Credentials>,
    /// Whether the bucket stands in the path of the URL (`true`) or in its host (`false`); `None` for the
    /// path if there is an endpoint, and the host on AWS itself.
    pub path_style: Option<bool>,
    /// Allows plain HTTP to hosts other than this one.
    pub allow_http: bool,
    /// How long one request may take.
    pub request_timeout: Duration,
    /// How often a request is repeated after an answer that a repetition may cure.
    pub retries: usize,
}

impl S3Options {
    /// Options for AWS itself or the endpoint in the environment.
    pub fn new(location: S3Location, mode: S3Mode, credentials: S3Credentials) -> Self {
        Self {
            location,
            endpoint: None,
            region: None,
            mode,
            credentials,
            records_manager: None,
            path_style: None,
            allow_http: false,
            request_timeout: REQUEST_TIMEOUT,
            retries: RETRIES,
        }
    }
}

/// Says why a store in S3 cannot be set up. Nothing was sent.
#[derive(Debug, thiserror::Error)]
pub enum S3Error {
    /// The location cannot be read.
    #[error("expected a location like `s3://bucket/prefix`, found `{text}`: {reason}")]
    Location {
        /// The whole text.
        text: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The mode cannot be read.
    #[error("expected `compliance` or `governance`, found `{found}`")]
    Mode {
        /// The whole text.
        found: String,
    },
    /// The endpoint is no URL of a service.
    #[error("expected an endpoint like `https://s3.example.com`, found `{found}`")]
    Endpoint {
        /// The whole text.
        found: String,
    },
    /// The endpoint would carry signatures and answers in clear over a network.
    #[error(
        "expected an https endpoint, found `{found}`; plain http is for this host only, unless it is allowed"
    )]
    PlainHttp {
        /// The endpoint.
        found: String,
    },
    /// A profile with keys was not found.
    #[error("no keys in profile `{profile}` of `{file}`: {reason}")]
    Profile {
        /// Name of the profile.
        profile: String,
        /// Where it was looked for.
        file: String,
        /// What is wrong there.
        reason: String,
    },
    /// The environment asks for web identity, and something is missing for it.
    #[error("no keys by web identity: {reason}")]
    WebIdentity {
        /// What is missing.
        reason: String,
    },
    /// The client library refuses the settings.
    #[error("the settings of the store cannot be used")]
    Client(#[source] object_store::Error),
}
