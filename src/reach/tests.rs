//! Reads files, and a small web server of our own.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use fathom_kernel::{Content, Fetch, FetchError, Fetcher, Location};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{RootCertStore, ServerConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::{Reach, web};

async fn read(reach: &Reach, what: Fetch) -> Result<Content, FetchError> {
    reach.fetch(what).await
}

fn wish(from: &str) -> Fetch {
    Fetch::new("it", Location::from(from.to_owned()))
}

fn bytes(content: &Content) -> (&[u8], Option<String>) {
    match content {
        Content::Bytes(bytes, version) => (bytes, version.clone()),
        Content::Unchanged => panic!("unchanged"),
    }
}

/// Pages with and without versions, moved, missing and endless.
async fn serve() -> String {
    let app = Router::new()
        .route(
            "/tagged",
            get(async |headers: HeaderMap| versioned(&headers, true)),
        )
        .route(
            "/dated",
            get(async |headers: HeaderMap| versioned(&headers, false)),
        )
        .route(
            "/deaf",
            get(|| async { ([(header::ETAG, "\"7\"")], "deaf") }),
        )
        .route("/plain", get(|| async { "plain" }))
        .route("/moved", get(|| async { Redirect::temporary("/plain") }))
        .route("/circle", get(|| async { Redirect::temporary("/circle") }))
        .route("/endless", get(endless))
        .route("/silent", get(std::future::pending::<()>));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async { axum::serve(listener, app).await.unwrap() });
    url
}

fn versioned(headers: &HeaderMap, tagged: bool) -> Response {
    const DATE: &str = "Sat, 21 Nov 2026 00:00:00 GMT";
    let (tells, asks, version) = match tagged {
        true => (header::ETAG, header::IF_NONE_MATCH, "\"7\""),
        false => (header::LAST_MODIFIED, header::IF_MODIFIED_SINCE, DATE),
    };
    match headers.get(asks) {
        Some(known) if known == version => StatusCode::NOT_MODIFIED.into_response(),
        Some(_) | None => ([(tells, version)], "body").into_response(),
    }
}

/// A body without a length that never ends.
async fn endless() -> Response {
    let chunks = futures_util::stream::repeat_with(|| Ok::<_, std::io::Error>(vec![0_u8; 1024]));
    axum::body::Body::from_stream(chunks).into_response()
}

#[tokio::test]
async fn a_page_is_read_once_per_version_by_either_header() {
    let (url, reach) = (serve().await, Reach::new("unused".into()));
    for (page, expected) in [
        ("tagged", "etag:\"7\""),
        ("dated", "modified:Sat, 21 Nov 2026 00:00:00 GMT"),
        ("deaf", "etag:\"7\""),
    ] {
        let wish = wish(&format!("{url}/{page}"));
        let first = read(&reach, wish.clone()).await.unwrap();
        let (_, version) = bytes(&first);
        assert_eq!(version.as_deref(), Some(expected), "{page}");
        let again = read(&reach, wish.clone().unless(version)).await.unwrap();
        assert_eq!(again, Content::Unchanged, "{page}");
        let other = wish.unless(Some("etag:\"6\"".to_owned()));
        bytes(&read(&reach, other).await.unwrap());
    }
    let plain = read(&reach, wish(&format!("{url}/plain"))).await.unwrap();
    assert_eq!(bytes(&plain), (&b"plain"[..], None));
}

#[tokio::test]
async fn pages_that_are_missing_long_or_late_say_so() {
    let (url, reach) = (serve().await, Reach::new("unused".into()));
    let moved = read(&reach, wish(&format!("{url}/moved"))).await.unwrap();
    assert_eq!(bytes(&moved).0, b"plain");

    let missing = read(&reach, wish(&format!("{url}/nothing"))).await;
    let text = missing.unwrap_err().to_string();
    assert_eq!(text, format!("{url}/nothing: answered 404, expected 200"));

    let circle = read(&reach, wish(&format!("{url}/circle"))).await;
    let text = circle.unwrap_err().to_string();
    assert!(text.contains("too many redirects"), "{text}");

    for page in ["plain", "endless"] {
        let long = Fetch {
            bytes_max: 4,
            ..wish(&format!("{url}/{page}"))
        };
        let error = read(&reach, long).await.unwrap_err();
        assert!(matches!(error, FetchError::TooLong { limit: 4, .. }));
    }
    let late = Fetch {
        timeout: Duration::from_millis(50),
        ..wish(&format!("{url}/silent"))
    };
    let error = read(&reach, late).await.unwrap_err();
    assert!(matches!(error, FetchError::TimedOut { .. }), "{error}");

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let nobody = listener.local_addr().unwrap();
    drop(listener);
    let secret = format!("http://me:secret@{nobody}/");
    let error = read(&reach, wish(&secret)).await.unwrap_err();
    assert!(matches!(error, FetchError::Failed { .. }), "{error}");
    let shown = format!("{error} {error:?}");
    assert!(
        shown.contains("http://me:***@") && !shown.contains("secret"),
        "{shown}"
    );
}

/// Answers every connection over TLS with the same page; returns the address and whom to trust.
async fn serve_tls(answer: &'static str) -> (std::net::SocketAddr, RootCertStore) {
    let own = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let certificate = CertificateDer::from(own.cert.der().to_vec());
    let key = PrivateKeyDer::try_from(own.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            // A client that does not trust us hangs up.
            let Ok(mut stream) = acceptor.accept(stream).await else {
                continue;
            };
            let mut asked = [0; 4096];
            if stream.read(&mut asked).await.is_ok_and(|count| count > 0) {
                stream.write_all(answer.as_bytes()).await.ok();
                stream.shutdown().await.ok();
            }
        }
    });
    let mut roots = RootCertStore::empty();
    roots.add(certificate).unwrap();
    (address, roots)
}

#[tokio::test]
async fn a_trusted_server_is_read_over_tls_and_another_is_not() {
    let page = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\nsecret";
    let (address, roots) = serve_tls(page).await;
    let url = format!("https://localhost:{}/", address.port());
    let trusting = web::client_with(super::tls::trusting(roots)).unwrap();
    let content = web::get(&trusting, &url, &wish(&url)).await.unwrap();
    assert_eq!(bytes(&content).0, b"secret");

    let wary = web::client_with(super::no_tls_config()).unwrap();
    let error = web::get(&wary, &url, &wish(&url)).await.unwrap_err();
    assert!(error.to_string().contains("certificate"), "{error}");
}

#[tokio::test]
async fn nobody_is_led_from_https_to_http() {
    let url = serve().await;
    let page = format!(
        "HTTP/1.1 302 Found\r\nLocation: {url}/plain\r\nContent-Length: 0\r\n\
         Connection: close\r\n\r\n"
    );
    let (address, roots) = serve_tls(page.leak()).await;
    let url = format!("https://localhost:{}/", address.port());
    let client = web::client_with(super::tls::trusting(roots)).unwrap();
    let error = web::get(&client, &url, &wish(&url)).await.unwrap_err();
    assert!(error.to_string().contains("from https to http"), "{error}");
}

#[tokio::test]
async fn a_file_is_read_once_per_version() {
    let folder = tempfile::tempdir().unwrap();
    let reach = Reach::new(folder.path().to_owned());
    let path = folder.path().join("a.detx");
    std::fs::write(&path, "one").unwrap();
    let first = read(&reach, wish("a.detx")).await.unwrap();
    let (content, version) = bytes(&first);
    assert_eq!(content, b"one");
    let known = wish("a.detx").unless(version);
    let again = read(&reach, known.clone()).await.unwrap();
    assert_eq!(again, Content::Unchanged);
    // A new file in its place, as editors write it.
    std::fs::write(folder.path().join("b"), "two").unwrap();
    std::fs::rename(folder.path().join("b"), &path).unwrap();
    assert_eq!(bytes(&read(&reach, known).await.unwrap()).0, b"two");
}

#[tokio::test]
async fn only_regular_files_of_bounded_size_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let reach = Reach::new(folder.path().to_owned());
    let pipe = folder.path().join("pipe");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
    for irregular in [pipe.as_path(), folder.path(), Path::new("/dev/zero")] {
        let error = read(&reach, wish(irregular.to_str().unwrap()))
            .await
            .unwrap_err();
        let text = error.to_string();
        assert!(text.ends_with("it is no regular file"), "{text}");
    }
    let error = read(&reach, wish("missing")).await.unwrap_err();
    assert!(matches!(error, FetchError::Absent { .. }), "{error:?}");
    assert!(error.to_string().contains("No such file"), "{error}");

    std::fs::write(folder.path().join("five"), "12345").unwrap();
    for (bytes_max, fits) in [(4, false), (5, true)] {
        let what = Fetch {
            bytes_max,
            ..wish("five")
        };
        assert_eq!(read(&reach, what).await.is_ok(), fits, "{bytes_max}");
    }
}

#[tokio::test]
async fn a_folder_is_listed_when_that_is_wanted() {
    let folder = tempfile::tempdir().unwrap();
    let reach = Reach::new(folder.path().to_owned());
    std::fs::create_dir_all(folder.path().join("events/inner")).unwrap();
    for name in ["b.dat", "a.json", "two\nlines"] {
        std::fs::write(folder.path().join("events").join(name), "1").unwrap();
    }
    let wish = |place: &str| Fetch::list("t", place.to_owned().into());
    let listed = read(&reach, wish("events")).await.unwrap();
    assert_eq!(bytes(&listed), (&b"a.json\nb.dat\n"[..], None));
    let missing = read(&reach, wish("missing")).await.unwrap_err();
    assert!(matches!(missing, FetchError::Absent { .. }), "{missing:?}");
    let short = Fetch {
        bytes_max: 12,
        ..wish("events")
    };
    let long = read(&reach, short).await.unwrap_err();
    assert!(matches!(long, FetchError::TooLong { .. }), "{long:?}");
}
