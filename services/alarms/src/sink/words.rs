//! Notices in words, for people.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use fathom_kernel::{Notice, Severity, Stage};

use super::Parcel;
use crate::engine::cut;

/// Most notices that a message tells one by one; of the others it tells the number by rule.
const LINES_MAX: usize = 20;
/// Longest of these lines, and longest heading of a message; the rest can be read in the detector's
/// log and on the page of the alarms.
const LINE_CHARS_MAX: usize = 1000;
const HEADING_CHARS_MAX: usize = 200;

const fn severity(of: Severity) -> &'static str {
    match of {
        Severity::Info => "info",
        Severity::Warning => "warning",
        Severity::Alert => "alert",
    }
}

/// Returns a text without line ends and other control characters.
pub(crate) fn one_line(text: &str) -> String {
    let plain = |c: char| if c.is_control() { ' ' } else { c };
    text.chars().map(plain).collect()
}

/// Returns a notice in one line: what became of it, its text, its rule, subject and number.
pub(crate) fn words(notice: &Notice) -> String {
    let Notice {
        id,
        rule,
        subject,
        text,
        repeat,
        ..
    } = notice;
    let by = notice.by.as_deref().unwrap_or("somebody");
    let head = match notice.to {
        Stage::Ok | Stage::Pending | Stage::Resolved => "resolved".to_owned(),
        Stage::Firing if *repeat > 0 => {
            let since = notice.since;
            format!("{} since {since:.0}, told again", severity(notice.severity))
        }
        Stage::Firing => severity(notice.severity).to_owned(),
        Stage::Acknowledged => format!("acknowledged by {by}"),
        Stage::Muted => match notice.until {
            Some(until) => format!("muted by {by} until {until:.0}"),
            None => format!("muted by {by}"),
        },
    };
    one_line(&format!("[{head}] {text} ({rule}, {subject}, #{id})"))
}

/// Returns the heading of a message: of a single notice its text, as people know it.
pub(crate) fn subject(parcel: &Parcel) -> String {
    if let [notice] = &*parcel.notices {
        let head = match notice.to {
            Stage::Firing => "",
            Stage::Ok | Stage::Pending | Stage::Resolved => "resolved: ",
            Stage::Acknowledged => "acknowledged: ",
            Stage::Muted => "muted: ",
        };
        return cut(
            one_line(&format!("{head}{}", notice.text)),
            HEADING_CHARS_MAX,
        );
    }
    let rules = by_rule(&parcel.notices);
    let names: Vec<&str> = rules.keys().copied().take(3).collect();
    let more = if rules.len() > names.len() {
        ", ..."
    } else {
        ""
    };
    one_line(&format!(
        "{} alarms: {}{more}",
        parcel.notices.len(),
        names.join(", ")
    ))
}

/// Returns all notices of a message, one per line; of many the first, and how many more there are of
/// each rule.
pub(crate) fn digest(parcel: &Parcel) -> String {
    let (told, rest) = parcel.notices.split_at(parcel.notices.len().min(LINES_MAX));
    let line = |notice: &Notice| cut(words(notice), LINE_CHARS_MAX);
    let lines: Vec<String> = told.iter().map(line).collect();
    let mut text = lines.join("\n");
    for (rule, count) in by_rule(rest) {
        // Writing to a text does not fail.
        write!(text, "\n... and {count} more of {}", one_line(rule)).unwrap_or_default();
    }
    if parcel.dropped > 0 {
        let dropped = parcel.dropped;
        write!(
            text,
            "\n{dropped} earlier notices found no room and are lost"
        )
        .unwrap_or_default();
    }
    text
}

fn by_rule(notices: &[Notice]) -> BTreeMap<&str, usize> {
    let mut rules = BTreeMap::new();
    for notice in notices {
        *rules.entry(&*notice.rule).or_default() += 1;
    }
    rules
}

/// Makes a notice for tests: that of a trigger rate, by a person and with an end.
#[cfg(test)]
pub(crate) fn example(to: Stage) -> Notice {
    Notice {
        entry: 1,
        id: 12,
        at: jiff::Timestamp::UNIX_EPOCH,
        service: "m".into(),
        rule: "trigger_rate_zero".into(),
        subject: "Overall".into(),
        severity: Severity::Alert,
        from: Stage::Ok,
        to,
        text: "Trigger rate is 0Hz!".into(),
        since: jiff::Timestamp::UNIX_EPOCH,
        repeat: 0,
        by: Some("anna".into()),
        until: Some(jiff::Timestamp::UNIX_EPOCH),
        sinks: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_stage_has_its_words() {
        let tail = "Trigger rate is 0Hz! (trigger_rate_zero, Overall, #12)";
        for (to, head) in [
            (Stage::Firing, "[alert]"),
            (Stage::Resolved, "[resolved]"),
            (Stage::Acknowledged, "[acknowledged by anna]"),
            (Stage::Muted, "[muted by anna until 1970-01-01T00:00:00Z]"),
        ] {
            assert_eq!(words(&example(to)), format!("{head} {tail}"));
        }
        let again = Notice {
            repeat: 2,
            ..example(Stage::Firing)
        };
        assert!(words(&again).starts_with("[alert since 1970-01-01T00:00:00Z, told again]"));
    }

    #[test]
    fn a_text_of_thousands_of_characters_is_no_heading_and_no_message() {
        let long = Notice {
            text: "x".repeat(5000),
            ..example(Stage::Firing)
        };
        let parcel = Parcel {
            notices: vec![long],
            dropped: 0,
        };
        assert_eq!(subject(&parcel).chars().count(), HEADING_CHARS_MAX + 1);
        assert_eq!(digest(&parcel).chars().count(), LINE_CHARS_MAX + 1);
    }

    #[test]
    fn a_line_stays_a_line() {
        let forged = Notice {
            text: "a\r\nBcc: all@example.org".into(),
            ..example(Stage::Firing)
        };
        let parcel = Parcel {
            notices: vec![forged],
            dropped: 0,
        };
        assert_eq!(subject(&parcel), "a  Bcc: all@example.org");
        assert_eq!(digest(&parcel).lines().count(), 1);
    }

    #[test]
    fn a_storm_is_one_message_of_bounded_length() {
        let mut notices = vec![example(Stage::Firing)];
        notices.extend((0..4140).map(|dom| Notice {
            rule: "dom_inactive".into(),
            subject: format!("DOM {dom}"),
            ..example(Stage::Firing)
        }));
        let parcel = Parcel {
            notices,
            dropped: 3,
        };
        assert_eq!(
            subject(&parcel),
            "4141 alarms: dom_inactive, trigger_rate_zero"
        );
        let text = digest(&parcel);
        assert_eq!(text.lines().count(), LINES_MAX + 2);
        assert!(text.contains("... and 4121 more of dom_inactive"), "{text}");
        assert!(text.ends_with("3 earlier notices found no room and are lost"));
    }
}
