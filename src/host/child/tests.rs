use fathom_kernel::tags;

use super::*;

fn hello() -> Hello {
    Hello {
        name: "a:b".to_owned(),
        kind: "none".to_owned(),
        options: String::new(),
        data_dir: std::env::temp_dir(),
        config_dir: std::env::temp_dir(),
        detector: None,
        level: "info".to_owned(),
    }
}

fn link(waiting_max: usize) -> (Link, Outbox) {
    let (up, waiting) = mpsc::channel(waiting_max);
    let (interest, wanted) = watch::channel(Vec::new());
    let link = Link {
        up,
        interest,
        bytes: Arc::default(),
        counters: Arc::default(),
        told: Mutex::default(),
    };
    let outbox = Outbox {
        waiting,
        wanted,
        bytes: link.bytes.clone(),
    };
    (link, outbox)
}

#[tokio::test]
async fn what_is_wanted_is_heard_however_much_waits() {
    let (link, outbox) = link(2);
    for _ in 0..2 {
        let message = encode(&Up::Ready).unwrap();
        link.up.try_send((message, false)).unwrap();
    }
    link.interest(vec![Filter::all_frames()]);
    let newest = vec![Filter::frames([tags::MSG])];
    link.interest(newest.clone());
    drop(link);
    let (ours, theirs) = UnixStream::pair().unwrap();
    let (_keep, to) = ours.into_split();
    outbox.write(BufWriter::new(to)).await;
    let mut from = FramedRead::new(theirs, codec());
    let first = from.next().await.unwrap().unwrap();
    let Received::Message(Up::Interest(heard)) = decode(first.freeze()).unwrap() else {
        panic!("not what is wanted");
    };
    assert_eq!(heard, newest);
}

#[tokio::test]
async fn losses_at_the_other_end_are_stamped_on_outputs_and_reported_once() {
    let (link, _outbox) = link(16);
    let counters = link.counters.clone();
    let (cx, mut ends) = context(&hello(), None, link, counters);
    let (up, _upward) = mpsc::channel(16);
    cx.counters.dropped(1, 10);
    for messages in [5, 5, 7] {
        let bytes = messages * 100;
        let lost = Received::Message(Down::Lost(Lost { messages, bytes }));
        ends.take(lost, &up).await;
    }
    let seen = cx.counters.snapshot();
    assert_eq!((seen.dropped, seen.dropped_bytes), (8, 710));
    let own = ends.own_counters();
    assert_eq!((own.dropped, own.dropped_bytes), (1, 10));
}
