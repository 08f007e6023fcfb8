//! What the manager answers: subscriptions by name, and the values of their paths.

use std::collections::BTreeMap;

use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use super::cables::{Cables, Quantity};

/// Most subscriptions, and most paths of each.
const SUBSCRIPTIONS_MAX: usize = 64;
const PATHS_MAX: usize = 5000;
/// Longest name of a subscription.
const NAME_MAX: usize = 100;

/// The subscriptions, and what they are of.
#[derive(Debug)]
pub(super) struct Desk {
    pub(super) cables: Cables,
    lists: BTreeMap<String, Vec<Path>>,
    pub(super) asked: u64,
    pub(super) refused: u64,
}

/// One quantity of a DU, as it was asked for.
#[derive(Debug, Clone)]
struct Path {
    text: String,
    du: u32,
    quantity: Quantity,
}

/// An answer: HTTP status and body.
pub(super) type Answer = (u16, String);

impl Desk {
    pub(super) fn new(cables: Cables) -> Self {
        Self {
            cables,
            lists: BTreeMap::new(),
            asked: 0,
            refused: 0,
        }
    }

    /// Answers a question at a time since 1970 (s).
    pub(super) fn answer(&mut self, path: &str, query: &str, at_s: f64) -> Answer {
        self.asked += 1;
        let answer = match path.strip_prefix("/monshort/") {
            Some(name) => self.values(&decoded(name), at_s),
            None if path == "/monshortdef" => self.define(query),
            None => Err((404, format!("no such page {path}"))),
        };
        match answer {
            Ok(body) => (200, body),
            Err(refusal) => {
                self.refused += 1;
                refusal
            }
        }
    }

    fn define(&mut self, query: &str) -> Result<String, Answer> {
        let refuse = |why: &str| Err((400, why.to_owned()));
        let of = |wanted: &str| {
            let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
            let mut values = pairs.filter(|(key, _)| *key == wanted);
            values.next().map(|(_, value)| decoded(value))
        };
        let (Some(name), Some(paths)) = (of("name"), of("paths")) else {
            return refuse("expected name and paths");
        };
        if name.is_empty() || name.len() > NAME_MAX {
            return refuse("expected a name of at most 100 characters");
        }
        if self.lists.len() >= SUBSCRIPTIONS_MAX && !self.lists.contains_key(&name) {
            return refuse("too many subscriptions");
        }
        if paths.split(',').count() > PATHS_MAX {
            return refuse("too many paths");
        }
        let mut list = Vec::new();
        for text in paths.split(',') {
            match Path::read(text).filter(|path| self.cables.has(path.du)) {
                Some(path) => list.push(path),
                None => return Err((400, format!("no such path {text}"))),
            }
        }
        self.lists.insert(name, list);
        Ok("OK".to_owned())
    }

    fn values(&mut self, name: &str, at_s: f64) -> Result<String, Answer> {
        let Some(list) = self.lists.get(name) else {
            return Err((404, format!("no such subscription {name}")));
        };
        let cables = &mut self.cables;
        let value = |path: &Path| {
            let value = cables.measure(path.du, path.quantity, at_s);
            json!({ "path": path.text, "value": value })
        };
        Ok(list.iter().map(value).collect::<Value>().to_string())
    }

    /// Forgets all subscriptions, as a restart does; returns how many there were.
    pub(super) fn forget(&mut self) -> usize {
        std::mem::take(&mut self.lists).len()
    }

    /// Returns how many subscriptions there are.
    pub(super) fn subscribed(&self) -> usize {
        self.lists.len()
    }

    /// Returns the number of paths of each subscription.
    pub(super) fn subscriptions(&self) -> Value {
        let lists = self.lists.iter();
        lists
            .map(|(name, list)| (name.clone(), json!(list.len())))
            .collect()
    }
}

impl Path {
    /// Reads `/mon/clb/outparams/wr_mu/<DU>/0` and `/mon/clb/outparams/wr_delta/<DU>/0/<0..3>`.
    fn read(text: &str) -> Option<Self> {
        let rest = text.strip_prefix("/mon/clb/outparams/")?;
        let (du, quantity) = match *rest.split('/').collect::<Vec<_>>() {
            ["wr_mu", du, "0"] => (du, Quantity::RoundTrip),
            ["wr_delta", du, "0", which] => {
                let which = which.parse().ok().filter(|which| *which < 4)?;
                (du, Quantity::Delay(which))
            }
            _ => return None,
        };
        Some(Self {
            text: text.to_owned(),
            du: du.parse().ok()?,
            quantity,
        })
    }
}

fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::super::FakeDetectorManagerOptions;
    use super::super::cables::PERIOD_S;
    use super::*;

    const PATHS: &str = "/mon/clb/outparams/wr_mu/7/0,/mon/clb/outparams/wr_delta/7/0/0,\
                         /mon/clb/outparams/wr_delta/7/0/3";

    fn desk() -> Desk {
        let options = FakeDetectorManagerOptions {
            noise: 0.0,
            drift: 100.0,
            ..FakeDetectorManagerOptions::default()
        };
        Desk::new(Cables::new(&[3, 7], &options))
    }

    fn values(desk: &mut Desk, at_s: f64) -> Vec<f64> {
        let (status, body) = desk.answer("/monshort/x", "", at_s);
        assert_eq!(status, 200, "{body}");
        let list: Vec<Value> = serde_json::from_str(&body).unwrap();
        list.iter().map(|e| e["value"].as_f64().unwrap()).collect()
    }

    #[test]
    fn values_come_in_the_order_of_the_paths_until_it_forgets() {
        let mut desk = desk();
        let query = format!("name=x&paths={}", PATHS.replace('/', "%2F"));
        assert_eq!(desk.answer("/monshortdef", &query, 0.0), (200, "OK".into()));
        let first = values(&mut desk, 0.0);
        assert!((5.0e8..6.0e8).contains(&first[0]) && (1.5e5..2.5e5).contains(&first[2]));
        // Half a period later the drift is as far on the other side.
        let half = values(&mut desk, PERIOD_S / 2.0);
        assert_eq!(half[1..], first[1..], "delays are fixed");
        assert!((half[0] - first[0]).abs() <= 200.1);
        desk.cables.shift(7, 5000.0).unwrap();
        assert!((values(&mut desk, 0.0)[0] - first[0] - 5000.0).abs() < 0.2);
        assert_eq!(desk.cables.clear(), 1);
        assert_eq!(values(&mut desk, 0.0), first);
        assert_eq!(desk.forget(), 1);
        assert_eq!(desk.answer("/monshort/x", "", 0.0).0, 404);
        assert!(desk.cables.shift(8, 1.0).unwrap_err().contains("[3, 7]"));
    }

    #[test]
    fn what_it_does_not_know_is_refused() {
        let mut desk = desk();
        let mut refused = |path: &str, query: &str, status: u16| {
            let (got, body) = desk.answer(path, query, 0.0);
            assert_eq!(got, status, "{body}");
        };
        refused("/", "", 404);
        refused("/monshort/x", "", 404);
        refused("/monshortdef", "name=x", 400);
        refused("/monshortdef", "name=&paths=a", 400);
        for path in ["wr_mu/9/0", "wr_mu/7/1", "wr_delta/7/0/4", "wr_mu/7/0/"] {
            let query = format!("name=x&paths=/mon/clb/outparams/{path}");
            refused("/monshortdef", &query, 400);
        }
        let long = format!("name=x&paths={}", ",".repeat(PATHS_MAX));
        refused("/monshortdef", &long, 400);
        let good = "paths=/mon/clb/outparams/wr_mu/7/0";
        for n in 0..SUBSCRIPTIONS_MAX {
            refused("/monshortdef", &format!("name={n}&{good}"), 200);
        }
        refused("/monshortdef", &format!("name=y&{good}"), 400);
    }
}
