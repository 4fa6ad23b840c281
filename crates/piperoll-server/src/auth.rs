//! Who may use a route: a bearer token whose role has the route's right.

use std::marker::PhantomData;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;

use crate::archive::Archive;
use crate::error::{ApiError, ErrorCode};
use crate::tokens::{Caller, Role};

/// Something that roles may do.
pub(crate) trait Right: Send {
    /// The roles that may.
    const ROLES: &'static [Role];
}

/// Handing in events.
pub(crate) struct Ingest;

/// Searching, reading and exporting.
pub(crate) struct Read;

/// Verifying the ledger.
pub(crate) struct Verify;

/// Changing tokens, disposing, rebuilding.
pub(crate) struct Administer;

/// Having any valid token.
pub(crate) struct Known;

impl Right for Ingest {
    const ROLES: &'static [Role] = &[Role::Ingest, Role::Admin];
}

impl Right for Read {
    const ROLES: &'static [Role] = &[Role::Officer, Role::Auditor, Role::Admin];
}

impl Right for Verify {
    const ROLES: &'static [Role] = &[Role::Auditor, Role::Admin];
}

impl Right for Administer {
    const ROLES: &'static [Role] = &[Role::Admin];
}

impl Right for Known {
    const ROLES: &'static [Role] = &[Role::Ingest, Role::Officer, Role::Auditor, Role::Admin];
}

/// A caller that has a right; the first argument of every handler that needs one.
pub(crate) struct By<R>(pub(crate) Caller, pub(crate) PhantomData<R>);

impl<R: Right> FromRequestParts<Arc<Archive>> for By<R> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, archive: &Arc<Archive>) -> Result<Self, ApiError> {
        let header = parts.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let scheme_and_token = header.and_then(|header| header.split_once(' '));
        let presented = scheme_and_token.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
        let caller =
            presented.and_then(|(_, token)| archive.tokens().authenticate(token.trim(), archive.now()));
        let caller = caller.ok_or_else(|| {
            ApiError::new(ErrorCode::Unauthenticated, "expected a valid token").hint(
                "send `Authorization: Bearer prt_…`; an admin makes tokens with `piperoll token create`",
            )
        })?;
        if R::ROLES.contains(&caller.role) {
            return Ok(Self(caller, PhantomData));
        }
        let roles: Vec<&str> = R::ROLES.iter().map(|role| role.as_str()).collect();
        let message =
            format!("expected a token with role {}, found role {}", roles.join(" or "), caller.role);
        Err(ApiError::new(ErrorCode::Forbidden, message))
    }
}
