//! Conversations with a server that is a script, over a pipe and with a clock that needs no waiting.

use serde_json::json;
use tokio::io::DuplexStream;
use tokio::time::Instant;

use super::*;

/// Bytes that are on their way at most.
const PIPE_BYTES: usize = 64 << 10;

/// The server.
struct Peer(WebSocketStream<DuplexStream>);

async fn pair() -> (Talk<DuplexStream>, Peer) {
    let (here, there) = tokio::io::duplex(PIPE_BYTES);
    let socket = WebSocketStream::from_raw_socket(here, Role::Client, Some(limits())).await;
    let talk = Talk {
        socket,
        room: "r1".to_owned(),
        counters: Arc::default(),
    };
    let peer = WebSocketStream::from_raw_socket(there, Role::Server, None).await;
    (talk, Peer(peer))
}

impl Peer {
    async fn says(&mut self, words: Value) {
        self.0.send(Frame::text(words.to_string())).await.unwrap();
    }

    async fn hears(&mut self) -> Value {
        loop {
            if let Frame::Text(text) = self.0.next().await.unwrap().unwrap() {
                return serde_json::from_str(&text).unwrap();
            }
        }
    }

    /// Closes the websocket as the protocol wants it.
    async fn leaves(mut self) {
        self.0.close(None).await.unwrap();
        while self.0.next().await.is_some_and(|frame| frame.is_ok()) {}
    }

    /// Takes a client in, and says things before each answer.
    async fn welcomes(&mut self, before: &[Frame]) {
        for (method, answer) in [
            ("connect", json!({ "msg": "connected", "session": "s" })),
            (
                "method",
                json!({ "msg": "result", "id": "log-in", "result": {} }),
            ),
            ("sub", json!({ "msg": "ready", "subs": ["messages"] })),
        ] {
            assert_eq!(self.hears().await["msg"], method);
            for frame in before {
                self.0.send(frame.clone()).await.unwrap();
            }
            self.says(answer).await;
        }
    }

    async fn tells(&mut self, number: usize) {
        let message = json!({
            "_id": format!("m{number}"), "msg": "@bot status", "ts": { "$date": 1_790_000_000_000_u64 },
            "u": { "username": "anna" },
        });
        let fields = json!({ "eventName": "r1", "args": [message] });
        let collection = "stream-room-messages";
        self.says(json!({ "msg": "changed", "collection": collection, "fields": fields }))
            .await;
    }
}

/// Listens until the end, and counts the messages.
async fn listen(mut talk: Talk<DuplexStream>) -> (usize, LineError) {
    let (tell, mut news) = mpsc::channel(NEWS_MAX);
    let counting = async {
        let mut said = 0;
        while let Some(news) = news.recv().await {
            said += usize::from(matches!(news, News::Said(_)));
        }
        said
    };
    let holding = async {
        let Err(error) = match talk.begin("t0ken").await {
            Ok(()) => talk.pass_on(&tell).await,
            Err(error) => Err(error),
        };
        drop(tell);
        error
    };
    tokio::join!(counting, holding)
}

#[tokio::test(start_paused = true)]
async fn garbage_is_counted_and_passed_over() {
    let (talk, mut peer) = pair().await;
    let counters = talk.counters.clone();
    let garbage = [
        Frame::text("no JSON"),
        Frame::text(r#"{"msg":5}"#),
        Frame::text(r#"{"server_id":"0"}"#),
        Frame::binary(vec![0, 159, 146, 150]),
        Frame::Ping(vec![1].into()),
    ];
    let serving = async {
        peer.welcomes(&garbage).await;
        for number in 0..3 {
            for frame in &garbage {
                peer.0.send(frame.clone()).await.unwrap();
            }
            peer.tells(number).await;
        }
        peer.leaves().await;
    };
    let ((said, error), ()) = tokio::join!(listen(talk), serving);
    assert_eq!((said, error), (3, LineError::Closed));
    let bad = counters.snapshot().bad;
    // Three in each answer, and three before each message.
    assert_eq!(bad.get("websocket message not read"), Some(&18));
}

#[tokio::test(start_paused = true)]
async fn a_question_whether_we_are_there_is_answered() {
    let (talk, mut peer) = pair().await;
    let serving = async {
        peer.welcomes(&[]).await;
        peer.says(json!({ "msg": "ping" })).await;
        assert_eq!(peer.hears().await, json!({ "msg": "pong" }));
        peer.says(json!({ "msg": "ping", "id": "7" })).await;
        assert_eq!(peer.hears().await, json!({ "msg": "pong", "id": "7" }));
        peer.leaves().await;
    };
    let ((_, error), ()) = tokio::join!(listen(talk), serving);
    assert_eq!(error, LineError::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_dead_connection_is_noticed_and_a_quiet_one_is_kept() {
    let (talk, mut peer) = pair().await;
    let begun = Instant::now();
    let serving = async {
        peer.welcomes(&[]).await;
        for _ in 0..3 {
            assert_eq!(peer.hears().await, json!({ "msg": "ping" }));
            peer.says(json!({ "msg": "pong" })).await;
        }
        // Open, but dead: the last question has no answer.
        assert_eq!(peer.hears().await, json!({ "msg": "ping" }));
        peer
    };
    let ((_, error), _peer) = tokio::join!(listen(talk), serving);
    assert_eq!(error, LineError::Silent);
    assert_eq!(begun.elapsed(), 5 * QUIET_MAX);
}

#[tokio::test(start_paused = true)]
async fn a_message_that_is_too_long_ends_the_connection_unread() {
    let (talk, mut peer) = pair().await;
    let serving = async {
        peer.welcomes(&[]).await;
        let long = Frame::text("x".repeat(FRAME_BYTES_MAX + 1));
        // Nobody reads to its end.
        peer.0.send(long).await.unwrap_err();
    };
    let ((said, error), ()) = tokio::join!(listen(talk), serving);
    assert_eq!((said, error), (0, LineError::TooLong(FRAME_BYTES_MAX + 1)));
}

#[tokio::test(start_paused = true)]
async fn a_server_is_made_to_wait_by_one_who_does_not_listen() {
    let (mut talk, mut peer) = pair().await;
    let (tell, mut news) = mpsc::channel(NEWS_MAX);
    let many = 20 * NEWS_MAX;
    let serving = async {
        peer.welcomes(&[]).await;
        for number in 0..many {
            peer.tells(number).await;
        }
        peer
    };
    tokio::pin!(serving);
    let holding = async move {
        talk.begin("t0ken").await?;
        talk.pass_on(&tell).await
    };
    tokio::pin!(holding);
    // Nobody takes the news: the server cannot say everything.
    tokio::select! {
        _ = &mut serving => panic!("all was taken"),
        _ = &mut holding => panic!("it ends"),
        () = tokio::time::sleep(QUIET_MAX / 2) => {}
    }
    assert_eq!(news.len(), NEWS_MAX);
    let listening = async {
        assert!(matches!(news.recv().await, Some(News::Opened)));
        for _ in 0..many {
            assert!(matches!(news.recv().await, Some(News::Said(_))));
        }
    };
    tokio::select! {
        _ = async { tokio::join!(listening, serving) } => {}
        _ = holding => panic!("it ends"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_told_with_its_reason() {
    let refusal = json!({ "error": 403, "reason": "You are not in the room" });
    let cases = [
        (
            0,
            json!({ "msg": "failed", "version": "pre1" }),
            LineError::OtherVersion,
        ),
        (
            1,
            json!({ "msg": "result", "id": "log-in", "error": refusal }),
            LineError::LogIn("You are not in the room".to_owned()),
        ),
        (
            2,
            json!({ "msg": "nosub", "id": "messages", "error": refusal }),
            LineError::Subscription("You are not in the room".to_owned()),
        ),
    ];
    for (step, answer, expected) in cases {
        let (talk, mut peer) = pair().await;
        let steps = [
            json!({ "msg": "connected", "session": "s" }),
            json!({ "msg": "result", "id": "log-in", "result": {} }),
        ];
        let serving = async {
            for answer in &steps[..step] {
                peer.hears().await;
                peer.says(answer.clone()).await;
            }
            peer.hears().await;
            peer.says(answer).await;
            peer
        };
        let ((_, error), _peer) = tokio::join!(listen(talk), serving);
        assert_eq!((error.reason(), &error), ("websocket refused", &expected));
    }
}
