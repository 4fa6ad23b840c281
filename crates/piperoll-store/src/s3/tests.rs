//! What goes over the wire, and what becomes of answers; on a recorded client, because no service at hand refuses a
//! lock without a checksum as AWS does. What locks do is tested on a real service.

use std::sync::Mutex;

use http::{HeaderMap, Method, Response};
use http_body_util::BodyExt as _;
use object_store::client::{
    ClientOptions, HttpClient, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpResponseBody,
    HttpService,
};

use super::api::checksum;
use super::*;
use crate::clock::ManualClock;

const NOW: u64 = 1_795_296_000_000_000;
const UNTIL: u64 = NOW + 10_000_000;
const SECRET: &str = "the-secret-of-a-test";

/// A request as the network would see it.
#[derive(Clone, Debug)]
struct Sent {
    method: Method,
    uri: String,
    headers: HeaderMap,
    body: Bytes,
}

/// What the service answers, or how the connection breaks.
type Answered = Result<(u16, Vec<(&'static str, &'static str)>, &'static str), HttpErrorKind>;

/// Decides on the answer by the request and its number.
type Answering = dyn Fn(usize, &Sent) -> Answered + Send + Sync;

/// Records requests and answers them.
#[derive(Clone)]
struct Recorder {
    sent: Arc<Mutex<Vec<Sent>>>,
    answer: Arc<Answering>,
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Recorder")
    }
}

impl Recorder {
    fn new(answer: impl Fn(usize, &Sent) -> Answered + Send + Sync + 'static) -> Self {
        Self { sent: Arc::default(), answer: Arc::new(answer) }
    }

    fn sent(&self) -> Vec<Sent> {
        self.sent.lock().expect("no test panics with the lock").clone()
    }

    fn store(&self, retries: usize) -> S3Store {
        let location = "s3://records/a".parse().expect("it is a location");
        let credentials = |name: &str| S3Credentials::Static {
            access_key_id: name.to_owned(),
            secret_access_key: SECRET.to_owned(),
            session_token: Some(format!("{SECRET}-too")),
        };
        let mut options = S3Options::new(location, S3Mode::Compliance, credentials("writer"));
        options.records_manager = Some(credentials("manager"));
        options.endpoint = Some("http://127.0.0.1:1".to_owned());
        options.retries = retries;
        let clock = Arc::new(ManualClock::new(NOW));
        S3Store::connect_through(options, clock, self).expect("the options are usable")
    }
}

impl HttpConnector for Recorder {
    fn connect(&self, _options: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.clone()))
    }
}

#[async_trait]
impl HttpService for Recorder {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let (parts, body) = request.into_parts();
        let body = body.collect().await.expect("a body in memory can be read").to_bytes();
        let sent = Sent { method: parts.method, uri: parts.uri.to_string(), headers: parts.headers, body };
        let number = {
            let mut all = self.sent.lock().expect("no test panics with the lock");
            all.push(sent.clone());
            all.len() - 1
        };
        let (status, headers, body) = (self.answer)(number, &sent)
            .map_err(|kind| HttpError::new(kind, std::io::Error::other("the connection broke")))?;
        let mut response = Response::builder().status(status);
        for (name, value) in headers {
            response = response.header(name, value);
        }
        let body = HttpResponseBody::from(Bytes::from_static(body.as_bytes()));
        Ok(response.body(body).expect("the test spells valid headers"))
    }
}

/// A bucket with one object of one version, which answers everything with success.
fn obliging(sent: &Sent) -> Answered {
    const VERSIONS: &str = "<ListVersionsResult><IsTruncated>false</IsTruncated>\
        <Version><Key>a/k</Key><VersionId>v1</VersionId><Size>1</Size></Version></ListVersionsResult>";
    const LOCK: [(&str, &str); 4] = [
        ("x-amz-object-lock-mode", "COMPLIANCE"),
        ("x-amz-object-lock-retain-until-date", "2026-11-21T21:20:10Z"),
        ("content-length", "1"),
        ("x-amz-object-lock-legal-hold", "ON"),
    ];
    match sent.method {
        Method::GET if sent.uri.contains("versions") => Ok((200, Vec::new(), VERSIONS)),
        Method::HEAD => Ok((200, LOCK.to_vec(), "")),
        Method::PUT => Ok((200, vec![("etag", "\"x\""), ("x-amz-version-id", "v1")], "")),
        _ => Ok((204, Vec::new(), "")),
    }
}

fn key() -> ObjectKey {
    ObjectKey::new("k").expect("it is a key")
}

/// Checks that a PUT carries the checksum of its body, and that all that a service insists on is signed.
#[track_caller]
fn check_put(sent: &Sent) {
    let text = |name: &str| sent.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    assert_eq!(text("x-amz-checksum-sha256"), checksum(&sent.body), "{sent:?}");
    assert_eq!(sent.headers.get_all("authorization").iter().count(), 1);
    let (_, signed) = text("authorization").split_once("SignedHeaders=").expect("it is signed");
    let signed: Vec<&str> = signed.split(',').next().unwrap_or_default().split(';').collect();
    for name in sent.headers.keys().filter(|name| name.as_str().starts_with("x-amz-")) {
        assert!(signed.contains(&name.as_str()), "`{name}` is not signed: {signed:?}");
    }
}

/// Goal: AWS refuses a lock without a checksum, and nothing else does. Method: look at every PUT that leaves.
#[tokio::test]
async fn every_put_carries_a_checksum_and_is_signed_with_its_lock() {
    let recorder = Recorder::new(|_, sent| obliging(sent));
    let store = recorder.store(0);
    let body = Bytes::from_static(b"body");
    let lock = Lock { retain_until: Some(UNTIL - 999_999), hold: true };
    store.create(&key(), body.clone(), &lock).await.expect("the service obliges");
    store.create(&key(), body.clone(), &Lock::NONE).await.expect("the service obliges");
    store.extend_retention(&key(), UNTIL + 1).await.expect("the service obliges");
    store.set_hold(&key(), false).await.expect("the service obliges");
    let puts =
        || -> Vec<Sent> { recorder.sent().into_iter().filter(|sent| sent.method == Method::PUT).collect() };
    let text = |sent: &Sent, name: &str| -> String {
        let value = sent.headers.get(name).and_then(|value| value.to_str().ok());
        value.unwrap_or_default().to_owned()
    };
    let seen = puts();
    seen.iter().for_each(check_put);
    let [locked, unlocked, retention, hold] = &seen[..] else { panic!("expected 4 PUTs, found {seen:?}") };
    assert_eq!(locked.uri, "http://127.0.0.1:1/records/a/k");
    assert_eq!(locked.body, body);
    for (name, expected) in [
        ("if-none-match", "*"),
        ("x-amz-object-lock-mode", "COMPLIANCE"),
        ("x-amz-object-lock-retain-until-date", "2026-11-21T21:20:10Z"),
        ("x-amz-object-lock-legal-hold", "ON"),
        ("x-amz-meta-piperoll-role", "created"),
    ] {
        assert_eq!(text(locked, name), expected, "{name}");
    }
    assert_eq!(text(unlocked, "if-none-match"), "*");
    assert!(!unlocked.headers.contains_key("x-amz-object-lock-mode"));
    assert!(retention.uri.ends_with("/a/k?retention=&versionId=v1"), "{}", retention.uri);
    assert!(retention.body.ends_with(b"<RetainUntilDate>2026-11-21T21:20:11Z</RetainUntilDate></Retention>"));
    assert!(hold.uri.ends_with("/a/k?legal-hold=&versionId=v1"), "{}", hold.uri);
    assert!(text(hold, "authorization").contains("Credential=manager/"));
}

#[tokio::test]
async fn probe_never_asks_to_bypass_and_checks_with_right_checksums_but_one() {
    let recorder = Recorder::new(|_, sent| obliging(sent));
    let report = recorder.store(0).probe().await;
    assert!(!report.is_passed(), "a service that obliges to everything keeps no lock");
    let sent = recorder.sent();
    assert!(sent.iter().all(|sent| !sent.headers.contains_key("x-amz-bypass-governance-retention")));
    let wrong = sent.iter().filter(|sent| sent.method == Method::PUT);
    let wrong: Vec<_> = wrong.filter(|sent| sent.uri.ends_with("-checksum")).collect();
    assert_eq!(wrong.len(), 1);
    for put in sent.iter().filter(|sent| sent.method == Method::PUT && !sent.uri.ends_with("-checksum")) {
        check_put(put);
    }
}

#[tokio::test]
async fn repeated_put_is_locked_and_signed_again() {
    let recorder = Recorder::new(|number, sent| match number {
        0 => Ok((503, Vec::new(), "<Error><Code>SlowDown</Code></Error>")),
        1 => Err(HttpErrorKind::Connect),
        _ => obliging(sent),
    });
    let created = recorder.store(3).create(&key(), Bytes::from_static(b"x"), &Lock::until(UNTIL)).await;
    created.expect("the third attempt succeeds");
    let sent = recorder.sent();
    assert_eq!(sent.len(), 3);
    for put in &sent {
        check_put(put);
        assert!(put.headers.contains_key("x-amz-object-lock-mode"));
    }
}

/// Creates against a service that gives these answers in turn, and returns the error in short.
async fn create_against(answers: Vec<Answered>) -> String {
    let retries = answers.len() - 1;
    let recorder = Recorder::new(move |number, _| answers[number.min(retries)].clone());
    let store = recorder.store(retries);
    match store.create(&key(), Bytes::from_static(b"x"), &Lock::until(UNTIL)).await {
        Ok(()) => "Ok".to_owned(),
        Err(StoreError::Unavailable { applied_unknown, .. }) => format!("Unavailable {applied_unknown}"),
        Err(error) => format!("{error:?}").split(' ').next().unwrap_or_default().to_owned(),
    }
}

#[tokio::test]
async fn answers_to_a_create_are_what_the_caller_can_do() {
    let status = |status: u16, body: &'static str| -> Answered { Ok((status, Vec::new(), body)) };
    let rows: Vec<(Vec<Answered>, &str)> = vec![
        (vec![status(412, "")], "AlreadyExists"),
        (vec![status(409, "")], "AlreadyExists"),
        (vec![status(403, "<Code>AccessDenied</Code>")], "Denied"),
        (vec![status(404, "<Code>NoSuchBucket</Code>")], "Denied"),
        (vec![status(400, "<Code>InvalidRequest</Code>")], "Denied"),
        (vec![status(301, "<Code>PermanentRedirect</Code>")], "Denied"),
        (vec![status(400, "<Code>BadDigest</Code>")], "Unavailable false"),
        (vec![status(429, "")], "Unavailable false"),
        (vec![status(500, "")], "Unavailable true"),
        (vec![status(503, "<Code>SlowDown</Code>")], "Unavailable true"),
        (vec![status(507, "")], "Full"),
        (vec![Err(HttpErrorKind::Connect)], "Unavailable false"),
        (vec![Err(HttpErrorKind::Timeout)], "Unavailable true"),
        (vec![Err(HttpErrorKind::Interrupted)], "Unavailable true"),
        // It was applied, the answer was lost, and the repetition finds it.
        (vec![status(500, ""), status(412, "")], "AlreadyExists"),
        // Whether the first was applied is open, whatever the last says.
        (vec![status(500, ""), status(403, "")], "Unavailable true"),
        (vec![status(500, ""), Err(HttpErrorKind::Connect)], "Unavailable true"),
    ];
    for (answers, expected) in rows {
        let row = format!("{answers:?}");
        assert_eq!(create_against(answers).await, expected, "{row}");
    }
}

#[tokio::test]
async fn missing_rights_to_delete_name_the_setting() {
    let recorder = Recorder::new(|_, sent| match sent.method {
        Method::DELETE => Ok((403, Vec::new(), "<Error><Code>AccessDenied</Code></Error>")),
        Method::HEAD => Ok((200, vec![("content-length", "1")], "")),
        _ => obliging(sent),
    });
    let error = recorder.store(0).delete(&key()).await.expect_err("the service refuses");
    let StoreError::Denied { source: Some(source), .. } = &error else {
        panic!("expected Denied, found {error:?}")
    };
    assert!(source.to_string().contains("[store.records_manager]"), "{source}");
}

#[tokio::test]
async fn dates_that_cannot_be_written_are_denied_and_nothing_is_sent() {
    let recorder = Recorder::new(|_, sent| obliging(sent));
    let created = recorder.store(0).create(&key(), Bytes::new(), &Lock::until(u64::MAX)).await;
    assert!(matches!(created, Err(StoreError::Denied { .. })), "{created:?}");
    assert!(recorder.sent().is_empty());
}

#[test]
fn secrets_are_not_shown() {
    let credentials = S3Credentials::Static {
        access_key_id: "id".to_owned(),
        secret_access_key: SECRET.to_owned(),
        session_token: Some(SECRET.to_owned()),
    };
    let location = "s3://records/a".parse().expect("it is a location");
    let options = S3Options::new(location, S3Mode::Compliance, credentials);
    let store = Recorder::new(|_, sent| obliging(sent)).store(0);
    for shown in [format!("{options:?}"), format!("{store:?}"), format!("{:?}", store.describe())] {
        assert!(!shown.contains(SECRET), "{shown}");
    }
}
