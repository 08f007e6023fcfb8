//! The head of an output: everything but its value.

use fathom_kernel::view::View;
use fathom_kernel::{Entry, Losses, Timestamp};
use serde::Serialize;

/// Everything of an output but its value.
#[derive(Debug, Serialize)]
pub(crate) struct Head<'a> {
    name: &'a str,
    title: &'a str,
    form: &'static str,
    service: &'a str,
    version: u64,
    updated: Timestamp,
    datum: Option<Timestamp>,
    #[serde(with = "fathom_kernel::view::number")]
    interval_s: f64,
    losses: Losses,
}

impl<'a> Head<'a> {
    /// Returns the head of an entry of the board.
    pub(crate) fn of(entry: &'a Entry) -> Self {
        let output = &*entry.output;
        Self {
            name: &output.name,
            title: &output.title,
            form: form(&output.view),
            service: &entry.service,
            version: entry.version,
            updated: entry.updated,
            datum: output.datum,
            interval_s: output.interval_s,
            losses: output.losses,
        }
    }
}

/// Returns the age of the newest datum (s).
pub(crate) fn age_s(entry: &Entry, now: Timestamp) -> Option<f64> {
    let datum = entry.output.datum?;
    Some(now.duration_since(datum).as_secs_f64())
}

fn form(view: &View) -> &'static str {
    match view {
        View::Series(_) => "series",
        View::Map(_) => "map",
        View::Image(_) => "image",
        View::Histogram(_) => "histogram",
        View::Scalar(_) => "scalar",
        View::Table(_) => "table",
        View::Panels(_) => "panels",
        View::HitMap(_) => "hitmap",
    }
}
