//! The conversation with the Detector Manager: subscribe, ask again and again, and begin anew when it
//! no longer knows of us.
//!
//! ```text
//! GET /monshortdef?name=N&paths=P,P,...   answers OK
//! GET /monshort/N                         answers [{"value": 1.0}, ...] in the order of the paths
//! ```
//! A restarted manager has forgotten all subscriptions. Large detectors take several ones, as an
//! address of any length is not taken.

use std::ops::Range;

use bytes::Bytes;
use fathom_kernel::{Fetch, Location, Outputs, without_passwords};
use serde::Deserialize;

use super::baseline::Values;

/// DUs of one subscription: its address has 5 kB.
const DUS_MAX: usize = 24;
/// Longest wait for an answer.
const TIMEOUT: std::time::Duration = std::time::Duration::from_secs(5);
/// Most bytes of an answer.
const BYTES_MAX: usize = 1 << 20;
/// First pause after a failure (ms).
const RETRY_FIRST_MS: i64 = 1000;
/// Most characters shown of an answer that was not expected.
const SHOWN_MAX: usize = 100;

/// All subscriptions.
#[derive(Debug)]
pub(super) struct Manager {
    base: String,
    retry_most_ms: i64,
    lines: Vec<Line>,
    pub(super) polls: u64,
    pub(super) failures: u64,
    fault: Option<String>,
}

/// One subscription.
#[derive(Debug)]
struct Line {
    name: String,
    dus: Vec<u32>,
    /// Places of these DUs.
    places: Range<usize>,
    state: State,
    /// Failures in a row.
    failures: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// To be subscribed, not before a time (ms).
    Waiting(i64),
    /// Asked to be subscribed.
    Subscribing,
    Subscribed,
    /// Asked for values.
    Polling,
}

/// What an answer means.
#[derive(Debug, PartialEq)]
pub(super) enum Answer {
    Nothing,
    Failed,
    /// Values of some DUs, from a place on.
    Values {
        first: usize,
        values: Vec<Values>,
    },
}

#[derive(Deserialize)]
struct Entry {
    #[serde(default)]
    value: serde_json::Value,
}

impl Manager {
    pub(super) fn new(url: &str, dus: &[u32], retry_most_ms: i64) -> Self {
        let base = match url.starts_with("service:") {
            true => format!("http://{url}"),
            false => url.to_owned(),
        };
        let line = |(n, dus): (usize, &[u32])| Line {
            name: match n {
                0 => "rttc_monitoring".to_owned(),
                _ => format!("rttc_monitoring_{}", n + 1),
            },
            dus: dus.to_vec(),
            places: n * DUS_MAX..n * DUS_MAX + dus.len(),
            state: State::Waiting(i64::MIN),
            failures: 0,
        };
        Self {
            base: base.trim_end_matches('/').to_owned(),
            retry_most_ms,
            lines: dus.chunks(DUS_MAX).enumerate().map(line).collect(),
            polls: 0,
            failures: 0,
            fault: None,
        }
    }

    /// Returns where the manager is, for people.
    pub(super) fn shown(&self) -> String {
        let base = without_passwords(&self.base);
        match base.strip_prefix("http://service:") {
            Some(name) => format!("service:{name}"),
            None => base.into_owned(),
        }
    }

    /// Returns subscriptions in force, and all.
    pub(super) fn subscriptions(&self) -> (usize, usize) {
        let in_force = |line: &&Line| matches!(line.state, State::Subscribed | State::Polling);
        (self.lines.iter().filter(in_force).count(), self.lines.len())
    }

    /// Returns why the last answer was none.
    pub(super) fn fault(&self) -> Option<&str> {
        self.fault.as_deref()
    }

    /// Subscribes what is to be subscribed.
    pub(super) fn subscribe(&mut self, now_ms: i64, out: &mut Outputs) {
        for (n, line) in self.lines.iter_mut().enumerate() {
            if matches!(line.state, State::Waiting(until_ms) if until_ms <= now_ms) {
                line.state = State::Subscribing;
                let query = format!("name={}&paths={}", line.name, line.paths());
                let url = format!("{}/monshortdef?{query}", self.base);
                out.fetch(fetch(format!("subscribe:{n}"), url));
            }
        }
    }

    /// Asks for values; tells whether anything was asked.
    pub(super) fn poll(&mut self, out: &mut Outputs) -> bool {
        let mut asked = false;
        for (n, line) in self.lines.iter_mut().enumerate() {
            if line.state == State::Subscribed {
                line.state = State::Polling;
                let url = format!("{}/monshort/{}", self.base, line.name);
                out.fetch(fetch(format!("poll:{n}"), url));
                asked = true;
            }
        }
        self.polls += u64::from(asked);
        asked
    }

    /// Tells whether no answer is waited for.
    pub(super) fn is_polled(&self) -> bool {
        self.lines.iter().all(|line| line.state != State::Polling)
    }

    /// Takes an answer.
    pub(super) fn answered(
        &mut self,
        name: &str,
        content: Result<Bytes, String>,
        now_ms: i64,
    ) -> Answer {
        let Some((what, n)) = name.split_once(':') else {
            return Answer::Nothing;
        };
        let number = n.parse().ok();
        let Some(line) = number.and_then(|n: usize| self.lines.get_mut(n)) else {
            return Answer::Nothing;
        };
        let understood =
            match (what, line.state) {
                ("subscribe", State::Subscribing) => content
                    .and_then(|body| subscribed(&body))
                    .map(|()| Answer::Nothing),
                ("poll", State::Polling) => content
                    .and_then(|body| values(&body, line.dus.len()))
                    .map(|values| Answer::Values {
                        first: line.places.start,
                        values,
                    }),
                _ => return Answer::Nothing,
            };
        match understood {
            Ok(answer) => {
                line.state = State::Subscribed;
                if matches!(answer, Answer::Values { .. }) {
                    line.failures = 0;
                    self.fault = None;
                }
                answer
            }
            Err(reason) => {
                let pause_ms = RETRY_FIRST_MS << line.failures.min(20);
                line.failures += 1;
                let pause_ms = pause_ms.min(self.retry_most_ms);
                line.state = State::Waiting(now_ms.saturating_add(pause_ms));
                self.failures += 1;
                self.fault = Some(reason);
                Answer::Failed
            }
        }
    }
}

impl Line {
    fn paths(&self) -> String {
        let of = |du: &u32| {
            let delta = |k| format!("/mon/clb/outparams/wr_delta/{du}/0/{k}");
            let deltas: Vec<String> = (0..4).map(delta).collect();
            format!("/mon/clb/outparams/wr_mu/{du}/0,{}", deltas.join(","))
        };
        self.dus.iter().map(of).collect::<Vec<_>>().join(",")
    }
}

fn fetch(name: String, url: String) -> Fetch {
    let mut fetch = Fetch::new(name, Location::from(url));
    fetch.timeout = TIMEOUT;
    fetch.bytes_max = BYTES_MAX;
    fetch
}

/// Takes the query out of the address that an error begins with: that of a subscription has 5 kB.
pub(super) fn without_query(error: &str) -> String {
    match error.split_once('?') {
        Some((place, rest)) => match rest.split_once(": ") {
            Some((_, why)) => format!("{place}: {why}"),
            None => place.to_owned(),
        },
        None => error.to_owned(),
    }
}

fn subscribed(body: &[u8]) -> Result<(), String> {
    match body.trim_ascii() {
        b"OK" => Ok(()),
        other => Err(format!(
            "subscription answered {:?}, expected OK",
            shown(other)
        )),
    }
}

/// Reads the values of so many DUs; a value that is no number is missing.
fn values(body: &[u8], dus: usize) -> Result<Vec<Values>, String> {
    let list: Vec<Entry> = serde_json::from_slice(body)
        .map_err(|error| format!("values are {:?}: {error}", shown(body)))?;
    if list.len() != 5 * dus {
        let got = list.len();
        return Err(format!("{got} values, expected {}", 5 * dus));
    }
    let number = |entry: &Entry| match &entry.value {
        serde_json::Value::String(text) => text.trim().parse().unwrap_or(f64::NAN),
        other => other.as_f64().unwrap_or(f64::NAN),
    };
    let (chunks, _) = list.as_chunks::<5>();
    let finite = |value: f64| if value.is_finite() { value } else { f64::NAN };
    let values = chunks.iter().map(|five| {
        let [a, b, c, d, e] = five;
        [a, b, c, d, e].map(|entry| finite(number(entry)))
    });
    Ok(values.collect())
}

fn shown(body: &[u8]) -> String {
    String::from_utf8_lossy(body)
        .chars()
        .take(SHOWN_MAX)
        .collect()
}
