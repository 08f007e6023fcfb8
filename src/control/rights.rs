//! Who may do what: the socket's file mode, and on TCP a token and the `Host` header.

use std::io::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use fathom_kernel::Caller;
use rand::TryRngCore as _;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::api::Failure;

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
    /// Names beside the loopback ones under which a browser may reach the API.
    hosts: Vec<String>,
    /// Reading without a token is open when only this machine can connect.
    reading_open: bool,
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
    /// Makes the rights of a TCP door on this address.
    pub fn new(token: Token, listen: SocketAddr, hosts: Vec<String>) -> Self {
        Self {
            token,
            hosts,
            reading_open: listen.ip().is_loopback(),
        }
    }

    /// Decides on a request from TCP; returns who it is.
    fn decide(&self, method: &Method, path: &str, headers: &HeaderMap) -> Result<String, Failure> {
        if !self.knows_host(headers) {
            return Err(Failure::new(
                StatusCode::MISDIRECTED_REQUEST,
                "unknown_host",
                "this name does not lead here; use an address, or localhost",
            ));
        }
        let given = headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.strip_prefix("Bearer "));
        if let Some(given) = given {
            return if self.token.is(given.trim()) {
                Ok("token".to_owned())
            } else {
                Err(unauthorized("the token is wrong"))
            };
        }
        let reads = matches!(*method, Method::GET | Method::HEAD);
        if reads && (self.reading_open || path == "/healthz") {
            return Ok("anyone".to_owned());
        }
        Err(unauthorized("a token is needed: `Authorization: Bearer …`"))
    }

    /// Refuses names that a foreign page could have made point to this machine (DNS rebinding).
    fn knows_host(&self, headers: &HeaderMap) -> bool {
        let Some(host) = headers.get(header::HOST).and_then(|h| h.to_str().ok()) else {
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

fn unauthorized(message: &str) -> Failure {
    Failure::new(StatusCode::UNAUTHORIZED, "unauthorized", message)
}

/// Middleware: lets a request through with its [`Caller`], or refuses it.
pub(super) async fn check(
    State(guard): State<Option<Arc<Guard>>>,
    mut request: Request,
    next: Next,
) -> Response {
    let caller = match (request.extensions().get::<Peer>(), guard) {
        (Some(Peer::Socket { uid }), _) => Ok(Caller::new(format!("uid {uid}"), "socket")),
        (Some(Peer::Tcp { from }), Some(guard)) => guard
            .decide(request.method(), request.uri().path(), request.headers())
            .map(|who| Caller::new(who, format!("http {}", from.ip()))),
        // No peer, or TCP without a guard: nobody said that this may pass.
        _ => Err(unauthorized("unknown peer")),
    };
    match caller {
        Ok(caller) => {
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Err(failure) => failure.into_response(),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use axum::http::HeaderValue;

    use super::*;

    const SECRET: &str = "0123456789abcdef";

    fn guard(listen: &str) -> Guard {
        let listen = listen.parse().expect("an address");
        Guard::new(
            Token::hashed(SECRET),
            listen,
            vec!["monitor.km3net.de".into()],
        )
    }

    fn decide(guard: &Guard, method: Method, host: &str, token: Option<&str>) -> Option<String> {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, HeaderValue::from_str(host).expect("text"));
        if let Some(token) = token {
            let value = format!("Bearer {token}");
            headers.insert(header::AUTHORIZATION, value.parse().expect("text"));
        }
        guard.decide(&method, "/api/status", &headers).ok()
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
