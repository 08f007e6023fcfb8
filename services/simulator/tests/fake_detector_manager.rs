//! The kind `fake_detector_manager` over HTTP.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::time::Duration;

use fathom_formats::detx::{Detector, Layout as Geometry};
use fathom_kernel::{FromConfig, Outside, Request, Service, ServiceCx, Setup};
use fathom_simulator::{FakeDetectorManager, FakeDetectorManagerOptions};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(20);

fn setup() -> Setup {
    Setup {
        detector: Some(Detector::generated(&Geometry::orca(2)).into()),
        ..Setup::default()
    }
}

async fn request(outside: &Outside, verb: &str, args: Value) -> Result<Value, String> {
    let (reply, answer) = oneshot::channel();
    let verb = verb.to_owned();
    outside
        .inbox
        .send(Request { verb, args, reply })
        .await
        .expect("the service runs");
    answer.await.expect("every request is answered")
}

/// Asks for a page; returns status and body.
async fn get(address: std::net::SocketAddr, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, body.to_owned())
}

#[tokio::test]
async fn it_answers_until_it_forgets_and_says_nothing_while_it_is_silent() {
    let (cx, mut outside) = ServiceCx::alone("manager", "unused");
    let (stop, addresses) = (cx.stop.clone(), cx.addresses.clone());
    let options = FakeDetectorManagerOptions::default();
    FakeDetectorManager::check(&options, &setup()).unwrap();
    let service = Box::new(FakeDetectorManager::from_config(&options, &setup()));
    let running = tokio::spawn(service.run(cx));
    let scene = async {
        outside.ready.wait_for(|ready| *ready).await.unwrap();
        let address = addresses.of("manager").unwrap();
        let define = "/monshortdef?name=r&paths=/mon/clb/outparams/wr_mu/2/0,\
                      /mon/clb/outparams/wr_delta/2/0/1";
        assert_eq!(get(address, "/monshort/r").await.0, 404);
        assert_eq!(get(address, define).await, (200, "OK".to_owned()));
        let (status, body) = get(address, "/monshort/r").await;
        let list: Vec<Value> = serde_json::from_str(&body).unwrap();
        assert_eq!((status, list.len()), (200, 2));
        let before = list[0]["value"].as_f64().unwrap();
        let shift = json!({"du": 2, "ps": 1e6});
        request(&outside, "shift", shift).await.unwrap();
        let (_, body) = get(address, "/monshort/r").await;
        let list: Vec<Value> = serde_json::from_str(&body).unwrap();
        let after = list[0]["value"].as_f64().unwrap();
        // Noise of 60 ps, and hardly any drift meanwhile.
        assert!((after - before - 1e6).abs() < 1000.0, "{before} {after}");

        request(&outside, "silent", json!(true)).await.unwrap();
        let waiting = tokio::spawn(async move { get(address, "/monshort/r").await });
        let wrong = request(&outside, "shift", json!({"du": 77, "ps": 1})).await;
        assert!(wrong.unwrap_err().contains("[1, 2]"));
        assert!(!waiting.is_finished());
        request(&outside, "clear", Value::Null).await.unwrap();
        assert_eq!(waiting.await.unwrap().0, 200);

        let forgotten = request(&outside, "forget", Value::Null).await;
        assert_eq!(forgotten, Ok(json!({"forgotten": 1})));
        assert_eq!(get(address, "/monshort/r").await.0, 404);
        stop.cancel();
        running.await.unwrap().unwrap();
        assert_eq!(addresses.of("manager"), None);
        assert!(TcpStream::connect(address).await.is_err());
    };
    timeout(PATIENCE, scene).await.unwrap();
}

#[test]
fn options_that_cannot_work_are_refused() {
    let refused = |options, setup: &Setup, part: &str| {
        let error = FakeDetectorManager::check(&options, setup).unwrap_err();
        assert!(error.contains(part), "{error}");
    };
    let options = FakeDetectorManagerOptions::default;
    refused(options(), &Setup::default(), "no detector");
    let listen = "1302".to_owned();
    refused(
        FakeDetectorManagerOptions {
            listen,
            ..options()
        },
        &setup(),
        "HOST:PORT",
    );
    let noise = -1.0;
    refused(
        FakeDetectorManagerOptions { noise, ..options() },
        &setup(),
        "noise is -1",
    );
}
