//! Who may do what: the socket's file mode, and on TCP a token and the `Host` header.

use std::io::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use fathom_kernel::Caller;
use rand::TryRngCore as _;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::account::Account;
use super::api::Failure;
use super::rpc;
use super::server::TcpDoor;

/// Who is at the other end of a connection; set by the server, never by a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    /// A process that the file mode let through to the socket.
    Socket {
        /// Its user, as the kernel says.
        uid: u32,
    },
    /// Somebody on TCP.
    Tcp {
        /// From where.
        from: SocketAddr,
    },
}

/// The rights on TCP.
#[derive(Debug, Clone)]
pub struct Guard {
    token: Token,
    /// User and password that are as good as the token.
    account: Option<Account>,
    /// Names beside the loopback ones under which a browser may reach the API.
    hosts: Vec<String>,
    /// Reading without a token is open when only this machine can connect.
    reading_open: bool,
    /// So are the calls of supervisord's clients, when the operator wants that.
    rpc_open: bool,
}

/// What a request has to show.
#[derive(Debug)]
enum Pass {
    /// Nothing more; this is who it is.
    Known(String),
    /// That these are the right credentials.
    Login(Account, Credentials),
}

/// A user and a password.
struct Credentials {
    user: String,
    password: String,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Credentials({})", self.user)
    }
}

/// A bearer token; only its hash is kept.
#[derive(Clone)]
pub struct Token([u8; 32]);

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The file cannot be read or written.
    #[error("token file {}", path.display())]
    File {
        /// Where.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The token is too short to be safe.
    #[error("token file {}: token of {got} characters, at least {} expected", path.display(), Token::LENGTH_MIN)]
    TooShort {
        /// Where.
        path: PathBuf,
        /// Characters found.
        got: usize,
    },
    /// The system gives no random numbers.
    #[error("no random numbers from the system")]
    NoChance,
}

impl Token {
    /// Shortest token accepted.
    pub const LENGTH_MIN: usize = 16;

    /// Makes a token and writes it to a file that only its owner can read.
    pub fn generate(path: &Path) -> Result<Self, TokenError> {
        let mut chance = [0_u8; 32];
        rand::rngs::OsRng
            .try_fill_bytes(&mut chance)
            .map_err(|_| TokenError::NoChance)?;
        let text: String = chance.iter().map(|byte| format!("{byte:02x}")).collect();
        let failed = |source| TokenError::File {
            path: path.to_owned(),
            source,
        };
        // A fresh file, so that neither an old mode nor a planted link is inherited.
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(failed(error));
            }
            _ => {}
        }
        let mut file = std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)
            .map_err(failed)?;
        writeln!(file, "{text}").map_err(failed)?;
        Ok(Self::hashed(&text))
    }

    /// Reads a token that the operator provides.
    pub fn read(path: &Path) -> Result<Self, TokenError> {
        let text = std::fs::read_to_string(path).map_err(|source| TokenError::File {
            path: path.to_owned(),
            source,
        })?;
        let text = text.trim();
        if text.len() < Self::LENGTH_MIN {
            return Err(TokenError::TooShort {
                path: path.to_owned(),
                got: text.len(),
            });
        }
        Ok(Self::hashed(text))
    }

    fn hashed(text: &str) -> Self {
        Self(Sha256::digest(text.as_bytes()).into())
    }

    fn is(&self, text: &str) -> bool {
        // Hashes have equal length, so the comparison takes the same time for every guess.
        self.0.ct_eq(&Self::hashed(text).0).into()
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(…)")
    }
}

impl Guard {
    /// Makes the rights of a TCP door that listens on this address.
    pub fn new(token: Token, listen: SocketAddr, door: &TcpDoor) -> Self {
        Self {
            token,
            account: door.account.clone().map(Account::new),
            hosts: door.hosts.clone(),
            reading_open: listen.ip().is_loopback() && door.account.is_none(),
            rpc_open: door.rpc_open,
        }
    }

    /// Decides on a request from TCP.
    fn decide(&self, method: &Method, path: &str, headers: &HeaderMap) -> Result<Pass, Failure> {
        if !self.knows_host(headers) {
            return Err(Failure::new(
                StatusCode::MISDIRECTED_REQUEST,
                "unknown_host",
                "this name does not lead here; use an address, or localhost",
            ));
        }
        let given = headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok());
        if let Some(given) = given.and_then(|value| value.strip_prefix("Bearer ")) {
            return self.by_token(given.trim());
        }
        let reads = matches!(*method, Method::GET | Method::HEAD);
        if let Some(given) = given.and_then(|value| value.strip_prefix("Basic ")) {
            // A browser keeps such a login and sends it along with the form of any page.
            if !reads && !is_own_page(headers) {
                let refused = "changes are for programs, and for pages of this address";
                return Err(Failure::new(StatusCode::FORBIDDEN, "origin", refused));
            }
            return match credentials(given) {
                // Who can only send a user and a password may send the token as such.
                Some(sent) if self.token.is(&sent.password) => Ok(Pass::Known("token".to_owned())),
                Some(sent) => self.by_password(sent),
                None => Err(unauthorized("the credentials cannot be read")),
            };
        }
        if reads && (self.reading_open || path == "/healthz") || self.is_open_call(path, headers) {
            return Ok(Pass::Known("anyone".to_owned()));
        }
        Err(unauthorized("a token is needed: `Authorization: Bearer …`"))
    }

    fn by_token(&self, given: &str) -> Result<Pass, Failure> {
        if self.token.is(given) {
            return Ok(Pass::Known("token".to_owned()));
        }
        Err(unauthorized("the token is wrong"))
    }

    fn by_password(&self, sent: Credentials) -> Result<Pass, Failure> {
        match &self.account {
            Some(account) => Ok(Pass::Login(account.clone(), sent)),
            None => Err(unauthorized("the password is wrong")),
        }
    }

    /// Tells whether this is a call that everybody may send. A page of another site cannot: its
    /// browser would ask first before it sends XML, and gets no answer that allows it.
    fn is_open_call(&self, path: &str, headers: &HeaderMap) -> bool {
        let kind = headers.get(header::CONTENT_TYPE);
        let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim();
        let is_xml = ["text/xml", "application/xml"]
            .iter()
            .any(|xml| kind.eq_ignore_ascii_case(xml));
        self.rpc_open && rpc::is_ours(path) && is_xml && !headers.contains_key(header::ORIGIN)
    }

    /// Refuses names that a foreign page could have made point to this machine (DNS rebinding).
    fn knows_host(&self, headers: &HeaderMap) -> bool {
        let Some(host) = headers.get(header::HOST) else {
            // No browser, then: those always send one.
            return true;
        };
        let Ok(host) = host.to_str() else {
            return false;
        };
        let name = match host.rsplit_once(':') {
            Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
            _ => host,
        };
        let name = name.trim_start_matches('[').trim_end_matches(']');
        // A bare address cannot be rebound; it is where the client really connected.
        name.eq_ignore_ascii_case("localhost")
            || name.parse::<IpAddr>().is_ok()
            || self.hosts.iter().any(|h| h.eq_ignore_ascii_case(name))
    }
}

/// Tells whether a request comes from a program, or from a page that was loaded from here.
pub(super) fn is_own_page(headers: &HeaderMap) -> bool {
    let Some(origin) = headers.get(header::ORIGIN) else {
        return true;
    };
    let text = |value: &header::HeaderValue| value.to_str().map(str::to_owned).ok();
    let origin = text(origin).and_then(|o| o.split_once("://").map(|(_, host)| host.to_owned()));
    let host = headers.get(header::HOST).and_then(text);
    origin.is_some() && origin == host
}

fn unauthorized(message: &str) -> Failure {
    Failure::new(StatusCode::UNAUTHORIZED, "unauthorized", message)
}

/// Reads what follows `Basic`.
fn credentials(text: &str) -> Option<Credentials> {
    let bytes = BASE64_STANDARD.decode(text.trim()).ok()?;
    let text = String::from_utf8(bytes).ok()?;
    let (user, password) = text.split_once(':')?;
    Some(Credentials {
        user: user.to_owned(),
        password: password.to_owned(),
    })
}

/// Middleware: lets a request through with its [`Caller`], or refuses it.
pub(super) async fn check(
    State(guard): State<Option<Arc<Guard>>>,
    mut request: Request,
    next: Next,
) -> Response {
    let caller = match (request.extensions().get::<Peer>().copied(), guard) {
        (Some(Peer::Socket { uid }), _) => Ok(Caller::new(format!("uid {uid}"), "socket")),
        (Some(Peer::Tcp { from }), Some(guard)) => who(&guard, &request)
            .await
            .map(|who| Caller::new(who, format!("http {}", from.ip()))),
        // No peer, or TCP without a guard: nobody said that this may pass.
        _ => Err(unauthorized("unknown peer")),
    };
    match caller {
        Ok(caller) => {
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Err(failure) if rpc::is_ours(request.uri().path()) => login_wanted(failure),
        Err(failure) => failure.into_response(),
    }
}

/// Finds out who sent a request over TCP.
fn who(guard: &Guard, request: &Request) -> impl Future<Output = Result<String, Failure>> + use<> {
    let pass = guard.decide(request.method(), request.uri().path(), request.headers());
    async move {
        match pass? {
            Pass::Known(who) => Ok(who),
            Pass::Login(account, sent) => match account.admits(&sent.user, &sent.password).await {
                true => Ok(sent.user),
                false => Err(unauthorized("the user or the password is wrong")),
            },
        }
    }
}

/// Tells a client of supervisord that it needs a password.
fn login_wanted(failure: Failure) -> Response {
    let mut response = failure.into_response();
    if response.status() == StatusCode::UNAUTHORIZED {
        let headers = response.headers_mut();
        let realm = HeaderValue::from_static("Basic realm=\"default\"");
        headers.insert(header::WWW_AUTHENTICATE, realm);
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::config::plan::AccountPlan;

    const SECRET: &str = "0123456789abcdef";

    fn guard(listen: &str) -> Guard {
        let listen = listen.parse().expect("an address");
        let door = TcpDoor {
            listen,
            token_file: None,
            hosts: vec!["monitor.km3net.de".into()],
            account: None,
            rpc_open: false,
        };
        Guard::new(Token::hashed(SECRET), listen, &door)
    }

    fn decide(guard: &Guard, method: Method, host: &str, token: Option<&str>) -> Option<String> {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, HeaderValue::from_str(host).expect("text"));
        if let Some(token) = token {
            let value = format!("Bearer {token}");
            headers.insert(header::AUTHORIZATION, value.parse().expect("text"));
        }
        match guard.decide(&method, "/api/status", &headers).ok()? {
            Pass::Known(who) => Some(who),
            Pass::Login(..) => None,
        }
    }

    fn basic(guard: &Guard, text: &str) -> Result<Pass, Failure> {
        let mut headers = HeaderMap::new();
        let value = format!("Basic {}", BASE64_STANDARD.encode(text));
        headers.insert(header::AUTHORIZATION, value.parse().expect("text"));
        guard.decide(&Method::POST, "/RPC2", &headers)
    }

    #[test]
    fn the_token_is_taken_as_a_password_and_another_one_is_checked() {
        let mut guard = guard("127.0.0.1:80");
        assert!(matches!(
            basic(&guard, &format!("any:{SECRET}")),
            Ok(Pass::Known(_))
        ));
        assert!(basic(&guard, "shift:wrong").is_err());
        assert!(basic(&guard, "no colon").is_err());
        guard.account = Some(Account::new(AccountPlan {
            user: "shift".to_owned(),
            password_hash: String::new(),
        }));
        assert!(matches!(basic(&guard, "shift:wrong"), Ok(Pass::Login(..))));
    }

    #[test]
    fn pages_of_other_sites_are_told_apart() {
        let headers = |origin: Option<&str>| {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, "localhost:9001".parse().unwrap());
            if let Some(origin) = origin {
                headers.insert(header::ORIGIN, origin.parse().unwrap());
            }
            headers
        };
        assert!(is_own_page(&headers(None)));
        assert!(is_own_page(&headers(Some("http://localhost:9001"))));
        for foreign in ["http://evil.example", "http://localhost:80", "null"] {
            assert!(!is_own_page(&headers(Some(foreign))), "{foreign}");
        }
    }

    #[test]
    fn a_login_that_a_browser_kept_changes_nothing_for_the_page_of_another_site() {
        let guard = guard("127.0.0.1:80");
        let decide = |method: Method, origin: Option<&'static str>| {
            let mut headers = HeaderMap::new();
            let login = BASE64_STANDARD.encode(format!("any:{SECRET}"));
            let login = format!("Basic {login}").parse().expect("text");
            headers.insert(header::AUTHORIZATION, login);
            headers.insert(header::HOST, HeaderValue::from_static("localhost:80"));
            if let Some(origin) = origin {
                headers.insert(header::ORIGIN, HeaderValue::from_static(origin));
            }
            let decided = guard.decide(&method, "/api/services/a/stop", &headers);
            decided.map_or_else(
                |failure| failure.into_response().status(),
                |_| StatusCode::OK,
            )
        };
        let (own, foreign) = (Some("http://localhost:80"), Some("http://evil.example"));
        assert_eq!(decide(Method::POST, foreign), StatusCode::FORBIDDEN);
        assert_eq!(decide(Method::POST, Some("null")), StatusCode::FORBIDDEN);
        assert_eq!(decide(Method::POST, own), StatusCode::OK);
        assert_eq!(decide(Method::POST, None), StatusCode::OK);
        assert_eq!(decide(Method::GET, foreign), StatusCode::OK);
    }

    #[test]
    fn open_calls_are_xml_and_come_from_no_page() {
        let mut guard = guard("127.0.0.1:80");
        let mut headers = HeaderMap::new();
        let mut passes = |guard: &Guard, name: header::HeaderName, value: &'static str| {
            headers.insert(name, HeaderValue::from_static(value));
            guard.decide(&Method::POST, "/RPC2", &headers).is_ok()
        };
        assert!(!passes(&guard, header::CONTENT_TYPE, "text/xml"));
        guard.rpc_open = true;
        assert!(!passes(&guard, header::CONTENT_TYPE, "text/plain"));
        assert!(passes(
            &guard,
            header::CONTENT_TYPE,
            "text/xml; charset=utf-8"
        ));
        assert!(!passes(&guard, header::ORIGIN, "http://evil.example"));
    }

    #[test]
    fn reading_is_open_on_loopback_only() {
        let near = guard("127.0.0.1:80");
        assert!(decide(&near, Method::GET, "localhost:80", None).is_some());
        let far = guard("0.0.0.0:80");
        assert!(decide(&far, Method::GET, "10.0.0.1:80", None).is_none());
        assert!(decide(&far, Method::GET, "10.0.0.1:80", Some(SECRET)).is_some());
    }

    #[test]
    fn writing_needs_the_token() {
        let guard = guard("127.0.0.1:80");
        assert_eq!(decide(&guard, Method::POST, "127.0.0.1:80", None), None);
        assert_eq!(
            decide(&guard, Method::POST, "127.0.0.1", Some("wrong")),
            None
        );
        assert_eq!(
            decide(&guard, Method::POST, "[::1]:80", Some(SECRET)).as_deref(),
            Some("token")
        );
    }

    #[test]
    fn a_foreign_name_is_refused_even_with_the_token() {
        let guard = guard("127.0.0.1:80");
        assert_eq!(
            decide(&guard, Method::GET, "evil.example:80", Some(SECRET)),
            None
        );
        assert!(decide(&guard, Method::GET, "monitor.KM3net.de", None).is_some());
    }

    #[test]
    fn a_generated_token_is_readable_by_its_owner_only_and_fits() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("control.token");
        std::fs::write(&path, "old").expect("written");
        let token = Token::generate(&path).expect("made");
        let mode = std::fs::metadata(&path)
            .expect("there")
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
        let text = std::fs::read_to_string(&path).expect("readable");
        assert!(token.is(text.trim()));
        assert!(Token::read(&path).expect("long enough").is(text.trim()));
        std::fs::write(&path, "short\n").expect("written");
        assert!(matches!(
            Token::read(&path),
            Err(TokenError::TooShort { got: 5, .. })
        ));
    }
}
