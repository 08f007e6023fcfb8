//! What the senses go on looking at when the plan changes.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use fathom_kernel::view::Scalar;
use fathom_kernel::{Alarm, Event, Filter, Frame, Limits, Output, Severity, Timestamp, tags};

use serde_json::json;

use super::*;
use crate::config::{Origin, load};

fn plan(name: &str, out: &str) -> Plan {
    let text = format!(
        "[service.{name}]\ncommand = \"true\"\n\
         flow = [{{ out = \"{out}\", max_age = \"3s\" }}]\n"
    );
    let origin = Origin {
        file: "test.toml".into(),
        text: Some(text),
        ..Origin::default()
    };
    match load(&origin) {
        Ok(loaded) => loaded.plan,
        Err(report) => panic!("{}", report.render(false)),
    }
}

fn senses() -> Senses {
    let bus = Bus::new();
    Senses::new(Places {
        board: Board::new(bus.clone()),
        records: Records::new(bus.clone()),
        bus,
        heartbeats: Heartbeats::default(),
        data_dir: ".".into(),
    })
}

fn frame() -> Frame {
    Frame {
        source: "x".into(),
        tag: tags::IO_EVT,
        received: Timestamp::UNIX_EPOCH,
        body: Default::default(),
    }
}

/// A broker that counts how often it is asked.
fn broker(asked: &Arc<AtomicU64>) -> Asker {
    let asked = asked.clone();
    Arc::new(move |_| {
        let count = asked.fetch_add(1, Relaxed);
        Box::pin(async move { Some(json!([{ "tag": "IO_SUM", "received": count }])) })
    })
}

#[tokio::test]
async fn a_broker_that_was_removed_and_added_again_is_asked_and_not_the_one_before() {
    let (plan, mut senses) = (plan("reader", "tag:IO_SUM"), senses());
    let asked: [Arc<AtomicU64>; 3] = Default::default();
    let name: Arc<str> = "ligier".into();
    // In the second round the keeper is still the same, in the third it is another one.
    for (asked, lives_on) in asked.iter().zip([false, true, false]) {
        let mut heirs = Heirs::default();
        if lives_on {
            heirs.put(name.clone(), name.clone());
        }
        let brokers = std::iter::once((name.clone(), broker(asked)));
        senses.look_at((&plan, &heirs), brokers);
        senses.ask(Instant::now()).await;
    }
    // Two questions a round: its tags and its clients.
    assert_eq!(asked.map(|asked| asked.load(Relaxed)), [4, 0, 2]);
}

#[tokio::test]
async fn a_tag_that_comes_over_the_bus_flows_beside_a_broker_that_never_saw_it() {
    let name = Arc::from("reader");
    for (tag, expected) in [
        // The broker counts IO_SUM, and nothing else.
        ("tag:IO_EVT", [Mark::Count(0), Mark::Count(1)]),
        ("tag:IO_SUM", [Mark::Both(0, 0), Mark::Both(2, 1)]),
    ] {
        let (plan, mut senses) = (plan("reader", tag), senses());
        let brokers = std::iter::once((Arc::from("ligier"), broker(&Arc::default())));
        senses.look_at((&plan, &Heirs::default()), brokers);
        let bus = senses.places.bus.clone();
        let _queue = bus.subscribe(&name, Filter::all_frames(), Limits::default());
        let mut marks = Vec::new();
        for frames in [0, 1] {
            for _ in 0..frames {
                bus.publish(Event::Frame(frame()));
            }
            senses.ask(Instant::now()).await;
            senses.gather(Instant::now(), HashMap::new());
            let names = Names {
                name: &name,
                alias: None,
            };
            marks.extend(senses.source(names, &tag.parse().unwrap(), Side::In).mark);
        }
        assert_eq!(marks, expected, "{tag}");
    }
}

#[tokio::test]
async fn what_was_started_under_another_name_is_read_by_that_name() {
    let (name, alias) = (Arc::from("b:x"), Arc::from("a:x"));
    let plan = plan("x", "bus:alarm");
    let mut senses = senses();
    senses.look_at((&plan, &Heirs::default()), std::iter::empty());
    let (bus, board) = (senses.places.bus.clone(), senses.places.board.clone());
    let _queue = bus.subscribe(&alias, Filter::all_frames(), Limits::default());
    let value = Scalar {
        value: 1.0,
        unit: "Hz".into(),
    };
    let at = Timestamp::UNIX_EPOCH;
    board.put(&alias, Output::new("rate", "t", value), at);
    bus.publish(Event::Alarm(Alarm {
        service: alias.to_string(),
        rule: String::new(),
        subject: String::new(),
        severity: Severity::Warning,
        firing: true,
        text: String::new(),
        at,
    }));
    senses.gather(Instant::now(), HashMap::new());
    let read = |alias, out: &str| {
        let names = Names { name: &name, alias };
        senses.source(names, &out.parse().unwrap(), Side::Out).mark
    };
    for out in ["queue", "metric:rate", "bus:alarm"] {
        let (without, with) = (read(None, out), read(Some(&*alias), out));
        assert!(with.is_some() && with != without, "{out}: {with:?}");
    }
}
