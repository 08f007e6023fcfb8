//! `alarm_chat`: messages reach a channel and a webhook, through outages and lost log-ins.

use fathom_kernel::{Severity, Topic};
use serde_json::{Value, json};

use crate::rig::{QUICK, Running, Stack, notices, until};

/// Starts the chat server at an address and returns where it listens.
pub(crate) async fn server(stack: &Stack, listen: &str) -> (Running, String) {
    let options = format!(
        "listen = \"{listen}\"\nusers = {{ bot = \"secret\", anna = \"a\", ben = \"b\", carl = \"c\" }}"
    );
    let server = stack.start("chat", "fake_chat", &options).await;
    let address = stack.addresses.of("chat").unwrap().to_string();
    (server, address)
}

/// Returns what was said in the channel, as `user: text`.
pub(crate) async fn said(stack: &Stack) -> Vec<String> {
    let said = stack.ask("chat", "messages", Value::Null).await.unwrap();
    let text = |message: &Value, key: &str| message[key].as_str().unwrap().to_owned();
    let said = said.as_array().unwrap().iter();
    said.map(|message| format!("{}: {}", text(message, "user"), text(message, "text")))
        .collect()
}

/// Waits until so many messages were said.
pub(crate) async fn wait_said(stack: &Stack, count: usize) -> Vec<String> {
    for _ in 0..1000 {
        let said = said(stack).await;
        if said.len() >= count {
            return said;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("only {:?}", said(stack).await);
}

fn account(address: &str) -> String {
    format!(
        "url = \"http://{address}/\"\nbotname = \"bot\"\npassword = \"secret\"\nchannel = \"#operations\"\n"
    )
}

#[tokio::test]
async fn an_alarm_is_said_in_the_channel_also_after_the_log_in_is_lost() {
    let stack = Stack::live();
    let (server, address) = server(&stack, "127.0.0.1:0").await;
    let engine = stack.start("alarms", "alarms", "calm = \"0s\"").await;
    let options = format!("{}{QUICK}", account(&address));
    let sink = stack.start("alarm_chat", "alarm_chat", &options).await;
    stack.say("trigger_rate_zero", "Overall", Severity::Alert, true);
    wait_said(&stack, 1).await;
    stack.ask("chat", "logout", Value::Null).await.unwrap();
    stack.say("trigger_rate_zero", "Overall", Severity::Alert, false);
    let said = wait_said(&stack, 2).await;
    let expected = "bot: [alert] trigger_rate_zero of Overall (trigger_rate_zero, Overall, #1)";
    assert_eq!(said[0], expected);
    assert!(said[1].starts_with("bot: [resolved] "), "{said:?}");
    for running in [sink, engine, server] {
        running.stop().await;
    }
}

#[tokio::test]
async fn a_storm_during_an_outage_is_one_message_when_the_chat_is_back() {
    let stack = Stack::live();
    let (first, address) = server(&stack, "127.0.0.1:0").await;
    first.stop().await;
    let engine = stack.start("alarms", "alarms", "").await;
    let options = format!("{}{QUICK}", account(&address));
    let sink = stack.start("alarm_chat", "alarm_chat", &options).await;
    for dom in 0..300 {
        stack.say(
            "dom_inactive",
            &format!("DOM {dom}"),
            Severity::Warning,
            true,
        );
    }
    let counters = sink.counters.clone();
    let bad = || counters.snapshot().bad.get("message not sent").copied();
    until("it is tried twice", || bad() >= Some(2)).await;
    let (server, _) = server(&stack, &address).await;
    let said = wait_said(&stack, 1).await;
    assert!(
        said[0].contains("... and 280 more of dom_inactive"),
        "{said:?}"
    );
    let queue = wait_sent(&stack, 300).await;
    assert_eq!(queue["dropped"], json!(0));
    for running in [sink, engine, server] {
        running.stop().await;
    }
}

#[tokio::test]
async fn a_webhook_takes_alarms_too() {
    let stack = Stack::live();
    let (server, address) = server(&stack, "127.0.0.1:0").await;
    let engine = stack.start("alarms", "alarms", "").await;
    let url = format!("url = \"http://{address}/hooks/operations\"");
    let options = format!("transport = \"webhook\"\n{url}\n{QUICK}");
    let sink = stack.start("alarm_chat", "alarm_chat", &options).await;
    let by = json!({ "by": "anna" });
    stack.ask("alarms", "test", by).await.unwrap();
    let said = wait_said(&stack, 1).await;
    assert!(
        said[0].starts_with("webhook: [alert] anna tries"),
        "{said:?}"
    );
    for running in [sink, engine, server] {
        running.stop().await;
    }
}

#[tokio::test]
async fn a_channel_is_found_among_more_than_a_server_lists() {
    let stack = Stack::live();
    let channels: Vec<String> = (0..80).map(|number| format!("channel{number}")).collect();
    let options = format!("listen = \"127.0.0.1:0\"\nchannels = {channels:?}");
    let server = stack.start("chat", "fake_chat", &options).await;
    let address = stack.addresses.of("chat").unwrap().to_string();
    let engine = stack.start("alarms", "alarms", "").await;
    let account = |channel| account(&address).replace("operations", channel);
    let there = format!("{}{QUICK}", account("channel79"));
    let not_there = format!("{}{QUICK}", account("channel80"));
    let sink = stack.start("alarm_chat", "alarm_chat", &there).await;
    let other = stack.start("other", "alarm_chat", &not_there).await;
    stack.say("r", "s", Severity::Alert, true);
    wait_said(&stack, 1).await;
    let counters = other.counters.clone();
    until("the other fails", || {
        counters.snapshot().bad.contains_key("message not sent")
    })
    .await;
    let queue = stack.ask("other", "queue", Value::Null).await.unwrap();
    let expected = "no channel channel80, or the account is not in it";
    assert_eq!(queue["trouble"], expected);
    for running in [sink, other, engine, server] {
        running.stop().await;
    }
}

#[tokio::test]
async fn a_wrong_password_is_told_and_nothing_is_lost() {
    let stack = Stack::live();
    let (server, address) = server(&stack, "127.0.0.1:0").await;
    let engine = stack.start("alarms", "alarms", "").await;
    let options = format!("{}{QUICK}", account(&address)).replace("secret", "wrong");
    let sink = stack.start("alarm_chat", "alarm_chat", &options).await;
    let mut told = stack.follow(Topic::Notice);
    stack.say("r", "s", Severity::Alert, true);
    // The other sinks tell that this one cannot.
    let notices = notices(&mut told, 2).await;
    let failing = &notices[1];
    assert_eq!(
        (&*failing.rule, &*failing.subject),
        ("sink_failing", "alarm_chat")
    );
    let expected = "alarm_chat cannot send, 1 notices wait: log-in as bot refused";
    assert_eq!(failing.text, expected);
    let ask = async || {
        stack
            .ask("alarm_chat", "conditions", Value::Null)
            .await
            .unwrap()
    };
    let held = ask().await;
    assert_eq!(
        (held.as_array().unwrap().len(), &held[0]["firing"]),
        (1, &json!(true))
    );
    // It still is after a restart, before anything is tried.
    sink.stop().await;
    let sink = stack.start("alarm_chat", "alarm_chat", &options).await;
    assert_eq!(ask().await[0]["rule"], "sink_failing");
    until_trouble(&stack).await;
    let queue = stack.ask("alarm_chat", "queue", Value::Null).await.unwrap();
    assert_eq!(queue["trouble"], "log-in as bot refused");
    assert_eq!(queue["waiting"], 1);
    for running in [sink, engine, server] {
        running.stop().await;
    }
}

/// Somebody waited for a message that the hourly limit kept back, which only the sink's own table said.
#[tokio::test]
async fn what_the_hourly_limit_keeps_back_was_only_said_in_the_sinks_own_table() {
    let stack = Stack::new();
    let (server, address) = server(&stack, "127.0.0.1:0").await;
    let engine = stack.start("alarms", "alarms", "calm = \"0s\"").await;
    let options = format!("{}{QUICK}per_hour = 1\n", account(&address));
    let sink = stack.start("alarm_chat", "alarm_chat", &options).await;
    let mut told = stack.follow(Topic::Notice);
    stack.say("r", "first", Severity::Warning, true);
    wait_said(&stack, 1).await;
    stack.say("r", "second", Severity::Warning, true);
    let notices = notices(&mut told, 3).await;
    let about = |notice: &fathom_kernel::Notice| (notice.rule.clone(), notice.subject.clone());
    let holding = ("sink_holding".to_owned(), "alarm_chat".to_owned());
    assert!(
        notices.iter().any(|notice| about(notice) == holding),
        "{notices:?}"
    );
    let note = sink.counters.snapshot().note.unwrap();
    assert!(note.starts_with("keeps 1 notices back until "), "{note}");
    let held = stack
        .ask("alarm_chat", "conditions", Value::Null)
        .await
        .unwrap();
    assert_eq!(held[0]["rule"], "sink_holding");
    // It is no message of its own, and ends with what it tells of.
    stack.clock.set(crate::rig::at(3601));
    let said = wait_said(&stack, 2).await;
    assert!(said[1].contains("r of second"), "{said:?}");
    until("it keeps nothing back", || {
        sink.counters.snapshot().note.is_none()
    })
    .await;
    let held = stack
        .ask("alarm_chat", "conditions", Value::Null)
        .await
        .unwrap();
    assert_eq!(held, json!([]));
    let queue = wait_sent(&stack, 2).await;
    assert_eq!(queue["waiting"], json!(0));
    for running in [sink, engine, server] {
        running.stop().await;
    }
}

/// Waits until the sink knows that so many notices are away: the chat has them a little before.
async fn wait_sent(stack: &Stack, count: u64) -> Value {
    let mut queue = Value::Null;
    for _ in 0..1000 {
        queue = stack.ask("alarm_chat", "queue", Value::Null).await.unwrap();
        if queue["sent"] == count {
            return queue;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("not {count} sent: {queue}");
}

/// Waits until something was tried in vain.
async fn until_trouble(stack: &Stack) {
    for _ in 0..1000 {
        let queue = stack.ask("alarm_chat", "queue", Value::Null).await.unwrap();
        if !queue["trouble"].is_null() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("nothing was tried");
}

#[tokio::test]
async fn a_new_sink_never_told_what_had_fired_for_a_quarter_of_an_hour() {
    let stack = Stack::new();
    let (server, address) = server(&stack, "127.0.0.1:0").await;
    let engine = stack
        .start("alarms", "alarms", "calm = \"0s\"\nconfirm_within = \"1d\"")
        .await;
    let mut told = stack.follow(Topic::Notice);
    stack.say("r", "over", Severity::Warning, true);
    stack.say("r", "over", Severity::Warning, false);
    stack.say("r", "still", Severity::Warning, true);
    notices(&mut told, 3).await;
    stack.clock.set(crate::rig::at(900));
    let options = format!("{}{QUICK}", account(&address));
    let sink = stack.start("alarm_chat", "alarm_chat", &options).await;
    let said = wait_said(&stack, 1).await;
    assert!(
        said[0].contains("r of still") && !said[0].contains("over"),
        "{said:?}"
    );
    for running in [sink, engine, server] {
        running.stop().await;
    }
}
