//! The guard in front of all routes: login, role, and where a request comes from.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use super::accounts::{Denied, Login};
use crate::api::Fault;
use crate::app::App;
use crate::options::Role;

/// The one path that needs no login: it says nothing but that the server works.
const OPEN_PATH: &str = "/healthz";
/// Longest `Authorization` value that is looked at.
const CREDENTIALS_MAX: usize = 1_024;

/// The other end of a connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer(pub(crate) SocketAddr);

/// Who asks.
#[derive(Debug, Clone)]
pub(crate) struct Identity {
    /// User name; `None` without a login.
    pub(crate) user: Option<Arc<str>>,
    /// What the user may do.
    pub(crate) role: Role,
}

impl Identity {
    /// Returns the name for logs.
    pub(crate) fn name(&self) -> &str {
        self.user.as_deref().unwrap_or("anonymous")
    }
}

/// Lets a request pass, with the identity of who asks, or answers it.
pub(crate) async fn guard(
    State(app): State<Arc<App>>,
    mut request: Request,
    next: Next,
) -> Response {
    if request.uri().path() == OPEN_PATH {
        return next.run(request).await;
    }
    if let Err(fault) = check_host(&app, request.headers()) {
        return fault.into_response();
    }
    let looks_only = matches!(*request.method(), Method::GET | Method::HEAD);
    if !looks_only && !same_origin(request.headers()) {
        return Fault::new(StatusCode::FORBIDDEN, "request from another site").into_response();
    }
    let from = request
        .extensions()
        .get::<Peer>()
        .map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.0.ip());
    match identify(&app, from, request.headers(), looks_only).await {
        Ok(identity) => {
            request.extensions_mut().insert(identity);
            next.run(request).await
        }
        Err(response) => response,
    }
}

/// A page that anybody on this machine may read must not be readable by a web site that made its
/// own name point here (DNS rebinding).
fn check_host(app: &App, headers: &HeaderMap) -> Result<(), Fault> {
    if app.access.anonymous().is_none() || !app.listens_on_loopback {
        return Ok(());
    }
    let host = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok());
    let name = host.map(host_name).unwrap_or_default();
    let ours = name.eq_ignore_ascii_case("localhost")
        || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
        || app
            .hosts
            .iter()
            .any(|known| known.eq_ignore_ascii_case(name));
    if ours {
        return Ok(());
    }
    let text = format!("host {name:?} is not known here; add it to the option `hosts`");
    Err(Fault::new(StatusCode::MISDIRECTED_REQUEST, text))
}

/// Returns the name in a `Host` value, without port and without the brackets of IPv6.
fn host_name(host: &str) -> &str {
    let without_port = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    };
    without_port.trim_start_matches('[').trim_end_matches(']')
}

/// Tells whether a request that changes something comes from our own page, or from a program (which
/// sends neither header). Browsers send at least one of them with every such request.
fn same_origin(headers: &HeaderMap) -> bool {
    if let Some(site) = headers.get("sec-fetch-site") {
        return site == "same-origin";
    }
    let Some(origin) = headers.get(header::ORIGIN) else {
        return true;
    };
    let origin = origin.to_str().unwrap_or_default();
    let host = origin.split_once("://").map(|(_, host)| host.as_bytes());
    host.is_some() && host == headers.get(header::HOST).map(HeaderValue::as_bytes)
}

async fn identify(
    app: &App,
    from: IpAddr,
    headers: &HeaderMap,
    looks_only: bool,
) -> Result<Identity, Response> {
    let Some((user, password)) = credentials(headers) else {
        let role = app.access.anonymous();
        // A command needs a login even where everybody may look; ask for it.
        let role = role.filter(|_| looks_only || app.access.is_open());
        return role
            .map(|role| Identity { user: None, role })
            .ok_or_else(|| challenge("login needed"));
    };
    if app.access.is_open() {
        return Ok(Identity {
            user: None,
            role: Role::Viewer,
        });
    }
    match app.access.check(from, &user, &password).await {
        Ok(Login { user, role }) => Ok(Identity {
            user: Some(user),
            role,
        }),
        Err(denied) => {
            if let Some(refused) = app.access.refusals_to_log() {
                tracing::warn!(%from, user, refused, error = %denied, "login refused");
            }
            Err(refuse(denied))
        }
    }
}

fn credentials(headers: &HeaderMap) -> Option<(String, String)> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, encoded) = value.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") || encoded.len() > CREDENTIALS_MAX {
        return None;
    }
    let decoded = BASE64_STANDARD.decode(encoded.trim()).ok()?;
    let text = String::from_utf8(decoded).ok()?;
    let (user, password) = text.split_once(':')?;
    Some((user.to_owned(), password.to_owned()))
}

fn refuse(denied: Denied) -> Response {
    match denied {
        Denied::Wrong => challenge(denied.to_string()),
        Denied::Throttled { wait_s } => {
            let fault = Fault::new(StatusCode::TOO_MANY_REQUESTS, denied.to_string());
            ([(header::RETRY_AFTER, wait_s.to_string())], fault).into_response()
        }
        Denied::Busy => {
            Fault::new(StatusCode::SERVICE_UNAVAILABLE, denied.to_string()).into_response()
        }
    }
}

fn challenge(text: impl Into<Cow<'static, str>>) -> Response {
    let realm = "Basic realm=\"fathom\", charset=\"UTF-8\"";
    let fault = Fault::new(StatusCode::UNAUTHORIZED, text);
    ([(header::WWW_AUTHENTICATE, realm)], fault).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(list: &[(&'static str, &str)]) -> HeaderMap {
        list.iter()
            .map(|(name, value)| {
                (
                    header::HeaderName::from_static(name),
                    HeaderValue::from_str(value).unwrap(),
                )
            })
            .collect()
    }

    #[test]
    fn only_our_own_page_and_programs_may_command() {
        let host = ("host", "sea:8081");
        assert!(same_origin(&headers(&[host])));
        assert!(same_origin(&headers(&[
            host,
            ("origin", "http://sea:8081")
        ])));
        assert!(same_origin(&headers(&[
            host,
            ("sec-fetch-site", "same-origin")
        ])));
        assert!(!same_origin(&headers(&[
            host,
            ("sec-fetch-site", "cross-site")
        ])));
        assert!(!same_origin(&headers(&[
            host,
            ("sec-fetch-site", "same-site")
        ])));
        assert!(!same_origin(&headers(&[
            host,
            ("origin", "http://evil:8081")
        ])));
        assert!(!same_origin(&headers(&[host, ("origin", "null")])));
    }

    #[test]
    fn the_name_of_a_host_is_found_with_and_without_port() {
        assert_eq!(host_name("localhost:8081"), "localhost");
        assert_eq!(host_name("localhost"), "localhost");
        assert_eq!(host_name("[::1]:8081"), "::1");
        assert_eq!(host_name("[::1]"), "::1");
    }
}
