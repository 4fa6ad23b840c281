//! Goal: every provider's deliveries are taken when they are its own, refused when they are not, kept byte for byte,
//! and found; Amazon's certificates come from Amazon only.
//! Method: bodies as the providers document them, signed here as they document it; for Amazon a server with TLS on
//! loopback stands in for `sns.eu-west-1.amazonaws.com`, under an authority of our own.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use axum::body::Body;
use axum::http::Request;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use piperoll_server::{SenderCheck, Senders};
use piperoll_sources::{AppSecret, Sender, aws};
use piperoll_tests::{Answer, Served, TestArchive};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::aws_lc_rs::default_provider;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use tokio_rustls::rustls::{ServerConfig, pki_types::PrivateKeyDer};

const SECRET: &str = "a secret of the provider";
const TOPIC: &str = "arn:aws:sns:eu-west-1:123456789012:whatsapp";
const HOST: &str = "sns.eu-west-1.amazonaws.com";

fn mac(message: &[&[u8]]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    message.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn url(sender: &str) -> String {
    format!("https://archive.example/webhooks/{sender}")
}

fn senders() -> Senders {
    let check = |sender: Sender| {
        let is_unsigned = matches!(sender, Sender::Gupshup | Sender::Infobip | Sender::Dialog360);
        let check = SenderCheck {
            secrets: vec![AppSecret::new("older"), AppSecret::new(SECRET)],
            url: Some(url(sender.as_str())),
            secret_header: is_unsigned.then(|| "x-archive-secret".to_owned()),
            topic_arns: vec![TOPIC.to_owned()],
            allow_sha1: false,
        };
        (sender, check)
    };
    let checks: BTreeMap<_, _> = Sender::ALL[1..].iter().copied().map(check).collect();
    Senders { checks, sns_client: None }
}

async fn post(served: &Served<'_>, path: &str, headers: &[(&str, String)], body: &str) -> Answer {
    let mut request = Request::post(path);
    for (name, value) in headers {
        request = request.header(*name, value);
    }
    served.call(request.body(Body::from(body.to_owned())).unwrap()).await
}

/// A provider's delivery of a message with the word "parcel", and the headers that show that it is its own.
struct Signed {
    path: &'static str,
    source: &'static str,
    body: String,
    headers: Vec<(&'static str, String)>,
    /// Whether the check can be repeated from what is kept.
    is_repeatable: bool,
}

fn meta_body(id: &str) -> String {
    String::from_utf8(piperoll_tests::webhook(&[(id, "4915550000001", "the parcel has come")])).unwrap()
}

#[expect(clippy::too_many_lines, reason = "one entry for each sender")]
fn deliveries() -> Vec<Signed> {
    let ycloud = r#"{"id":"evt_1","type":"whatsapp.inbound_message.received","apiVersion":"v2","createTime":"2026-11-21T10:00:05.000Z","whatsappInboundMessage":{"id":"in-1","wamid":"wamid.Y1","wabaId":"700100","from":"+4915550000001","to":"+15550100000","sendTime":"2026-11-21T10:00:00.250Z","customerProfile":{"name":"Ada Brandt"},"type":"text","text":{"body":"where is my parcel"}}}"#;
    let twilio = "MessageSid=SM01&SmsStatus=received&Body=Is+the+parcel+on+its+way%3F&From=whatsapp%3A%2B4915550000001&To=whatsapp%3A%2B15550100000&ProfileName=Ada";
    let gupshup = r#"{"app":"AcmeSupport","timestamp":1790000000123,"version":2,"type":"message","payload":{"id":"G1","source":"4915550000001","type":"text","payload":{"text":"parcel, please"},"sender":{"phone":"4915550000001","name":"Ada Brandt"}}}"#;
    let infobip = r#"{"results":[{"from":"4915550000001","to":"15550100000","integrationType":"WHATSAPP","receivedAt":"2026-11-21T10:00:00.250+0000","messageId":"wamid.I1","message":{"type":"TEXT","text":"my parcel"},"contact":{"name":"Ada Brandt"}},{"from":"33655500004","to":"15550100000","integrationType":"WHATSAPP","receivedAt":"2026-11-21T10:00:01.250+0000","messageId":"wamid.I2","message":{"type":"TEXT","text":"hello"}}],"messageCount":2,"pendingMessageCount":0}"#;
    let bird = r#"{"service":"channels","event":"whatsapp.inbound","payload":{"id":"b-1","channelId":"ch-9","sender":{"contact":{"identifierKey":"phonenumber","identifierValue":"+4915550000001"}},"body":{"type":"text","text":{"text":"a parcel?"}},"createdAt":"2026-11-21T10:00:00.858Z"}}"#;
    let vonage = r#"{"to":"15550100000","from":"4915550000001","channel":"whatsapp","message_uuid":"u-1","timestamp":"2026-11-21T10:00:00.250Z","message_type":"text","text":"no parcel yet"}"#;
    let dialog360 = meta_body("wamid.D1");
    let signature = |parts: &[&[u8]]| STANDARD.encode(mac(parts));
    let twilio_signature = {
        let text = [
            &url("twilio"),
            "BodyIs the parcel on its way?Fromwhatsapp:+4915550000001MessageSidSM01ProfileNameAdaSmsStatusreceivedTowhatsapp:+15550100000",
        ]
        .concat();
        let mut mac = Hmac::<sha1::Sha1>::new_from_slice(SECRET.as_bytes()).unwrap();
        mac.update(text.as_bytes());
        STANDARD.encode(mac.finalize().into_bytes())
    };
    let token = {
        let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let claims = json!({"iat": 1_790_000_000, "payload_hash": hex(&Sha256::digest(vonage))});
        let signed = [part(json!({"typ": "JWT", "alg": "HS256"})), part(claims)].join(".");
        format!("Bearer {signed}.{}", URL_SAFE_NO_PAD.encode(mac(&[signed.as_bytes()])))
    };
    let one = |path, source, body: &str, headers, is_repeatable| Signed {
        path,
        source,
        body: body.to_owned(),
        headers,
        is_repeatable,
    };
    vec![
        one(
            "/webhooks/360dialog",
            "360dialog",
            &dialog360,
            vec![("x-360dialog-signature", hex(&mac(&[dialog360.as_bytes()])))],
            true,
        ),
        one(
            "/webhooks/dialog360",
            "360dialog",
            &meta_body("wamid.D2"),
            vec![("x-archive-secret", SECRET.to_owned())],
            false,
        ),
        one(
            "/webhooks/ycloud",
            "ycloud",
            ycloud,
            vec![(
                "ycloud-signature",
                format!("t=1790000000,s={}", hex(&mac(&[b"1790000000.", ycloud.as_bytes()]))),
            )],
            true,
        ),
        one(
            "/webhooks/twilio",
            "twilio",
            twilio,
            vec![
                ("x-twilio-signature", twilio_signature),
                ("content-type", "application/x-www-form-urlencoded".to_owned()),
            ],
            true,
        ),
        one("/webhooks/gupshup", "gupshup", gupshup, vec![("x-archive-secret", SECRET.to_owned())], false),
        one("/webhooks/infobip", "infobip", infobip, vec![("x-archive-secret", SECRET.to_owned())], false),
        one(
            "/webhooks/bird",
            "bird",
            bird,
            vec![
                ("messagebird-request-timestamp", "1790000000".to_owned()),
                (
                    "messagebird-signature",
                    signature(&[b"1790000000\n", url("bird").as_bytes(), b"\n", &Sha256::digest(bird)]),
                ),
            ],
            true,
        ),
        one("/webhooks/vonage", "vonage", vonage, vec![("authorization", token)], true),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn every_provider_is_taken_forgeries_are_not_and_repeats_change_nothing() {
    let archive = TestArchive::in_memory().await;
    let served = archive.serve_changed(|parts| parts.senders = senders()).await;
    for (found_before, Signed { path, source, body, headers, is_repeatable }) in
        deliveries().into_iter().enumerate()
    {
        let size = served.size();
        post(&served, path, &[], &body).await.is_status(401);
        let changed = body.replace("parcel", "letter");
        let is_shared = headers[0].0 == "x-archive-secret";
        let forged: Vec<(&str, String)> =
            if is_shared { vec![("x-archive-secret", "guess".to_owned())] } else { headers.clone() };
        post(&served, path, &forged, &changed).await.is_status(401);
        assert_eq!(served.size(), size, "{path}: nothing forged is kept");
        post(&served, path, &headers, &body).await.is_status(200);
        let stored = served.size();
        assert!(stored > size, "{path}");
        post(&served, path, &headers, &body).await.is_status(200);
        assert_eq!(served.size(), stored, "{path}: a replayed body is known");
        let raw = served.read(&format!("/v1/events/{size}/raw")).await;
        assert_eq!(raw.body, body, "{path}");
        let valid = raw.header("piperoll-signature-valid");
        assert_eq!(valid, is_repeatable.then_some("true"), "{path}");
        assert!(!raw.headers.iter().any(|(_, value)| value.as_bytes() == SECRET.as_bytes()), "{path}");
        let found = served.search("parcel kind:whatsapp.message").await;
        assert_eq!(found["total"], found_before + 1, "{path}");
        assert_eq!(found["hits"][0]["source"], source);
    }
    let metrics = served.read("/metrics").await;
    assert!(String::from_utf8_lossy(&metrics.body).contains("webhook_bad_signatures_total 16"));
    served.check_everything().await;
    served.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_and_unconfigured_providers_have_no_route() {
    let archive = TestArchive::in_memory().await;
    let served = archive.serve().await;
    for path in ["/webhooks/nobody", "/webhooks/twilio", "/webhooks/aws"] {
        post(&served, path, &[], "{}").await.is_status(404);
    }
    let large = "x".repeat(3 * 1024 * 1024 + 1);
    post(&served, "/webhooks/twilio", &[], &large).await.is_status(413);
    served.close().await;
}

/// Stands in for Amazon SNS.
struct FakeSns {
    address: SocketAddr,
    paths: Arc<Mutex<Vec<String>>>,
}

fn fixture(name: &str) -> Vec<u8> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/sns");
    std::fs::read(folder.join(name)).unwrap()
}

impl FakeSns {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(fixture("tls.der")));
        let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![CertificateDer::from(fixture("tls-certificate.der"))], key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let paths = Arc::new(Mutex::new(Vec::new()));
        let noted = paths.clone();
        drop(tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let Ok(mut stream) = acceptor.accept(stream).await else { continue };
                let (mut head, mut byte) = (Vec::new(), [0]);
                while !head.ends_with(b"\r\n\r\n") && stream.read_exact(&mut byte).await.is_ok() {
                    head.push(byte[0]);
                }
                let head = String::from_utf8_lossy(&head).into_owned();
                let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
                let (status, body) = match path.as_str() {
                    "/SimpleNotificationService-good.pem" => ("200 OK", fixture("signer.pem")),
                    "/SimpleNotificationService-ended.pem" => ("200 OK", fixture("expired.pem")),
                    "/SimpleNotificationService-other.pem" => ("200 OK", fixture("other-name.pem")),
                    "/SimpleNotificationService-large.pem" => ("200 OK", vec![b'x'; 100_000]),
                    "/SimpleNotificationService-moved.pem" => {
                        ("302 Found\r\nlocation: /SimpleNotificationService-good.pem", Vec::new())
                    }
                    path if path.starts_with("/?Action=ConfirmSubscription") => ("200 OK", b"<ok/>".to_vec()),
                    _ => ("404 Not Found", Vec::new()),
                };
                noted.lock().unwrap().push(path);
                let head = format!(
                    "HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                    body.len()
                );
                drop(stream.write_all(&[head.as_bytes(), &body].concat()).await);
                drop(stream.shutdown().await);
            }
        }));
        Self { address, paths }
    }

    fn client(&self) -> reqwest::Client {
        reqwest::Client::builder()
            .https_only(true)
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .resolve(HOST, self.address)
            .tls_certs_only([reqwest::Certificate::from_pem(&fixture("ca.pem")).unwrap()])
            .build()
            .unwrap()
    }

    fn count(&self, text: &str) -> usize {
        self.paths.lock().unwrap().iter().filter(|path| path.contains(text)).count()
    }
}

/// Signs a notice with the stand-in's key.
fn notice(change: impl FnOnce(&mut Value)) -> String {
    let entry = json!({"id": "700100", "changes": [{"field": "messages", "value": {
        "messaging_product": "whatsapp", "metadata": {"display_phone_number": "15550100000", "phone_number_id": "9001"},
        "messages": [{"from": "4915550000001", "id": "wamid.S1", "timestamp": "1790000000", "type": "text",
            "text": {"body": "an unusual parcel"}}]}}]});
    let message = json!({"whatsAppWebhookEntry": entry.to_string(), "messageId": "a-1"});
    let mut notice = json!({"Type": "Notification", "MessageId": "n-1", "TopicArn": TOPIC,
        "Message": message.to_string(), "Timestamp": "2026-11-21T10:00:00.123Z", "SignatureVersion": "2",
        "Signature": "", "SigningCertURL": format!("https://{HOST}/SimpleNotificationService-good.pem")});
    change(&mut notice);
    let text = aws::canonical_string(&aws::parse(notice.to_string().as_bytes()).unwrap());
    let key = RsaKeyPair::from_pkcs8(&fixture("signer.der")).unwrap();
    let mut signature = vec![0; key.public_modulus_len()];
    key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text.as_bytes(), &mut signature).unwrap();
    notice["Signature"] = Value::from(STANDARD.encode(signature));
    notice.to_string()
}

async fn deliver(served: &Served<'_>, body: &str) -> Answer {
    post(served, "/webhooks/aws", &[("content-type", "text/plain; charset=UTF-8".to_owned())], body).await
}

#[tokio::test(flavor = "multi_thread")]
async fn notices_of_amazon_are_taken_with_a_certificate_fetched_once() {
    let archive = TestArchive::in_memory().await;
    let sns = FakeSns::start().await;
    let served = archive
        .serve_changed(|parts| parts.senders = Senders { sns_client: Some(sns.client()), ..senders() })
        .await;
    let subscribe = notice(|notice| {
        notice["Type"] = Value::from("SubscriptionConfirmation");
        notice["Token"] = Value::from("t-1");
        notice["SubscribeURL"] = Value::from(format!("https://{HOST}/?Action=ConfirmSubscription&Token=t-1"));
    });
    deliver(&served, &subscribe).await.is_status(200);
    assert_eq!(sns.count("ConfirmSubscription&Token=t-1"), 1, "the subscription is confirmed");
    let size = served.size();
    let body = notice(|_| {});
    deliver(&served, &body).await.is_status(200);
    deliver(&served, &body).await.is_status(200);
    assert_eq!((served.size(), sns.count("good.pem")), (size + 1, 1));
    let found = served.search("unusual kind:whatsapp.message").await;
    assert_eq!((&found["total"], &found["hits"][0]["source"]), (&json!(1), &json!("aws")));
    // The certificate is archived before what it vouches for, byte for byte, and once.
    let observed = served.find("kind:account.observed").await;
    assert_eq!(observed.len(), 1);
    let read = archive.reader().await.read(piperoll_format::Seq(observed[0])).await.unwrap();
    assert_eq!(read.payload.unwrap().payload.parts[1], fixture("signer.pem"));
    let raw = served.read(&format!("/v1/events/{size}/raw")).await;
    assert_eq!(raw.body, body.as_bytes());
    assert_eq!(raw.header("piperoll-signature-valid"), Some("true"));
    assert_eq!(found["hits"][0]["message"]["conversation"], "9001:4915550000001");
    let read = archive.reader().await.read(piperoll_format::Seq(size)).await.unwrap();
    let key = read.payload.unwrap().payload.provenance.signature_key.unwrap();
    assert!(key.starts_with("cert:") && key.len() == 13, "{key}");
    served.check_everything().await;
    served.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn notices_that_are_not_amazons_are_refused() {
    let archive = TestArchive::in_memory().await;
    let sns = FakeSns::start().await;
    let served = archive
        .serve_changed(|parts| parts.senders = Senders { sns_client: Some(sns.client()), ..senders() })
        .await;
    let size = served.size();
    let set = |key: &'static str, value: String| notice(move |notice| notice[key] = Value::from(value));
    let certificate = |url: &str| set("SigningCertURL", url.to_owned());
    let on_host = |name: &str| certificate(&format!("https://{HOST}/SimpleNotificationService-{name}.pem"));
    let altered = notice(|_| {}).replace("an unusual parcel", "another parcel");
    for (status, body) in [
        (401, altered),
        (401, "not json".to_owned()),
        (401, certificate("https://evil.example/SimpleNotificationService-good.pem")),
        (401, certificate(&format!("http://{HOST}/SimpleNotificationService-good.pem"))),
        (
            401,
            certificate(
                "https://sns.eu-west-1.amazonaws.com.evil.example/SimpleNotificationService-good.pem",
            ),
        ),
        (401, certificate("https://sns.us-east-1.amazonaws.com/SimpleNotificationService-good.pem")),
        (401, certificate(&format!("https://{HOST}/?Action=ConfirmSubscription"))),
        (401, on_host("ended")),
        (401, on_host("other")),
        (401, on_host("large")),
        (503, on_host("moved")),
        (503, on_host("missing")),
        (401, set("TopicArn", "arn:aws:sns:eu-west-1:999999999999:whatsapp".to_owned())),
        (401, set("SignatureVersion", "1".to_owned())),
        (401, set("SignatureVersion", "3".to_owned())),
    ] {
        let answer = deliver(&served, &body).await;
        assert_eq!(answer.status.as_u16(), status, "{body}\n{}", String::from_utf8_lossy(&answer.body));
    }
    assert_eq!(served.size(), size, "nothing of it is kept");
    let subscribe = notice(|notice| {
        notice["Type"] = Value::from("SubscriptionConfirmation");
        notice["Token"] = Value::from("t-1");
        notice["SubscribeURL"] = Value::from("https://evil.example/?Action=ConfirmSubscription");
    });
    deliver(&served, &subscribe).await.is_status(401);
    assert_eq!(sns.count("ConfirmSubscription"), 0);
    served.close().await;
}
