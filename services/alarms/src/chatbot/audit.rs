//! Who said what to the bot and what became of it, who is on shift, and what was heard already: the
//! state that is kept over restarts. Pure.

use std::collections::VecDeque;

use fathom_kernel::Output;
use fathom_kernel::view::Table;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::roles::Role;

/// Rows of the audit trail.
const ROWS_MAX: usize = 1000;
/// Messages remembered, so that none is heeded twice.
const HEARD_MAX: usize = 500;
/// Longest text of a row.
const TEXT_CHARS_MAX: usize = 300;
/// Orders remembered for the limit of each user.
const ORDERS_MAX: usize = 2000;
/// Time over which orders are counted (s).
const MINUTE_S: i64 = 60;

/// What is kept.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Desk {
    /// Who is on shift, once an operator has said so.
    pub(crate) shifters: Option<Vec<String>>,
    rows: VecDeque<Row>,
    /// Numbers of the newest messages.
    heard: VecDeque<String>,
    /// When the newest message was said.
    pub(crate) newest: Option<Timestamp>,
    /// Users with the times of their orders.
    #[serde(skip)]
    orders: VecDeque<(String, Timestamp)>,
}

/// One order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Row {
    pub(crate) at: Timestamp,
    pub(crate) user: String,
    pub(crate) role: Role,
    pub(crate) order: String,
    pub(crate) result: String,
}

impl Desk {
    /// Takes the number of a message; `false` when it was heard before.
    pub(crate) fn is_new(&mut self, id: &str, at: Timestamp) -> bool {
        if self.heard.iter().any(|heard| heard == id) {
            return false;
        }
        self.heard.push_back(id.to_owned());
        if self.heard.len() > HEARD_MAX {
            self.heard.pop_front();
        }
        self.newest = self.newest.max(Some(at));
        true
    }

    /// Counts an order of a user; `false` when there were too many within a minute.
    pub(crate) fn admit(&mut self, user: &str, per_minute: usize, now: Timestamp) -> bool {
        self.orders
            .retain(|(_, at)| now.duration_since(*at).as_secs() < MINUTE_S);
        let recent = self.orders.iter().filter(|(name, _)| name == user);
        if recent.count() >= per_minute || self.orders.len() >= ORDERS_MAX {
            return false;
        }
        self.orders.push_back((user.to_owned(), now));
        true
    }

    /// Writes down an order.
    pub(crate) fn write(&mut self, mut row: Row) {
        for text in [&mut row.user, &mut row.order, &mut row.result] {
            *text = text.chars().take(TEXT_CHARS_MAX).collect();
        }
        self.rows.push_back(row);
        if self.rows.len() > ROWS_MAX {
            self.rows.pop_front();
        }
    }

    /// Returns the audit trail, oldest first.
    pub(crate) fn rows(&self) -> impl Iterator<Item = &Row> {
        self.rows.iter()
    }

    /// Returns the audit trail as a table, newest first.
    pub(crate) fn output(&self, now: Timestamp) -> Output {
        let columns = ["at", "user", "role", "order", "result"];
        let row = |row: &Row| {
            let at = format!("{:.0}", row.at);
            vec![
                json!(at),
                json!(row.user),
                json!(row.role),
                json!(row.order),
                json!(row.result),
            ]
        };
        let table = Table {
            columns: columns.map(str::to_owned).to_vec(),
            rows: self.rows.iter().rev().map(row).collect(),
        };
        Output::new("chatbot_audit", "Orders from the chat", table)
            .at(Some(now))
            .every(60.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn a_message_is_heeded_once_also_after_a_restart() {
        let mut desk = Desk::default();
        assert!(desk.is_new("a", at(5)) && desk.is_new("b", at(4)));
        let kept = serde_json::to_vec(&desk).unwrap();
        let mut back: Desk = serde_json::from_slice(&kept).unwrap();
        assert!(!back.is_new("a", at(5)));
        assert_eq!(back.newest, Some(at(5)));
    }

    #[test]
    fn a_user_has_so_many_orders_in_a_minute() {
        let mut desk = Desk::default();
        let admitted = |desk: &mut Desk, user, second| desk.admit(user, 2, at(second));
        assert!(admitted(&mut desk, "a", 0) && admitted(&mut desk, "a", 1));
        assert!(!admitted(&mut desk, "a", 59));
        assert!(admitted(&mut desk, "b", 59));
        assert!(admitted(&mut desk, "a", 60));
    }

    #[test]
    fn the_trail_is_bounded_in_rows_and_texts() {
        let mut desk = Desk::default();
        for order in 0..1100 {
            desk.write(Row {
                at: at(order),
                user: "a".into(),
                role: Role::Viewer,
                order: format!("{order} {}", "x".repeat(1000)),
                result: String::new(),
            });
        }
        assert_eq!(desk.rows().count(), ROWS_MAX);
        let last = desk.rows().last().unwrap();
        assert!(last.order.starts_with("1099 ") && last.order.len() == TEXT_CHARS_MAX);
    }
}
