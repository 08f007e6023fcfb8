//! The life of an alarm: what happens at which second, and what is told of it.

use super::*;

struct Life {
    name: &'static str,
    rules: &'static str,
    /// `SECOND WORD`: `raise`, `worse` (as an alert), `clear`, `ack`, `mute UNTIL`, `tick`.
    happens: &'static str,
    told: &'static str,
}

const LIVES: [Life; 15] = [
    Life {
        name: "it fires at once and is resolved after ten calm seconds",
        rules: "[]",
        happens: "0 raise; 5 clear; 14 tick; 15 tick",
        told: "0 ok>firing; 15 firing>resolved",
    },
    Life {
        name: "it waits until the condition has held for long enough",
        rules: r#"[{"for": "30s"}]"#,
        happens: "0 raise; 29 tick; 30 tick",
        told: "30 ok>firing",
    },
    Life {
        name: "what ends while it waits is never told",
        rules: r#"[{"for": "30s"}]"#,
        happens: "0 raise; 20 clear; 40 tick; 60 tick",
        told: "",
    },
    Life {
        name: "a return within the calm time is the same alarm, still acknowledged",
        rules: "[]",
        happens: "0 raise; 1 ack; 5 clear; 9 raise; 60 tick",
        told: "0 ok>firing; 1 firing>acknowledged",
    },
    Life {
        name: "it is told again until somebody looks",
        rules: r#"[{"repeat": "1m"}]"#,
        happens: "0 raise; 59 tick; 60 tick; 119 tick; 121 tick; 130 ack; 300 tick",
        told: "0 ok>firing; 60 again 1; 121 again 2; 130 firing>acknowledged",
    },
    Life {
        name: "a muted one says nothing until the mute ends",
        rules: "[]",
        happens: "0 mute 100; 1 raise; 99 tick; 100 tick",
        told: "1 ok>muted; 100 muted>firing",
    },
    Life {
        name: "one that fires is muted, and resolved from there",
        rules: "[]",
        happens: "0 raise; 1 mute 900; 5 clear; 15 tick",
        told: "0 ok>firing; 1 firing>muted; 15 muted>resolved",
    },
    Life {
        name: "what somebody looks at fires again when it gets worse",
        rules: "[]",
        happens: "0 raise; 1 ack; 2 worse",
        told: "0 ok>firing; 1 firing>acknowledged; 2 acknowledged>firing",
    },
    Life {
        name: "what happens once is told each time and stays no alarm",
        rules: r#"[{"happening": true}]"#,
        happens: "0 raise; 1 raise; 60 tick",
        told: "0 ok>firing; 1 ok>firing",
    },
    Life {
        name: "what is switched off is not heard",
        rules: r#"[{"enabled": false}]"#,
        happens: "0 raise; 60 tick",
        told: "",
    },
    Life {
        name: "it is not told again while its condition is away",
        rules: r#"[{"repeat": "5s"}]"#,
        happens: "0 raise; 4 clear; 9 tick; 14 tick",
        told: "0 ok>firing; 14 firing>resolved",
    },
    Life {
        name: "three beginnings within five minutes, the last second included, wait for five calm ones",
        rules: "[]",
        happens: "0 raise; 1 clear; 11 tick; 150 raise; 151 clear; 161 tick; \
                  290 raise; 300 clear; 310 tick; 599 tick; 600 tick",
        told: "0 ok>firing; 11 firing>resolved; 150 ok>firing; 161 firing>resolved; \
               290 ok>firing; 600 firing>resolved",
    },
    Life {
        name: "of three beginnings in more than five minutes the last one ends as any other",
        rules: "[]",
        happens: "0 raise; 1 clear; 11 tick; 150 raise; 151 clear; 161 tick; \
                  290 raise; 301 clear; 311 tick",
        told: "0 ok>firing; 11 firing>resolved; 150 ok>firing; 161 firing>resolved; \
               290 ok>firing; 311 firing>resolved",
    },
    Life {
        name: "what is over while it is muted is not told when the mute ends, nor later",
        rules: "[]",
        happens: "0 raise; 1 mute 12; 5 clear; 12 tick; 15 tick",
        told: "0 ok>firing; 1 firing>muted; 15 muted>resolved",
    },
    Life {
        name: "what is said to be over once more is over since the first time",
        rules: "[]",
        happens: "0 raise; 5 clear; 10 clear; 15 tick",
        told: "0 ok>firing; 15 firing>resolved",
    },
];

fn input(step: &str) -> (i64, Input) {
    let words: Vec<&str> = step.split_whitespace().collect();
    let input = match words[1] {
        "raise" => raise("x"),
        "worse" => said("r", "x", Severity::Alert, true),
        "clear" => clear("x"),
        "ack" => acknowledge("x"),
        "mute" => mute("x", words[2].parse().unwrap()),
        "tick" => Input::Tick,
        other => panic!("{other}"),
    };
    (words[0].parse().unwrap(), input)
}

#[test]
fn an_alarm_lives_as_written() {
    for life in LIVES {
        let inputs = life.happens.split("; ").map(input).collect();
        let told = run(&house(life.rules), &mut Book::default(), inputs);
        assert_eq!(told.join("; "), life.told, "{}", life.name);
    }
}
