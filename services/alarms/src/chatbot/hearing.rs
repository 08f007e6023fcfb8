//! How the bot hears the chat, as requests and the page tell it. Pure.

use fathom_kernel::Output;
use fathom_kernel::view::Table;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::json;

use crate::chat::Hearing;

/// How the chat is heard, and since when.
#[derive(Debug, Serialize)]
pub(crate) struct Heard {
    #[serde(flatten)]
    hearing: Hearing,
    since: Timestamp,
}

impl Heard {
    pub(crate) fn new(hearing: Hearing, since: Timestamp) -> Self {
        Self { hearing, since }
    }

    /// Follows what the chat says of it; `true` when something has changed.
    pub(crate) fn follow(&mut self, hearing: Hearing, now: Timestamp) -> bool {
        let is_other_way = hearing.by != self.hearing.by;
        let is_changed = hearing != self.hearing;
        if is_other_way {
            self.since = now;
        }
        self.hearing = hearing;
        is_changed
    }

    /// Returns it as a table of one row.
    pub(crate) fn output(&self, now: Timestamp) -> Output {
        let columns = ["by", "since", "trouble"];
        let since = format!("{:.0}", self.since);
        let Hearing { by, trouble } = &self.hearing;
        let table = Table {
            columns: columns.map(str::to_owned).to_vec(),
            rows: vec![vec![json!(by), json!(since), json!(trouble)]],
        };
        Output::new("chatbot_hearing", "How the chat is heard", table)
            .at(Some(now))
            .every(60.0)
    }
}
