//! The kind `fake_detector` on the bus and over TCP.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use fathom_formats::controlhost::{FrameError, Splitter, tags};
use fathom_formats::detx::{Detector, Layout as Geometry};
use fathom_formats::km3net::Payload;
use fathom_kernel::{Event, Filter, Limits, Outside, Request, Service, ServiceCx, Span};
use fathom_simulator::{FakeDetector, FakeDetectorOptions, FaultKind, FaultSpec, Layout};
use serde_json::{Value, json};
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(20);

fn detector(options: FakeDetectorOptions) -> Box<FakeDetector> {
    let layout = Layout::new(&Detector::generated(&Geometry::orca(1)));
    Box::new(FakeDetector::new(options, Arc::new(layout)))
}

async fn ask(outside: &Outside, verb: &str, args: Value) -> Result<Value, String> {
    let (reply, answer) = oneshot::channel();
    let verb = verb.to_owned();
    outside
        .inbox
        .send(Request { verb, args, reply })
        .await
        .expect("the service runs");
    answer.await.expect("every request is answered")
}

#[tokio::test(start_paused = true)]
async fn ten_seconds_on_the_bus_are_100_summary_slices_and_1900_packets() {
    let (cx, _outside) = ServiceCx::alone("sim", "unused");
    let mut events = cx
        .bus
        .subscribe("test", Filter::all_frames(), Limits::default());
    let (stop, counters) = (cx.stop.clone(), cx.counters.clone());
    let options = FakeDetectorOptions {
        start: Some("2026-01-01T00:00:00Z".parse().unwrap()),
        ..FakeDetectorOptions::default()
    };
    let service = tokio::spawn(detector(options).run(cx));
    tokio::time::sleep(Duration::from_millis(10_015)).await;
    stop.cancel();
    service.await.unwrap().unwrap();
    let mut batch = VecDeque::new();
    assert!(events.try_batch(&mut batch));
    let (mut slices, mut packets) = (0, 0);
    for event in &batch {
        let Event::Frame(frame) = &**event else {
            continue;
        };
        assert_eq!(&*frame.source, "sim");
        Payload::decode(frame.tag, &frame.body).unwrap();
        slices += usize::from(frame.tag == tags::IO_SUM);
        packets += usize::from(frame.tag == tags::IO_MONIT);
    }
    assert_eq!((slices, packets), (100, 1900));
    assert_eq!(counters.snapshot().sent, batch.len() as u64);
    assert!(counters.snapshot().bad.is_empty());
}

#[tokio::test(start_paused = true)]
async fn faults_are_switched_while_it_runs() {
    let (cx, outside) = ServiceCx::alone("sim", "unused");
    let mut events = cx
        .bus
        .subscribe("test", Filter::all_frames(), Limits::default());
    let stop = cx.stop.clone();
    let service = tokio::spawn(detector(FakeDetectorOptions::default()).run(cx));
    let added = ask(
        &outside,
        "fault",
        json!({"fault": "source_silent", "lasts": "1s"}),
    )
    .await;
    assert_eq!(added, Ok(json!({"id": 1})));
    assert!(
        ask(&outside, "fault", json!("dom_dea"))
            .await
            .unwrap_err()
            .contains("dom_dead")
    );
    let refused = ask(
        &outside,
        "fault",
        json!({"fault": "pmt_hrv", "channels": [31]}),
    )
    .await;
    assert!(refused.unwrap_err().contains("expected 0 to 30"));
    let list = ask(&outside, "faults", Value::Null).await.unwrap();
    assert_eq!(list[0]["spec"]["fault"], "source_silent");
    tokio::time::sleep(Duration::from_millis(900)).await;
    let mut batch = VecDeque::new();
    // The fault begins with the first whole frame after the request.
    events.try_batch(&mut batch);
    batch.clear();
    tokio::time::sleep(Duration::from_millis(900)).await;
    assert!(events.try_batch(&mut batch));
    assert_eq!(
        ask(&outside, "clear", json!("all")).await,
        Ok(json!({"cleared": 0}))
    );
    assert!(
        ask(&outside, "dance", Value::Null)
            .await
            .unwrap_err()
            .contains("expected fault")
    );
    let position = ask(&outside, "position", Value::Null).await.unwrap();
    assert_eq!(position["late_steps"], 0);
    stop.cancel();
    service.await.unwrap().unwrap();
}

/// Reads frames until `enough` says so or the stream ends.
async fn read_until(
    stream: &mut TcpStream,
    mut enough: impl FnMut(&fathom_formats::controlhost::Frame) -> bool,
) -> Result<usize, FrameError> {
    let mut splitter = Splitter::new(64 << 20);
    let (mut buffer, mut frames) = (BytesMut::new(), 0);
    loop {
        while let Some(frame) = splitter.take_frame(&mut buffer)? {
            frames += 1;
            if enough(&frame) {
                return Ok(frames);
            }
        }
        let read = stream.read_buf(&mut buffer).await;
        if read.expect("a connection that ends in order") == 0 {
            assert!(buffer.is_empty(), "the last frame is whole");
            return Ok(frames);
        }
    }
}

#[tokio::test]
async fn over_tcp_it_comes_back_after_a_lost_connection_and_after_its_own_bad_frames() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (cx, _outside) = ServiceCx::alone("sim", "unused");
    cx.addresses
        .announce("broker", listener.local_addr().unwrap());
    let stop = cx.stop.clone();
    let oversized = FaultSpec {
        after: Span::from_secs(10),
        every: Span::from_secs(3600),
        ..FaultSpec::of(FaultKind::OversizedFrames)
    };
    let options = FakeDetectorOptions {
        to: "service:broker".to_owned(),
        speed: 50.0,
        faults: vec![oversized],
        ..FakeDetectorOptions::default()
    };
    let service = tokio::spawn(detector(options).run(cx));
    let scene = async {
        let (mut first, _) = listener.accept().await.unwrap();
        let is_slice = |frame: &fathom_formats::controlhost::Frame| frame.tag == tags::IO_SUM;
        assert!(read_until(&mut first, is_slice).await.unwrap() > 19);
        drop(first);
        let (mut second, _) = listener.accept().await.unwrap();
        let error = read_until(&mut second, |_| false).await.unwrap_err();
        assert!(matches!(
            error,
            FrameError::TooLong {
                length: 68_157_440,
                ..
            }
        ));
        drop(second);
        let (mut third, _) = listener.accept().await.unwrap();
        // What waits at the end is still written, and the last frame is whole.
        let frames = read_until(&mut third, |frame| {
            if frame.tag == tags::IO_SUM {
                stop.cancel();
            }
            false
        });
        assert!(frames.await.unwrap() > 1);
    };
    timeout(PATIENCE, scene).await.unwrap();
    timeout(PATIENCE, service).await.unwrap().unwrap().unwrap();
}
