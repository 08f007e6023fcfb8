//! What is drawn, and what keys do, without a terminal or a supervisor.

use std::time::Duration;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use fathom_kernel::{
    Health, Hold, Outcome, ServiceStatus, StackStatus, State as Life, SubscriberStatus, Timestamp,
    Verdict,
};
use ratatui::Terminal;
use ratatui::backend::TestBackend;

use super::draw::draw;
use super::figures::Sample;
use super::keys::Wish;
use super::orders::{Order, Verb};
use super::state::{Mode, News, State};
use crate::control::{Usage, UsageReport};

/// One hour, five minutes and nine seconds after the stack was started.
const NOW_S: i64 = 3909;

fn service(name: &str, life: Life, health: Health) -> ServiceStatus {
    let text = serde_json::json!({
        "name": name, "group": name.split(':').next(), "kind": "dom_rates", "run": "actor",
        "state": life, "description": "actor, uptime 1:05:00", "want": "up", "health": health,
        "pid": 0, "incarnation": 1, "restarts": 0, "since": "1970-01-01T00:00:09Z",
        "last_exit": null, "after": [], "counters": {
            "received": 0, "received_bytes": 0, "sent": 0, "sent_bytes": 0, "dropped": 0,
            "dropped_bytes": 0, "outputs": 0, "last_output": null, "bad": {},
        }, "queues": [],
    });
    serde_json::from_value(text).unwrap()
}

/// A stack in which much is wrong; `step` messages later.
fn sample(step: u64) -> Sample {
    let mut services = vec![
        service("ligiers:ligier", Life::Running, Health::Ok),
        service("monitoring_process:dom_rates", Life::Running, Health::Ok),
        service(
            "monitoring_process:pmt_rates",
            Life::Running,
            Health::Lagging,
        ),
        service(
            "monitoring_process:trigger_rates",
            Life::Backoff,
            Health::Unknown,
        ),
        service("monitoring_process:plot", Life::Fatal, Health::Unknown),
        service("webserver", Life::Stopped, Health::Unknown),
    ];
    services[0].counters.received = 43_300 * step;
    services[0].counters.sent = 129_900 * step;
    services[1].counters.received = 15 * step;
    services[1].counters.sent = step / 2;
    let (by, until) = ("uid 1000".into(), None);
    services[1].watch.hold = Some(Hold { by, until });
    services[2].run = "process".into();
    services[2].pid = 611;
    services[2].description = "pid 611, uptime 1:05:00".into();
    services[2].counters.dropped = 12_345;
    services[2].queues = vec![SubscriberStatus {
        name: "monitoring_process:pmt_rates".into(),
        queued: 870,
        queued_bytes: 1 << 20,
        delivered: 0,
        dropped: 12_345,
    }];
    services[1].counters.busy_s = 0.015 * step as f64;
    services[3].restarts = 4;
    services[3].last_exit = Some("exit:0".into());
    services[3].last_incident = Some(17);
    services[3].last_incident_reason = Some("exit:3".to_owned());
    services[3].description = "exit status 3, retry in 4s (attempt 3)".into();
    let used = Usage {
        cpu_s: 0.25 * step as f64,
        rss_bytes: 54 << 20,
        threads: 4,
    };
    Sample {
        at: Duration::from_secs(step),
        status: StackStatus {
            version: "0.1.0".into(),
            pid: 600,
            started: Timestamp::UNIX_EPOCH,
            stack: "shore station".into(),
            events: 1,
            services,
            ..empty()
        },
        usage: UsageReport {
            supervisor: used,
            services: [("monitoring_process:pmt_rates".to_owned(), used)].into(),
        },
    }
}

fn empty() -> StackStatus {
    serde_json::from_value(serde_json::json!({
        "version": "", "pid": 0, "started": "1970-01-01T00:00:00Z", "stack": "", "events": 0,
        "services": [],
    }))
    .unwrap()
}

fn state() -> State {
    let mut state = State::new("fathom.sock".into(), true);
    state.now = Timestamp::from_second(NOW_S).unwrap();
    state.hear(News::Sample(Box::new(sample(1))));
    state.hear(News::Sample(Box::new(sample(2))));
    state
}

fn picture(state: &State, width: u16, height: u16) -> String {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| draw(frame, state)).unwrap();
    terminal.backend().to_string()
}

fn press(state: &mut State, keys: &[KeyCode]) -> Option<Wish> {
    let mut wish = None;
    for key in keys {
        wish = state.key(KeyEvent::new(*key, KeyModifiers::NONE));
    }
    wish
}

fn letters(text: &str) -> Vec<KeyCode> {
    text.chars().map(KeyCode::Char).collect()
}

/// Returns the names of the lines of the tree.
fn names(state: &State) -> Vec<String> {
    let rows = state.rows().into_iter();
    rows.map(|row| row.item.target()).collect()
}

#[test]
fn a_usual_terminal_shows_the_tree_and_the_log() {
    let mut state = state();
    press(&mut state, &[KeyCode::Down; 4]);
    let name = state.wanted_log().unwrap();
    state.hear(News::LogBegins(name.clone()));
    for line in 1..20 {
        let text = format!("\u{1b}[32mline {line}\u{1b}[0m of the log");
        state.hear(News::Line {
            of: name.clone(),
            text,
        });
    }
    let text = "of a service looked at before".to_owned();
    let of = "webserver".to_owned();
    state.hear(News::Line { of, text });
    insta::assert_snapshot!("usual", picture(&state, 80, 24));
}

#[test]
fn a_wide_terminal_shows_every_column() {
    insta::assert_snapshot!("wide", picture(&state(), 140, 14));
}

#[test]
fn every_size_can_be_drawn() {
    let mut state = state();
    for mode in [Mode::Watch, Mode::Filter, Mode::Help] {
        state.mode = mode;
        for width in [1, 2, 5, 20, 79, 300] {
            for height in [1, 2, 3, 5, 9, 80] {
                picture(&state, width, height);
            }
        }
    }
}

#[test]
fn the_help_names_all_keys() {
    let mut state = state();
    press(&mut state, &letters("?"));
    insta::assert_snapshot!("help", picture(&state, 80, 24));
    press(&mut state, &letters("q"));
    assert_eq!(state.mode, Mode::Watch);
}

#[test]
fn without_colours_there_are_none() {
    let mut state = state();
    state.colours = false;
    let mut terminal = Terminal::new(TestBackend::new(160, 20)).unwrap();
    terminal.draw(|frame| draw(frame, &state)).unwrap();
    let cells = terminal.backend().buffer().content();
    assert!(
        cells
            .iter()
            .all(|cell| cell.fg == ratatui::style::Color::Reset)
    );
}

#[test]
fn orders_are_asked_for_first() {
    let mut state = state();
    press(&mut state, &[KeyCode::Down, KeyCode::Char('r')]);
    let footer = picture(&state, 80, 24).lines().last().unwrap().to_owned();
    assert!(footer.contains("restart ligiers:ligier?  y/n"), "{footer}");
    assert_eq!(press(&mut state, &letters("n")), None);
    assert_eq!(press(&mut state, &letters("y")), None);

    // A key that is neither yes nor no leaves the question.
    let wish = press(&mut state, &letters("txy"));
    let order = Order {
        verb: Verb::Stop,
        target: "ligiers:ligier".into(),
    };
    assert_eq!(wish, Some(Wish::Do(order)));
    assert_eq!(state.busy, 1);
    let (text, well) = ("ligiers:ligier: stopped".to_owned(), true);
    state.hear(News::Done { text, well });
    assert_eq!(state.busy, 0);
    assert!(picture(&state, 80, 24).contains("ligiers:ligier: stopped"));
}

#[test]
fn a_group_is_ordered_as_a_whole_and_what_is_held_is_released() {
    let mut state = state();
    let wish = press(&mut state, &letters("sy"));
    let order = |verb, target: &str| {
        let target = target.to_owned();
        Some(Wish::Do(Order { verb, target }))
    };
    assert_eq!(wish, order(Verb::Start, "ligiers:*"));
    press(&mut state, &[KeyCode::Down; 3]);
    assert_eq!(
        press(&mut state, &letters("hy")),
        order(Verb::Unhold, "monitoring_process:dom_rates")
    );
    press(&mut state, &[KeyCode::Down]);
    assert_eq!(
        press(&mut state, &letters("hy")),
        order(Verb::Hold, "monitoring_process:plot")
    );
}

#[test]
fn groups_fold_and_the_cursor_stays_with_them() {
    let mut state = state();
    press(&mut state, &[KeyCode::Down; 4]);
    assert_eq!(
        state.cursor.clone().unwrap().target(),
        "monitoring_process:plot"
    );
    press(&mut state, &[KeyCode::Left]);
    assert_eq!(
        state.cursor.clone().unwrap().target(),
        "monitoring_process:*"
    );
    assert_eq!(
        names(&state),
        [
            "ligiers:*",
            "ligiers:ligier",
            "monitoring_process:*",
            "webserver"
        ]
    );
    press(&mut state, &letters("-"));
    assert_eq!(
        names(&state),
        ["ligiers:*", "monitoring_process:*", "webserver"]
    );
    assert_eq!(state.wanted_log(), Some(String::new()));
    press(&mut state, &letters("+"));
    assert_eq!(names(&state).len(), 8);
}

#[test]
fn a_filter_is_typed_kept_and_taken_back() {
    let mut state = state();
    press(&mut state, &letters("/RATES"));
    assert_eq!(
        names(&state)[1..],
        [
            "monitoring_process:dom_rates",
            "monitoring_process:pmt_rates",
            "monitoring_process:trigger_rates",
        ]
    );
    press(&mut state, &[KeyCode::Backspace, KeyCode::Enter]);
    assert_eq!(
        (state.mode.clone(), state.filter.as_str()),
        (Mode::Watch, "RATE")
    );
    assert!(picture(&state, 80, 24).contains("/RATE  (Esc shows all)"));
    press(&mut state, &[KeyCode::Esc]);
    assert_eq!(names(&state).len(), 8);
}

#[test]
fn the_order_follows_what_is_asked_for() {
    let mut state = state();
    let mut first = || {
        press(&mut state, &letters("o"));
        let name = names(&state)[0].clone();
        format!(
            "{} {}",
            state.order.name(),
            name.rsplit(':').next().unwrap()
        )
    };
    let expected = [
        "trouble plot",
        "cpu pmt_rates",
        "memory pmt_rates",
        "rate ligier",
        "queue pmt_rates",
        "drops pmt_rates",
        "restarts trigger_rates",
        "tree *",
    ];
    for expected in expected {
        assert_eq!(first(), expected);
    }
}

#[test]
fn a_supervisor_that_is_gone_is_said_and_what_was_known_stays() {
    let mut state = State::new("fathom.sock".into(), true);
    let why = "no socket fathom.sock: is fathom running?";
    state.hear(News::Gone(why.to_owned()));
    let text = picture(&state, 80, 10);
    assert!(
        text.contains("no socket fathom.sock: is fathom running?; trying again"),
        "{text}"
    );
    state.hear(News::Sample(Box::new(sample(1))));
    state.hear(News::Gone(why.to_owned()));
    let text = picture(&state, 80, 24);
    assert!(
        text.contains("trying again") && text.contains("dom_rates"),
        "{text}"
    );
    state.hear(News::Sample(Box::new(sample(2))));
    assert!(!picture(&state, 80, 24).contains("trying again"));
}

#[test]
fn counters_of_another_supervisor_give_no_rates() {
    let mut state = state();
    assert_eq!(state.figures["ligiers:ligier"].in_hz, 43_300.0);
    let mut later = sample(1);
    later.at = Duration::from_secs(3);
    later.status.pid += 1;
    state.hear(News::Sample(Box::new(later)));
    assert_eq!(state.figures["ligiers:ligier"].in_hz, 0.0);
}

#[test]
fn control_c_quits_in_every_mode() {
    let mut state = state();
    for mode in [Mode::Watch, Mode::Filter, Mode::Help] {
        state.mode = mode;
        let key = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
        assert_eq!(state.key(key), Some(Wish::Quit));
    }
    state.mode = Mode::Watch;
    assert_eq!(press(&mut state, &letters("q")), Some(Wish::Quit));
}

#[test]
fn what_became_of_an_order_is_one_line() {
    let order = Order {
        verb: Verb::Start,
        target: "g:*".into(),
    };
    let outcome = |name: &str, result, message: &str| Outcome {
        name: name.into(),
        result,
        message: message.into(),
    };
    let good = outcome("g:a", Verdict::Started, "");
    let bad = outcome("g:b", Verdict::SpawnError, "no such file");
    let text = |outcomes: &[Outcome]| order.outcome(outcomes);
    assert_eq!(text(&[]), ("start g:*: nothing to do".into(), true));
    assert_eq!(
        text(std::slice::from_ref(&good)),
        ("g:a: started".into(), true)
    );
    assert_eq!(
        text(&[good.clone(), good.clone()]),
        ("start g:*: 2 services done".into(), true)
    );
    let expected = "g:b: spawn error, no such file (1 of 2)";
    assert_eq!(text(&[good, bad]), (expected.into(), false));
}
