//! Who may do what.

use super::*;

/// Every route that needs a token, with the roles that may use it and a request that succeeds or is refused for its
/// content only.
const ROUTES: [(&str, &str, &str, &[Role]); 21] = [
    ("POST", "/v1/events", "{}", &[Role::Ingest, Role::Admin]),
    ("GET", "/v1/events/0", "", READERS),
    ("GET", "/v1/events/0/raw", "", READERS),
    ("GET", "/v1/events/0/proof", "", READERS),
    ("GET", "/v1/search?q=hello", "", READERS),
    ("GET", "/v1/conversations/1:2", "", READERS),
    ("GET", "/v1/persons/491", "", READERS),
    ("GET", "/v1/persons/491/consent", "", READERS),
    ("GET", "/v1/persons/491/consent/record", "", READERS),
    ("GET", "/v1/templates/x", "", READERS),
    ("GET", "/v1/evidence/sends/x", "", READERS),
    ("GET", "/v1/ledger", "", READERS),
    ("GET", "/v1/export?q=hello", "", READERS),
    ("POST", "/v1/verify?quick=true", "", &[Role::Auditor, Role::Admin]),
    ("GET", "/v1/dispose/plan", "", READERS),
    ("POST", "/v1/dispose/execute", "{}", ADMINS),
    ("GET", "/v1/tokens", "", ADMINS),
    ("POST", "/v1/tokens", r#"{"name":"a b","role":"admin"}"#, ADMINS),
    ("DELETE", "/v1/tokens/nobody", "", ADMINS),
    ("POST", "/v1/index/rebuild", "", ADMINS),
    ("GET", "/metrics", "", &[Role::Admin, Role::Auditor, Role::Ingest, Role::Officer]),
];
const READERS: &[Role] = &[Role::Officer, Role::Auditor, Role::Admin];
const ADMINS: &[Role] = &[Role::Admin];

#[tokio::test(flavor = "multi_thread")]
async fn every_route_is_open_to_exactly_its_roles() {
    let bench = Bench::new().await;
    for (method, path, body, roles) in ROUTES {
        let method: Method = method.parse().unwrap();
        for (role, _) in &bench.tokens {
            let answer = bench.send(*role, method.clone(), path, body).await;
            let is_forbidden = answer.status == StatusCode::FORBIDDEN;
            assert_eq!(!is_forbidden, roles.contains(role), "{method} {path} as {role}: {}", answer.status);
            assert_ne!(answer.status, StatusCode::UNAUTHORIZED, "{method} {path} as {role}");
        }
        let request = || Request::builder().method(method.clone()).uri(path);
        let wrong = ["Bearer prt_x", "Basic YTpi", "Bearer", "prt_x"]
            .map(|header| request().header("authorization", header));
        for request in [request()].into_iter().chain(wrong) {
            let answer = bench.call(request.body(Body::from(body)).unwrap()).await;
            let _ = answer.refused(401, "unauthenticated");
            assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn webhooks_health_and_the_log_need_no_token() {
    let bench = Bench::new().await;
    for path in ["/health", "/ready", "/checkpoint", "/tile/0/000.p/1"] {
        assert_eq!(bench.get(path).await.status, StatusCode::OK, "{path}");
    }
    let _ = bench.get("/nothing").await.refused(404, "not-found");
    let patch = Request::patch("/checkpoint").body(Body::empty()).unwrap();
    let _ = bench.call(patch).await.refused(405, "method-not-allowed");
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_made_listed_and_revoked_on_the_record() {
    let bench = Bench::new().await;
    let body = r#"{"name":"form","role":"ingest","expires_at":"2026-12-01T00:00:00Z"}"#;
    let made = bench.send(Role::Admin, Method::POST, "/v1/tokens", body).await;
    assert_eq!(made.status, StatusCode::CREATED);
    let record = bench.newest("access.token").await;
    assert_eq!(
        record,
        serde_json::json!({"token": "the-admin", "role": "admin", "action": "create", "target": "form", "granted": "ingest"})
    );
    let token = made.json()["token"].as_str().unwrap().to_owned();
    assert!(bench.archive.tokens().authenticate(&token, bench.archive.now()).is_some());
    let listed = bench.send(Role::Admin, Method::GET, "/v1/tokens", "").await.ok();
    assert_eq!(listed["tokens"].as_array().unwrap().len(), 5);
    assert!(!listed.to_string().contains("sha256"));
    let _ = bench.send(Role::Admin, Method::POST, "/v1/tokens", body).await.refused(409, "conflict");
    let gone = bench.send(Role::Admin, Method::DELETE, "/v1/tokens/form", "").await;
    assert_eq!(gone.status, StatusCode::NO_CONTENT);
    assert!(bench.archive.tokens().authenticate(&token, bench.archive.now()).is_none());
    assert_eq!(bench.newest("access.token").await["action"], "revoke");
    let _ =
        bench.send(Role::Admin, Method::DELETE, "/v1/tokens/the-admin", "").await.refused(409, "conflict");
    let _ =
        bench.send(Role::Admin, Method::POST, "/v1/tokens", r#"{"name":"x"}"#).await.refused(400, "invalid");
}
