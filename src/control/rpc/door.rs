//! Takes what comes over HTTP: calls by `POST` to any path that begins with `/RPC2`, and requests for
//! logs.

use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use dxr::MethodCall;
use fathom_kernel::Caller;

use super::desk::Desk;
use super::tails;
use super::xml::Xml;
use crate::control::console::Console;

/// Where calls go.
const PATH: &str = "/RPC2";

/// Largest call [bytes]. With one call per connection, and so many connections at once, this also
/// bounds what all calls together hold.
const CALL_BYTES_MAX: usize = 1 << 20;

/// A longer call is read apart from the threads that serve.
const SMALL_BYTES: usize = 64 << 10;

/// Time for a client to send its call.
const CALL_WAIT: Duration = Duration::from_secs(10);

/// Tells whether a path belongs to supervisord's clients.
pub(in crate::control) fn is_ours(path: &str) -> bool {
    path.starts_with(PATH) || tails::is_ours(path)
}

/// Answers a request to one of our paths.
pub(in crate::control) async fn answer(console: Console, request: Request) -> Response {
    let Some(caller) = request.extensions().get::<Caller>().cloned() else {
        return refuse(StatusCode::UNAUTHORIZED, "unknown caller");
    };
    if tails::is_ours(request.uri().path()) {
        let (method, uri) = (request.method().clone(), request.uri().clone());
        return tails::answer(Desk { console, caller }, method, uri.path()).await;
    }
    if request.method() != Method::POST {
        return refuse(StatusCode::BAD_REQUEST, "calls are sent by POST");
    }
    let call = match read(request).await {
        Ok(call) => call,
        Err(refusal) => return refusal,
    };
    let desk = Desk { console, caller };
    let answer = desk.call(&call.name, call.params).await;
    let mut response = Response::new(Body::from(Xml::response(&answer)));
    let xml = HeaderValue::from_static("text/xml");
    response.headers_mut().insert(header::CONTENT_TYPE, xml);
    response
}

async fn read(request: Request) -> Result<MethodCall<'static>, Response> {
    let body = to_bytes(request.into_body(), CALL_BYTES_MAX);
    let body = match tokio::time::timeout(CALL_WAIT, body).await {
        Err(_) => return Err(refuse(StatusCode::REQUEST_TIMEOUT, "the call did not come")),
        // For the other reason, a broken connection, nobody hears the answer.
        Ok(Err(_)) => {
            return Err(refuse(
                StatusCode::PAYLOAD_TOO_LARGE,
                "the call is too long",
            ));
        }
        Ok(Ok(body)) => body,
    };
    let call = match body.len() {
        ..SMALL_BYTES => parse(&body),
        _ => tokio::task::spawn_blocking(move || parse(&body))
            .await
            .unwrap_or_default(),
    };
    call.ok_or_else(|| refuse(StatusCode::BAD_REQUEST, "not a call in XML"))
}

/// Reads a call; `None` when it is none.
fn parse(body: &Bytes) -> Option<MethodCall<'static>> {
    let call = MethodCall::from_xml(std::str::from_utf8(body).ok()?).ok()?;
    (!call.name.is_empty()).then(|| MethodCall {
        name: call.name.into_owned().into(),
        params: call.params,
    })
}

fn refuse(status: StatusCode, text: &'static str) -> Response {
    (status, text).into_response()
}

#[cfg(test)]
mod tests {
    use dxr::Value;
    use proptest::prelude::*;

    use super::*;

    fn params(xml: &str) -> Option<Vec<Value>> {
        let call = format!(
            "<?xml version='1.0'?>\n<methodCall>\n<methodName>a.b</methodName>\n<params>\n<param>\n\
             {xml}\n</param>\n</params>\n</methodCall>\n"
        );
        parse(&Bytes::from(call)).map(|call| call.params)
    }

    #[test]
    fn every_form_of_a_value_is_read() {
        let text = |text: &str| Value::String(text.to_owned());
        let cases = [
            ("<value>plain</value>", text("plain")),
            ("<value><string>line\n</string></value>", text("line\n")),
            ("<value><string></string></value>", text("")),
            (
                "<value><string>a&amp;b&#10;</string></value>",
                text("a&b\n"),
            ),
            ("<value><int>1</int></value>", Value::Integer(1)),
            ("<value><i4>-1600</i4></value>", Value::Integer(-1600)),
            ("<value><i8>1</i8></value>", Value::Long(1)),
            ("<value><boolean>1</boolean></value>", Value::Boolean(true)),
            ("<value><double>1.5</double></value>", Value::Double(1.5)),
            (
                "<value><base64>aGFs\nbG8=</base64></value>",
                Value::Base64(b"hallo".to_vec()),
            ),
            (
                "<value><array><data></data></array></value>",
                Value::Array(Vec::new()),
            ),
        ];
        for (xml, expected) in cases {
            assert_eq!(params(xml), Some(vec![expected]), "{xml}");
        }
        let date = "<value><dateTime.iso8601>20261121T01:02:03</dateTime.iso8601></value>";
        assert!(params(date).is_some());
    }

    #[test]
    fn a_call_needs_a_name_but_no_parameters() {
        let call = |text: &'static str| parse(&Bytes::from(text)).map(|call| call.name);
        let bare = "<methodCall><methodName>a.b</methodName></methodCall>";
        assert_eq!(call(bare).as_deref(), Some("a.b"));
        for wrong in [
            "",
            "hello",
            "<methodCall></methodCall>",
            "<methodCall><methodName></methodName></methodCall>",
            "<methodCall><methodName>a.b</methodName>",
            "<methodCall><methodName>a.b</methodCall>",
        ] {
            assert_eq!(call(wrong), None, "{wrong}");
        }
        assert!(parse(&Bytes::from_static(b"<methodCall>\xff")).is_none());
    }

    #[test]
    fn values_nested_without_end_are_refused() {
        let (open, close) = ("<value><array><data>", "</data></array></value>");
        let deep = format!("{}{}", open.repeat(20_000), close.repeat(20_000));
        assert_eq!(params(&deep), None);
    }

    proptest! {
        #[test]
        fn random_bytes_are_refused(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            parse(&Bytes::from(bytes));
        }

        #[test]
        fn broken_calls_do_no_harm(cut in 0_usize..200, flip in 0_usize..200, to in any::<u8>()) {
            let call = "<?xml version='1.0'?><methodCall><methodName>system.multicall</methodName>\
                        <params><param><value><array><data><value><struct><member><name>methodName\
                        </name><value>x</value></member></struct></value></data></array></value>\
                        </param></params></methodCall>";
            let mut bytes = call.as_bytes().to_vec();
            if let Some(byte) = bytes.get_mut(flip) {
                *byte = to;
            }
            parse(&Bytes::from(bytes.clone()));
            bytes.truncate(cut);
            prop_assert!(parse(&Bytes::from(bytes)).is_none());
        }
    }
}
