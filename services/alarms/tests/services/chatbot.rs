//! `chatbot`: heeds exact names, refuses others, leaves a trail, survives restarts.

use std::collections::BTreeMap;

use fathom_kernel::{Command, Severity};
use reqwest::Client;
use serde_json::{Value, json};

use crate::chat::{server, wait_said};
use crate::rig::{Stack, until};

fn client() -> Client {
    // A second one is refused, which does no harm.
    rustls::crypto::ring::default_provider()
        .install_default()
        .ok();
    Client::new()
}

/// Somebody in the channel.
pub(crate) struct Person {
    client: Client,
    address: String,
    id: String,
    token: String,
}

impl Person {
    pub(crate) async fn log_in(address: &str, user: &str, password: &str) -> Self {
        let client = client();
        let url = format!("http://{address}/api/v1/login");
        let login = json!({ "user": user, "password": password });
        let answer = client.post(url).json(&login).send().await.unwrap();
        let answer: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
        let text = |key: &str| answer["data"][key].as_str().unwrap().to_owned();
        Self {
            client,
            address: address.to_owned(),
            id: text("userId"),
            token: text("authToken"),
        }
    }

    /// Says something, and returns the number of the message.
    pub(crate) async fn say(&self, text: &str) -> String {
        let message = json!({ "channel": "#operations", "text": text });
        let answer = self.call("chat.postMessage", &message).await;
        answer["message"]["_id"].as_str().unwrap().to_owned()
    }

    /// Edits a message.
    pub(crate) async fn edit(&self, id: &str, text: &str) {
        let message = json!({ "roomId": "room-operations", "msgId": id, "text": text });
        self.call("chat.update", &message).await;
    }

    async fn call(&self, method: &str, message: &Value) -> Value {
        let url = format!("http://{}/api/v1/{method}", self.address);
        let call = self.client.post(url).json(message);
        let call = call
            .header("X-User-Id", &self.id)
            .header("X-Auth-Token", &self.token);
        let answer = call.send().await.unwrap();
        assert_eq!(answer.status(), 200);
        serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap()
    }
}

pub(crate) fn options(address: &str) -> String {
    format!(
        "url = \"http://{address}\"\nbotname = \"bot\"\npassword = \"secret\"\n\
         channel = \"operations\"\npoll = \"50ms\"\noperators = [\"carl\"]\nshifters = \"anna\"\n"
    )
}

/// Who says what, and what the answer tells.
const TALK: [(&str, &str, &str); 15] = [
    ("ben", "hello", "hello @ben"),
    ("ben", "status", "only shifters and operators may do this"),
    (
        "ben",
        "restart dom_rates",
        "only shifters and operators may do this",
    ),
    ("anna", "status", "alarms"),
    ("anna", "restart dom_rates", "@anna dom_rates: started"),
    (
        "anna",
        "restart no_such",
        "no such service or group: no_such",
    ),
    ("anna", "stop all", "only operators may do this"),
    ("anna", "shifters are ben", "only operators may do this"),
    ("anna", "ack #1", "acknowledged: #1"),
    (
        "anna",
        "mute dom_* for 2h because of the ROV",
        "muted dom_* of * for 2h",
    ),
    (
        "carl",
        "shifters are ben and anna",
        "on shift: ben and anna",
    ),
    ("ben", "who is on shift", "on shift: ben and anna"),
    (
        "ben",
        "alarms",
        "#1 warning muted dom_inactive DU 3 floor 1",
    ),
    ("ben", "unmute dom_*", "no longer muted"),
    ("ben", "stop dom_rates; reboot", "is no service"),
];

#[tokio::test]
async fn orders_from_the_chat_are_obeyed_by_role() {
    let stack = Stack::live();
    let (server, address) = server(&stack, "127.0.0.1:0").await;
    let engine = stack.start("alarms", "alarms", "").await;
    stack.say("dom_inactive", "DU 3 floor 1", Severity::Warning, true);
    let bot = stack.start("chatbot", "chatbot", &options(&address)).await;
    let mut people = BTreeMap::new();
    for (user, password) in [("anna", "a"), ("ben", "b"), ("carl", "c")] {
        people.insert(user, Person::log_in(&address, user, password).await);
    }
    let mut count = 0;
    for (user, text, expected) in TALK {
        people[user].say(&format!("@bot {text}")).await;
        count += 2;
        let said = wait_said(&stack, count).await;
        assert!(said[count - 1].contains(expected), "{text}: {said:?}");
    }
    people["anna"].say("bot status").await;
    people["anna"].say("@botany status").await;
    let commands = stack.commands();
    let restarts = commands
        .iter()
        .filter_map(|(command, caller)| match command {
            Command::Restart { targets, .. } => Some((&*targets[0], caller.to_string())),
            _ => None,
        });
    let restarts: Vec<_> = restarts.collect();
    assert_eq!(restarts[0], ("dom_rates", "anna via chat".to_owned()));
    assert_eq!(restarts.len(), 2, "refused ones never reach the supervisor");
    let audit = stack.ask("chatbot", "audit", Value::Null).await.unwrap();
    let audit = audit.as_array().unwrap();
    assert_eq!(audit.len(), TALK.len());
    assert_eq!(
        audit[1]["result"],
        "refused: only shifters and operators may do this"
    );
    assert_eq!(
        (&audit[1]["user"], &audit[1]["role"]),
        (&json!("ben"), &json!("viewer"))
    );
    for running in [bot, engine, server] {
        running.stop().await;
    }
}

#[tokio::test]
async fn who_is_on_shift_and_what_was_heard_survive_a_restart() {
    let stack = Stack::live();
    let (server, address) = server(&stack, "127.0.0.1:0").await;
    let bot = stack.start("chatbot", "chatbot", &options(&address)).await;
    let carl = Person::log_in(&address, "carl", "c").await;
    carl.say("@bot shifters are ben and anna").await;
    wait_said(&stack, 2).await;
    bot.stop().await;
    let bot = stack.start("chatbot", "chatbot", &options(&address)).await;
    let shifters = stack.ask("chatbot", "shifters", Value::Null).await.unwrap();
    assert_eq!(shifters, json!(["ben", "anna"]));
    carl.say("@bot who").await;
    let said = wait_said(&stack, 4).await;
    assert!(said[3].contains("on shift: ben and anna"), "{said:?}");
    let audit = stack.ask("chatbot", "audit", Value::Null).await.unwrap();
    assert_eq!(
        audit.as_array().unwrap().len(),
        2,
        "nothing is heeded twice"
    );
    until("the trail is shown", || {
        stack.board.entry("chatbot_audit").is_some()
    })
    .await;
    // The server may start anew as well, and numbers its messages from the beginning.
    bot.stop().await;
    server.stop().await;
    let (server, _) = crate::chat::server(&stack, &address).await;
    let bot = stack.start("chatbot", "chatbot", &options(&address)).await;
    let carl = Person::log_in(&address, "carl", "c").await;
    carl.say("@bot who").await;
    let said = wait_said(&stack, 2).await;
    assert!(said[1].contains("on shift: ben and anna"), "{said:?}");
    for running in [bot, server] {
        running.stop().await;
    }
}

#[tokio::test]
async fn a_console_hears_by_requests_and_one_user_cannot_flood() {
    let stack = Stack::live();
    let options = "transport = \"console\"\nbotname = \"bot\"\nper_minute = 3\n";
    let bot = stack.start("chatbot", "chatbot", options).await;
    let say = |user: &'static str, text: &'static str| {
        stack.ask("chatbot", "say", json!({ "user": user, "text": text }))
    };
    for _ in 0..4 {
        say("ben", "@bot help").await.unwrap();
    }
    assert_eq!(say("ben", "help").await.unwrap_err(), "expected @bot first");
    let audit = stack.ask("chatbot", "audit", Value::Null).await.unwrap();
    let results: Vec<bool> = audit
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["result"] == "refused: too many orders in a minute")
        .collect();
    assert_eq!(results, [false, false, false, true]);
    let counters = bot.counters.clone();
    until("all is said", || counters.snapshot().sent >= 4).await;
    bot.stop().await;
}

#[tokio::test]
async fn an_order_of_long_ago_is_not_carried_out() {
    let stack = Stack::new();
    let (server, address) = server(&stack, "127.0.0.1:0").await;
    let bot = stack.start("chatbot", "chatbot", &options(&address)).await;
    let anna = Person::log_in(&address, "anna", "a").await;
    bot.stop().await;
    anna.say("@bot restart dom_rates").await;
    stack.clock.set(crate::rig::at(500));
    let bot = stack.start("chatbot", "chatbot", &options(&address)).await;
    // Without kept state the bot hears only what is said from now on.
    anna.say("@bot who").await;
    let said = wait_said(&stack, 3).await;
    assert!(said[2].contains("on shift: anna"), "{said:?}");
    bot.stop().await;
    // With kept state it hears what was said while it was away, and does not act on old orders.
    anna.say("@bot restart dom_rates").await;
    stack.clock.set(crate::rig::at(1000));
    let bot = stack.start("chatbot", "chatbot", &options(&address)).await;
    let said = wait_said(&stack, 5).await;
    assert!(said[4].contains("say it again"), "{said:?}");
    let commands = stack.commands();
    let is_restart = |(command, _): &(Command, _)| matches!(command, Command::Restart { .. });
    assert!(!commands.iter().any(is_restart));
    bot.stop().await;
    server.stop().await;
}

const TOKEN: &str = "q7o1c9w3s5kdn8e2";

/// Says something as an outgoing webhook does, and returns the status of the answer.
async fn hook(address: &str, media_type: &str, body: impl Into<String>) -> u16 {
    let call = client().post(format!("http://{address}/"));
    let call = call.header("content-type", media_type).body(body.into());
    call.send().await.unwrap().status().as_u16()
}

#[tokio::test]
async fn a_webhook_is_spoken_to_and_heard() {
    const FORM: &str = "application/x-www-form-urlencoded";
    let stack = Stack::live();
    let (server, chat) = server(&stack, "127.0.0.1:0").await;
    let hooks = format!(
        "transport = \"webhook\"\nurl = \"http://{chat}/hooks/operations\"\ntoken = \"{TOKEN}\"\n\
         listen = \"127.0.0.1:0\"\nbotname = \"bot\"\nchannel = \"#operations\"\nshifters = \"anna\"\n"
    );
    let bot = stack.start("chatbot", "chatbot", &hooks).await;
    let at = stack.addresses.of("chatbot").unwrap().to_string();
    let form = |token: &str, channel: &str, id: &str, text: &str| {
        format!(
            "token={token}&team_domain=km3&channel_name={channel}&post_id={id}&user_name=anna\
             &trigger_word=%40bot&text=%40bot+{text}"
        )
    };
    // As Mattermost and Slack say it, also a second time, and as Rocket.Chat does.
    for _ in 0..2 {
        let said = form(TOKEN, "operations", "p1", "restart+dom_rates");
        assert_eq!(hook(&at, FORM, said).await, 200);
    }
    let said = wait_said(&stack, 1).await;
    assert!(said[0].contains("@anna dom_rates: started"), "{said:?}");
    let mut json = json!({
        "token": TOKEN, "bot": false, "channel_id": "GENERAL", "channel_name": "operations",
        "message_id": "m1", "timestamp": "2026-11-01T00:00:00Z", "user_id": "b7", "user_name": "ben",
        "text": "@bot who is on shift",
    });
    let media_type = "application/json; charset=utf-8";
    assert_eq!(hook(&at, media_type, json.to_string()).await, 200);
    let said = wait_said(&stack, 2).await;
    assert!(said[1].contains("on shift: anna"), "{said:?}");
    // Neither another bot, nor another channel, nor somebody without the token is heeded.
    json["bot"] = json!({ "i": "other" });
    assert_eq!(hook(&at, "application/json", json.to_string()).await, 200);
    let other = form(TOKEN, "random", "p2", "stop+dom_rates");
    assert_eq!(hook(&at, FORM, other).await, 200);
    let guessed = form("q7o1c9w3s5kdn8e3", "operations", "p3", "stop+dom_rates");
    assert_eq!(hook(&at, FORM, guessed).await, 403);
    for (media_type, body) in [
        (FORM, "token=x"),
        ("application/json", "[]"),
        ("text/plain", ""),
    ] {
        assert_eq!(hook(&at, media_type, body).await, 400, "{media_type}");
    }
    let long = "x".repeat((1 << 20) + 1);
    assert_eq!(hook(&at, FORM, long).await, 413);
    let last = form(TOKEN, "operations", "p4", "hello");
    assert_eq!(hook(&at, FORM, last).await, 200);
    let said = wait_said(&stack, 3).await;
    assert_eq!(said.len(), 3, "{said:?}");
    let restarts = stack.commands();
    let restarts = restarts
        .iter()
        .filter(|(command, _)| matches!(command, Command::Restart { .. }));
    assert_eq!(restarts.count(), 1);
    for running in [bot, server] {
        running.stop().await;
    }
}

#[test]
fn a_webhook_that_anybody_could_use_is_refused() {
    let wrong = |extra: &str| {
        let options =
            format!("botname = \"bot\"\ntransport = \"webhook\"\nurl = \"http://a/\"\n{extra}");
        let options = toml::de::DeTable::parse(options.leak()).unwrap();
        let kinds = fathom_alarms::KINDS;
        let kind = kinds.iter().find(|kind| kind.name == "chatbot").unwrap();
        let refused = (kind.parse)(options, &fathom_kernel::Setup::default());
        refused.err().unwrap().to_string()
    };
    assert!(wrong("token = \"0123456789abcdef\"").contains("channel is empty"));
    let short = wrong("channel = \"operations\"\ntoken = \"short\"");
    assert!(short.contains("token has 5 characters"), "{short}");
}
