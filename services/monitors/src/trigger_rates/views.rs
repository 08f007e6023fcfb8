//! Looks and tables of the trigger rates.

use fathom_kernel::view::{Marker, Table};
use serde_json::json;

use super::bin::Bin;
use crate::bins::Bins;
use crate::clock::text_of_ms;

/// Colours of further triggers, from km3mon's palette.
const FURTHER_COLOURS: [&str; 8] = [
    "#006BA4", "#595959", "#5F9ED1", "#C85200", "#898989", "#A2C8EC", "#FFBC79", "#ABABAB",
];

/// Returns colour and marker of a trigger: km3mon's for its own, the palette for further ones.
pub(super) fn look(rank: usize) -> (&'static str, Marker) {
    match rank {
        0 => ("dodgerblue", Marker::Cross),
        1 => ("orange", Marker::Down),
        2 => ("olivedrab", Marker::Up),
        _ => {
            let further = (rank - 3) % FURTHER_COLOURS.len();
            let colour = FURTHER_COLOURS.get(further).copied();
            (colour.unwrap_or("gray"), Marker::None)
        }
    }
}

/// Numbers beside the curves.
pub(super) struct Counts<'a> {
    pub(super) names: &'a [&'a str],
    pub(super) total: &'a Bin,
    pub(super) others: [(&'a str, u64); 4],
}

/// Lists exact counts: since the start, in the newest closed interval, in the one that is open.
pub(super) fn table(bins: &Bins<Bin>, data_ms: i64, counts: &Counts<'_>) -> Table {
    let empty = Bin::default();
    let last = bins.window(data_ms).next_back();
    let (last_end, last) = last.map_or((None, &empty), |(i, b)| (Some(bins.end_ms(i)), b));
    let open = bins.newest_open(data_ms).map_or(&empty, |(_, bin)| bin);
    let row = |name: &str, count: &dyn Fn(&Bin) -> u64| {
        let (rate_hz, error_hz) = bins.rate_hz(last, count(last));
        let rate = last_end.map(|_| (rate_hz, error_hz));
        vec![
            json!(name),
            json!(count(counts.total)),
            json!(count(open)),
            json!(count(last)),
            json!(rate.map(|r| r.0)),
            json!(rate.map(|r| r.1)),
        ]
    };
    let mut rows = vec![row("Overall", &|bin| bin.events)];
    for (rank, name) in counts.names.iter().enumerate() {
        rows.push(row(name, &|bin| bin.of_trigger(rank).unwrap_or(0)));
    }
    rows.push(row("triggered hits", &|bin| bin.triggered_hits));
    rows.push(row("snapshot hits", &|bin| bin.snapshot_hits));
    rows.push(row("overlays", &|bin| bin.overlays));
    rows.push(row("lost events", &|bin| bin.lost));
    for (name, total) in counts.others {
        let mut cells = vec![json!(name), json!(total)];
        cells.resize(6, json!(null));
        rows.push(cells);
    }
    let last_title = match last_end {
        Some(end_ms) => format!("interval until {} UTC", text_of_ms(end_ms)),
        None => "last interval".to_owned(),
    };
    let columns = [
        "",
        "total",
        "open interval",
        &last_title,
        "rate [Hz]",
        "error [Hz]",
    ];
    Table {
        columns: columns.map(str::to_owned).to_vec(),
        rows,
    }
}
