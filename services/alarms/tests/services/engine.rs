//! Kind `alarms`: conditions become notices and tables, orders are obeyed, restarts forget nothing.

use fathom_kernel::view::View;
use fathom_kernel::{Notice, Severity, Stage, Topic};
use serde_json::{Value, json};

use crate::rig::{Stack, at, condition, notices, service, until};

fn told(notices: &[Notice]) -> Vec<(String, Stage)> {
    let told = notices
        .iter()
        .map(|n| (format!("{} {}", n.rule, n.subject), n.to));
    told.collect()
}

fn rows(stack: &Stack, name: &str) -> Vec<Vec<Value>> {
    match stack
        .board
        .entry(name)
        .map(|entry| entry.output.view.clone())
    {
        Some(View::Table(table)) => table.rows,
        _ => Vec::new(),
    }
}

#[tokio::test(start_paused = true)]
async fn a_condition_becomes_a_notice_and_rows_of_both_tables() {
    let stack = Stack::new();
    let mut from = stack.follow(Topic::Notice);
    let engine = stack.start("alarms", "alarms", "").await;
    stack.say("dom_inactive", "DU 1 floor 2", Severity::Warning, true);
    let first = notices(&mut from, 1).await.remove(0);
    assert_eq!(
        (first.entry, first.from, first.to),
        (1, Stage::Ok, Stage::Firing)
    );
    until("the tables show it", || {
        rows(&stack, "alarm_history").len() == 1
    })
    .await;
    assert_eq!(
        rows(&stack, "alarms")[0][..5],
        json!([1, "warning", "firing", "dom_inactive", "DU 1 floor 2"])
            .as_array()
            .unwrap()[..]
    );
    stack.say("dom_inactive", "DU 1 floor 2", Severity::Warning, false);
    // Answered after what was said before.
    stack.ask("alarms", "list", Value::Null).await.unwrap();
    stack.clock.set(at(11));
    let last = notices(&mut from, 1).await.remove(0);
    assert_eq!((last.entry, last.id, last.to), (2, 1, Stage::Resolved));
    until("the newest change is on top", || {
        rows(&stack, "alarm_history")[0][0] == 2
    })
    .await;
    engine.stop().await;
}

#[tokio::test(start_paused = true)]
async fn orders_are_obeyed_and_kept_over_a_restart() {
    let stack = Stack::new();
    let mut from = stack.follow(Topic::Notice);
    let engine = stack.start("alarms", "alarms", "").await;
    stack.say("a", "x", Severity::Alert, true);
    stack.say("b", "x", Severity::Alert, true);
    notices(&mut from, 2).await;
    let by = json!({ "rule": "a", "by": "anna" });
    let answer = stack.ask("alarms", "acknowledge", by).await.unwrap();
    assert_eq!(answer["alarms"], json!([1]));
    let mute = json!({ "rule": "b", "for": "1h", "by": "anna", "reason": "repair" });
    stack.ask("alarms", "mute", mute).await.unwrap();
    let changes = notices(&mut from, 2).await;
    let expected = [
        ("a x".into(), Stage::Acknowledged),
        ("b x".into(), Stage::Muted),
    ];
    assert_eq!(told(&changes), expected);
    assert_eq!(changes[1].until, Some(at(3600)));
    engine.stop().await;

    // The monitor is there all the time and is asked what holds; nothing is told again.
    let held = json!([
        condition("a", "x", Severity::Alert, true),
        condition("b", "x", Severity::Alert, true),
        condition("c", "x", Severity::Info, true)
    ]);
    stack.others(&[service("m", "RUNNING", 1)]);
    stack.answers("m", "conditions", held);
    let engine = stack.start("alarms", "alarms", "").await;
    let missed = notices(&mut from, 1).await;
    assert_eq!(told(&missed), [("c x".into(), Stage::Firing)]);
    let list = stack.ask("alarms", "list", Value::Null).await.unwrap();
    let stages: Vec<&Value> = list["alarms"]
        .as_array()
        .unwrap()
        .iter()
        .map(|a| &a["stage"])
        .collect();
    assert_eq!(stages, ["acknowledged", "muted", "firing"]);
    let rest = json!({ "after": 3 });
    let rest = stack.ask("alarms", "history", rest).await.unwrap();
    assert_eq!(
        (rest["notices"].as_array().unwrap().len(), &rest["last"]),
        (2, &json!(5))
    );
    // The mute ends.
    stack.clock.set(at(3601));
    let after = notices(&mut from, 1).await;
    assert_eq!(told(&after), [("b x".into(), Stage::Firing)]);
    engine.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_service_that_fails_for_good_is_an_alarm_and_a_condition_for_all_to_see() {
    let stack = Stack::new();
    let mut from = stack.follow(Topic::Notice);
    let mut conditions = stack.follow(Topic::Alarm);
    stack.others(&[service("m", "FATAL", 3)]);
    let engine = stack.start("alarms", "alarms", "").await;
    let first = notices(&mut from, 1).await;
    assert_eq!(told(&first), [("service_fatal m".into(), Stage::Firing)]);
    let mut batch = std::collections::VecDeque::new();
    assert!(conditions.recv_batch(&mut batch).await);
    assert_eq!(batch.len(), 1, "once, however often it is looked at");
    stack.others(&[service("m", "RUNNING", 4)]);
    stack.clock.set(at(60));
    batch.clear();
    until("the engine sees it", || conditions.try_batch(&mut batch)).await;
    stack.clock.set(at(90));
    let last = notices(&mut from, 1).await;
    assert_eq!(told(&last), [("service_fatal m".into(), Stage::Resolved)]);
    engine.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_test_notice_goes_out_and_leaves_no_alarm() {
    let stack = Stack::new();
    let mut from = stack.follow(Topic::Notice);
    let engine = stack.start("alarms", "alarms", "").await;
    for _ in 0..2 {
        stack
            .ask("alarms", "test", json!({ "by": "anna" }))
            .await
            .unwrap();
        let notice = notices(&mut from, 1).await.remove(0);
        assert_eq!((&*notice.rule, notice.to), ("test", Stage::Firing));
    }
    let refused = stack
        .ask(
            "alarms",
            "acknowledge",
            json!({ "rule": "*", "by": "anna" }),
        )
        .await;
    assert_eq!(refused.unwrap_err(), "no alarm that fires is meant");
    engine.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_may_be_silent_is_switched_off_by_a_rule() {
    let stack = Stack::new();
    let mut conditions = stack.follow(Topic::Alarm);
    let mut broker = service("ligier", "RUNNING", 1);
    broker["kind"] = json!("ligier");
    let mut public = broker.clone();
    public["name"] = json!("public");
    stack.others(&[broker, public]);
    let rules = r#"rules = [{ rule = "broker_silent", subject = "public", enabled = false }]"#;
    let engine = stack.start("alarms", "alarms", rules).await;
    let mut batch = std::collections::VecDeque::new();
    for second in 1.. {
        stack.clock.set(at(second * 10));
        tokio::time::sleep(std::time::Duration::from_secs(6)).await;
        if conditions.try_batch(&mut batch) {
            break;
        }
    }
    let silent: Vec<_> = batch
        .iter()
        .map(|event| match &**event {
            fathom_kernel::Event::Alarm(alarm) => &*alarm.subject,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(silent, ["ligier"]);
    engine.stop().await;
}
