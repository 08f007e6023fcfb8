//! `chatbot` on the websocket of a chat: hears at once, loses nothing, repeats nothing, and says when it
//! polls instead.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fathom_kernel::Command;
use fathom_kernel::view::View;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::PrivateKeyDer;
use serde_json::{Value, json};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use crate::chat::{server, wait_said};
use crate::chatbot::{Person, options};
use crate::rig::{Stack, until};

/// Options of a bot that in the time of a test is told, or hears nothing.
fn told_only(address: &str) -> String {
    options(address).replace("50ms", "1h")
}

/// Opens the websockets of the chat, or cuts and refuses them.
async fn open(stack: &Stack, is_open: bool) {
    let done = stack.ask("chat", "realtime", json!(is_open)).await;
    assert_eq!(done, Ok(Value::Null));
}

/// Waits until the bot hears the chat in a way, for a reason.
async fn wait_hearing(stack: &Stack, by: &str, trouble: Value) {
    let mut hearing = Value::Null;
    for _ in 0..2000 {
        hearing = stack.ask("chatbot", "hearing", Value::Null).await.unwrap();
        if hearing["by"] == by && hearing["trouble"] == trouble {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{hearing}");
}

fn restarts(stack: &Stack) -> usize {
    let commands = stack.commands();
    let restarts = commands
        .iter()
        .filter(|(command, _)| matches!(command, Command::Restart { .. }));
    restarts.count()
}

#[tokio::test]
async fn an_order_over_the_websocket_is_answered_without_waiting_for_a_look() {
    let stack = Stack::live();
    let (server, address) = server(&stack, "127.0.0.1:0").await;
    let bot = stack
        .start("chatbot", "chatbot", &told_only(&address))
        .await;
    let anna = Person::log_in(&address, "anna", "a").await;
    wait_hearing(&stack, "websocket", Value::Null).await;
    let order = anna.say("@bot restart dom_rates").await;
    let said = wait_said(&stack, 2).await;
    assert!(said[1].contains("@anna dom_rates: started"), "{said:?}");
    // Neither is an edited message an order, nor what the bot says itself.
    anna.edit(&order, "@bot restart trigger_rates").await;
    let plain = anna.say("nothing for the bot").await;
    anna.edit(&plain, "@bot restart trigger_rates").await;
    let bots = Person::log_in(&address, "bot", "secret").await;
    bots.say("@bot restart trigger_rates").await;
    anna.say("@bot hello").await;
    let said = wait_said(&stack, 6).await;
    assert_eq!(said[5], "bot: @anna hello @anna");
    assert_eq!(restarts(&stack), 1);
    for running in [bot, server] {
        running.stop().await;
    }
}

#[tokio::test]
async fn a_cut_websocket_loses_no_order_and_repeats_none() {
    let stack = Stack::live();
    let (server, address) = server(&stack, "127.0.0.1:0").await;
    let bot = stack
        .start("chatbot", "chatbot", &told_only(&address))
        .await;
    let anna = Person::log_in(&address, "anna", "a").await;
    wait_hearing(&stack, "websocket", Value::Null).await;
    anna.say("@bot restart before").await;
    wait_said(&stack, 2).await;
    open(&stack, false).await;
    let refused = json!("answer 404 instead of a websocket");
    wait_hearing(&stack, "polling", refused).await;
    anna.say("@bot restart between").await;
    // The server forgets who is logged in, as after a restart.
    stack.ask("chat", "logout", Value::Null).await.unwrap();
    open(&stack, true).await;
    let said = wait_said(&stack, 4).await;
    assert!(said[3].contains("between: started"), "{said:?}");
    wait_hearing(&stack, "websocket", Value::Null).await;
    let anna = Person::log_in(&address, "anna", "a").await;
    anna.say("@bot restart after").await;
    let said = wait_said(&stack, 6).await;
    assert!(said[5].contains("after: started"), "{said:?}");
    assert_eq!(restarts(&stack), 3);
    let bad = bot.counters.snapshot().bad;
    assert_eq!(bad.get("websocket lost"), Some(&1), "{bad:?}");
    assert!(bad.get("websocket refused") >= Some(&2), "{bad:?}");
    for running in [bot, server] {
        running.stop().await;
    }
}

#[tokio::test]
async fn where_a_server_refuses_the_websocket_the_bot_polls_and_says_so() {
    let stack = Stack::live();
    let options_of_chat = "listen = \"127.0.0.1:0\"\nrealtime = false\n\
                           users = { bot = \"secret\", anna = \"a\" }";
    let server = stack.start("chat", "fake_chat", options_of_chat).await;
    let address = stack.addresses.of("chat").unwrap().to_string();
    let bot = stack.start("chatbot", "chatbot", &options(&address)).await;
    let anna = Person::log_in(&address, "anna", "a").await;
    anna.say("@bot hello").await;
    let said = wait_said(&stack, 2).await;
    assert_eq!(said[1], "bot: @anna hello @anna");
    let why = "answer 404 instead of a websocket";
    wait_hearing(&stack, "polling", json!(why)).await;
    until("the page tells", || {
        let shown = stack.board.entry("chatbot_hearing");
        shown.is_some_and(|entry| match &entry.output.view {
            View::Table(table) => table.rows[0][0] == "polling" && table.rows[0][2] == why,
            _ => false,
        })
    })
    .await;
    let bad = bot.counters.snapshot().bad;
    assert!(bad.get("websocket refused") >= Some(&1), "{bad:?}");
    for running in [bot, server] {
        running.stop().await;
    }
}

#[tokio::test]
async fn a_bot_that_is_to_poll_opens_no_websocket() {
    let stack = Stack::live();
    let (server, address) = server(&stack, "127.0.0.1:0").await;
    let polling = format!("{}realtime = false\n", options(&address));
    let bot = stack.start("chatbot", "chatbot", &polling).await;
    let anna = Person::log_in(&address, "anna", "a").await;
    anna.say("@bot hello").await;
    wait_said(&stack, 2).await;
    wait_hearing(&stack, "polling", Value::Null).await;
    assert!(bot.counters.snapshot().bad.is_empty());
    for running in [bot, server] {
        running.stop().await;
    }
}

#[tokio::test]
async fn an_order_was_lost_when_more_was_said_after_it_than_a_server_tells_at_a_time() {
    let stack = Stack::live();
    let (server, address) = server(&stack, "127.0.0.1:0").await;
    let bot = stack
        .start("chatbot", "chatbot", &told_only(&address))
        .await;
    let anna = Person::log_in(&address, "anna", "a").await;
    anna.say("@bot hello").await;
    wait_said(&stack, 2).await;
    bot.stop().await;
    anna.say("@bot restart dom_rates").await;
    for number in 0..250 {
        anna.say(&format!("line {number}")).await;
    }
    let bot = stack
        .start("chatbot", "chatbot", &told_only(&address))
        .await;
    let said = wait_said(&stack, 254).await;
    assert!(said[253].contains("dom_rates: started"), "{}", said[253]);
    assert_eq!(restarts(&stack), 1);
    for running in [bot, server] {
        running.stop().await;
    }
}

/// Stands before a chat with a certificate of its own, as a proxy does; returns its port, the
/// certificate, and the task that it is.
async fn tls_before(address: &str) -> (u16, String, JoinSet<()>) {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let address = address.to_owned();
    let mut proxy = JoinSet::new();
    proxy.spawn(async move {
        let mut connections = JoinSet::new();
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let (acceptor, address) = (acceptor.clone(), address.clone());
            connections.spawn(async move {
                // One who does not trust us hangs up.
                if let Ok(mut client) = acceptor.accept(stream).await {
                    let mut server = TcpStream::connect(address).await.unwrap();
                    copy_bidirectional(&mut client, &mut server).await.ok();
                }
            });
        }
    });
    let text = STANDARD.encode(cert.der());
    let certificate = format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n");
    (port, certificate, proxy)
}

#[tokio::test]
async fn the_websocket_is_encrypted_and_trusts_whom_ca_file_names() {
    let stack = Stack::live();
    let (server, address) = server(&stack, "127.0.0.1:0").await;
    let (port, certificate, _proxy) = tls_before(&address).await;
    let ca_file = stack.folder.path().join("ca.pem");
    std::fs::write(&ca_file, certificate).unwrap();
    let account = told_only(&address).replace(
        &format!("http://{address}"),
        &format!("https://localhost:{port}"),
    );
    let encrypted = format!("{account}ca_file = {ca_file:?}\n");
    let bot = stack.start("chatbot", "chatbot", &encrypted).await;
    wait_hearing(&stack, "websocket", Value::Null).await;
    let anna = Person::log_in(&address, "anna", "a").await;
    anna.say("@bot hello").await;
    let said = wait_said(&stack, 2).await;
    assert_eq!(said[1], "bot: @anna hello @anna");
    for running in [bot, server] {
        running.stop().await;
    }
}
