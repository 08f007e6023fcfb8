//! `ztplot`: the light of events over time and height, and the best events of all time.
//!
//! Every `IO_EVT` message is looked at. An event with enough triggered DUs and DOMs is drawn when it
//! gets into the event selection, or when data time has moved on. The selection keeps the best
//! events by overlays, hits and triggered hits; their payloads and pictures lie in
//! `files/event_selection`, those of a table of another name in `files/event_selection/TABLE`, and go
//! with their rows. `NAME.json` there is the output with its `Panels` view that
//! `/event_selection/NAME.png` or `/event_selection/TABLE/NAME.png` is drawn from.
//!
//! With `elog`, an event that takes a place of the full top 10 is told of as the condition
//! `top10_event` (severity info, subject = name of the picture, behind `TABLE/` as above, text
//! `A new event has made it into the top 10!`), which the sink for ELOG turns into an entry of the logbook with the picture. It is
//! a happening: over at once, and never cleared. Events that merely fill free places say nothing.
//!
//! Requests: `event` answers with the z-t-plot of an event of the last ones or of the selection
//! (`name`, or `run`, `frame_index`, `trigger_counter`; `dus` chooses DUs, `dus_max` how
//! many, `fit` lays the line fit of every DU over its hits, with their residuals), `redraw` draws stored pictures anew (one by its `name`, or all), `remove` takes one out of
//! the selection (`name`).
//!
//! Rows that the SQLite file of `local_db` has already, km3mon's above all, take part as if they had been
//! selected here: `local_db` hands them over as `files/local_db/TABLE.json`, which is looked for every
//! minute (every second at first). They have no payload and no picture here, unless this kind has
//! written them before it lost what it had kept. Nothing is told of them, and files that others wrote
//! are never taken away. Until the first of them have come, 30 s at most,
//! records are not told of, because they may be none. What `remove` took out does not come back from
//! the file, and after `reset` nothing does. The output of the table's name with `_gone` lists the last
//! 1000 events that have left with their files: `local_db` takes their rows out of its file.
//!
//! A change of the selection is kept at once, behind its files: none is lost when the process is killed.
//! At every start the folder is listed. Files without a row, of a start that ended in between or of one
//! whose state could not be read, come back into the selection or go; nothing is told of them anew. Two of
//! this kind in one stack need an `output` and a table of different names; each has its own files of an
//! event that both select.
//!
//! State: the rows (about 100 bytes each, at most `3 * best`, and `90 * best_per_day` and
//! `90 * best_per_run` more), the payloads of the last 5000 events (at most 64 MiB) and the event
//! drawn last.

mod asked;
mod counts;
pub(crate) mod drawing;
mod folder;
mod found;
mod gauge;
mod gone;
mod kept;
mod merging;
mod options;
mod orphans;
mod overlay;
mod own;
mod row;
mod run_types;
mod selection;
mod store;
mod stored;
mod tables;

use std::path::Path;

use bytes::Bytes;
use fathom_formats::km3net::Event as Payload;
use fathom_kernel::view::{Panels, View};
use fathom_kernel::{
    Claim, Event, Fetched, FileEdit, Frame, Monitor, Output, Outputs, Persist, Saved, Setup,
    Timestamp, Topics, tags,
};

use self::asked::Asked;
use self::counts::Counts;
use self::drawing::{Chosen, EVERY_DU, Paper};
use self::folder::Folder;
use self::gauge::Gauge;
use self::gone::Gone;
pub use self::options::Config;
use self::orphans::Orphans;
use self::own::Own;
use self::row::{Category, Key, Row};
use self::run_types::RunTypes;
use self::selection::{Places, Selection, Verdict};
use self::store::Store;
use self::stored::{Held, Stored};
use crate::clock::{RARELY_S, ms_of, ms_of_header, timestamp};
use crate::faulty::Faulty;
use crate::places::Strangers;
use crate::royfit::event::Fitter;

const NOTICE: &str = "A new event has made it into the top 10!";
/// The tables are looked over at least so often, because events cease to be new (ms).
const TABLES_MS: i64 = 60_000;

/// The monitor.
pub struct ZtPlot {
    config: Config,
    folder: Folder,
    setup: Setup,
    paper: Paper,
    gauge: Gauge,
    strangers: Strangers,
    selection: Selection,
    runs: RunTypes,
    store: Store,
    stored: Stored,
    own: Own,
    orphans: Orphans,
    /// Fits lines to events, once somebody has asked for it.
    fitter: Option<Fitter>,
    asked: Asked,
    counts: Counts,
    /// Second of the event drawn last.
    drawn_s: Option<i64>,
    /// The event drawn last.
    latest: Option<Bytes>,
    /// The event drawn last was kept over a restart and is not on the board yet.
    is_hidden: bool,
    /// Events that have lost their place; their files go at the next tick.
    leaving: Vec<Row>,
    gone: Gone,
    tables: Shown,
    faulty: Faulty,
}

/// Whether the tables show what there is.
#[derive(Debug, Default)]
struct Shown {
    changed: bool,
    at_ms: Option<i64>,
}

impl Monitor for ZtPlot {
    type Config = Config;
    const TOPICS: Topics = Topics::frames(&[tags::IO_EVT]);
    const QUESTIONS: &'static [&'static str] = &["bad", "event"];

    fn check(config: &Config, setup: &Setup) -> Result<(), String> {
        config.check(setup)
    }

    fn claims(config: &Config) -> Vec<Claim> {
        let own_table = "give one of them another event_selection_table";
        let table = &config.event_selection_table;
        vec![
            Claim::output(&*config.output, "give one of them another output"),
            Claim::file(Path::new("files").join(Folder::of(table).path()), own_table),
        ]
    }

    fn new(config: Config, setup: &Setup) -> Self {
        let paper = setup
            .detector
            .as_ref()
            .map(|detector| Paper::new(detector, config.ytick_distance, config.dus_max));
        let places = Places {
            all: config.best,
            per_day: config.best_per_day,
            per_run: config.best_per_run,
        };
        let runs = RunTypes::new(config.runs.clone(), config.run_types.clone());
        Self {
            paper: paper.unwrap_or_default(),
            gauge: Gauge::new(setup),
            strangers: Strangers::of(setup),
            selection: Selection::new(places),
            runs,
            store: Store::default(),
            folder: Folder::of(&config.event_selection_table),
            stored: Stored::new(&config.event_selection_table),
            own: Own::default(),
            orphans: Orphans::default(),
            fitter: None,
            asked: Asked::default(),
            counts: Counts::default(),
            drawn_s: None,
            latest: None,
            is_hidden: false,
            leaving: Vec::new(),
            gone: Gone::default(),
            tables: Shown {
                changed: true,
                at_ms: None,
            },
            faulty: Faulty::default(),
            setup: setup.clone(),
            config,
        }
    }

    fn on_event(&mut self, event: &Event, out: &mut Outputs) {
        let Event::Frame(frame) = event else { return };
        match Payload::decode(&frame.body) {
            Ok(payload) => {
                self.strangers.look_at(&payload.header, out);
                self.take(frame, &payload, out);
            }
            Err(error) => self.faulty.saw(frame, &error, out),
        }
    }

    fn on_tick(&mut self, now: Timestamp, out: &mut Outputs) {
        let now_ms = now.as_millisecond();
        if let Some(fetch) = self.runs.fetch(now_ms) {
            out.fetch(fetch);
        }
        if let Some(fetch) = self.stored.fetch(now_ms) {
            out.fetch(fetch);
        }
        if self.stored.is_impatient(now_ms) {
            self.wait_no_longer(out);
        }
        self.asked.fetch(&self.folder, out);
        self.orphans.fetch(now_ms, &self.folder, out);
        self.let_go(out);
        self.put_tables(now_ms, out);
        if std::mem::take(&mut self.is_hidden) {
            self.show_again(out);
        }
    }

    fn on_fetched(&mut self, fetched: Fetched, out: &mut Outputs) {
        if let Some(name) = own::picture_of(&fetched) {
            return self.take_picture(&name, fetched, out);
        }
        if let Some(answer) = orphans::Answer::of(&fetched) {
            return self.take_orphan(answer, fetched, out);
        }
        match &*fetched.name {
            run_types::FETCH => {}
            stored::FETCH => return self.take_found(fetched, out),
            _ => return self.take_stored(fetched, out),
        }
        match self.runs.take(fetched) {
            Ok(true) => {
                let runs = &self.runs;
                let gone = self.selection.remove(|row| runs.excludes(row.key.run_id));
                self.leaving.extend(gone);
                self.stored.look_again();
            }
            Ok(false) => {}
            Err(_) => out.bad("table of runs cannot be read"),
        }
    }

    fn on_end(&mut self) {
        self.stored.is_over();
    }

    fn is_busy(&self) -> bool {
        self.stored.holds()
    }

    fn reset(&mut self) {
        let rows = self.selection.rows().iter().cloned();
        let leaving: Vec<_> = self.leaving.iter().cloned().chain(rows).collect();
        let mut fresh = Self::new(self.config.clone(), &self.setup.clone());
        std::mem::swap(&mut fresh.stored, &mut self.stored);
        fresh.stored.begin_anew();
        fresh.leaving = leaving;
        std::mem::swap(&mut fresh.gone, &mut self.gone);
        *self = fresh;
    }

    fn on_request(
        &mut self,
        verb: &str,
        args: &serde_json::Value,
    ) -> Result<serde_json::Value, String> {
        match verb {
            "event" => self.answer_event(args),
            "redraw" => self.answer_redraw(args),
            "remove" => self.answer_remove(args),
            _ => self.faulty.answer(verb, args, ", event, redraw, remove"),
        }
    }

    fn persist(&mut self, keep: &mut Persist) {
        self.keep(keep);
    }

    fn restore(&mut self, saved: &Saved) -> Result<(), String> {
        self.take_back(saved)
    }

    fn memory_bytes(&self) -> usize {
        let rows = size_of_val(self.selection.rows());
        rows + self.store.bytes()
            + self.latest.as_ref().map_or(0, Bytes::len)
            + self.fitter.as_ref().map_or(0, Fitter::memory_bytes)
            + self.faulty.memory_bytes()
    }
}

impl ZtPlot {
    fn take(&mut self, frame: &Frame, event: &Payload<'_>, out: &mut Outputs) {
        let data_ms = ms_of_header(&event.header);
        let strangers = &mut self.strangers;
        let counts = &mut self.counts;
        counts.events += 1;
        self.gauge.unknown(event, |dom_id| {
            counts.unknown_hits += 1;
            strangers.saw(dom_id, data_ms);
        });
        // A copy, because the body holds on to the whole buffer that it was read into. Small events are
        // kept as well: whoever sees one in a hit map may ask for it.
        let body = Bytes::copy_from_slice(&frame.body);
        self.store.keep(Key::of(event), body.clone());
        let spread = self.gauge.spread(event);
        if spread.dus < self.config.min_dus || spread.doms < self.config.min_doms {
            self.counts.too_small += 1;
            return;
        }
        let row = Row::of(event, spread.dus);
        let verdict = match self.runs.allow(row.key.run_id) {
            true => self.selection.judge(&row),
            false => {
                self.counts.other_runs += 1;
                Verdict::Passed
            }
        };
        let second = row.utc_timestamp;
        if verdict == Verdict::Passed && !self.is_due(second) {
            return;
        }
        self.drawn_s = Some(second);
        self.counts.drawn += 1;
        let view = self.draw(event, EVERY_DU);
        if verdict != Verdict::Passed {
            self.select(row, verdict, frame.received, (event, &view, &body), out);
        }
        self.latest = Some(body);
        self.is_hidden = false;
        out.put(self.output(&self.config.output, event, view));
    }

    /// Shows what was drawn last before a restart.
    fn show_again(&self, out: &mut Outputs) {
        let event = self.latest.as_deref().map(Payload::decode);
        if let Some(Ok(event)) = event {
            out.put(self.output(&self.config.output, &event, self.draw(&event, EVERY_DU)));
        }
    }

    /// Tells whether data time has moved on, in either direction, since the last drawing.
    fn is_due(&self, second: i64) -> bool {
        let interval_s = ms_of(self.config.interval).unsigned_abs().div_ceil(1000);
        self.drawn_s
            .is_none_or(|drawn_s| second.abs_diff(drawn_s) >= interval_s)
    }

    fn draw(&self, event: &Payload<'_>, chosen: Chosen<'_>) -> Panels {
        match &self.setup.detector {
            Some(detector) => self.paper.draw(event, detector, chosen),
            None => Panels::default(),
        }
    }

    fn output(&self, name: &str, event: &Payload<'_>, view: impl Into<View>) -> Output {
        let at = timestamp(ms_of_header(&event.header));
        Output::new(name, drawing::title(event), view)
            .at(Some(at))
            .every(self.config.interval.seconds())
    }

    /// Takes an event into the selection, with its files.
    fn select(
        &mut self,
        mut row: Row,
        verdict: Verdict,
        received: Timestamp,
        (event, view, body): (&Payload<'_>, &Panels, &Bytes),
        out: &mut Outputs,
    ) {
        let name = row.key.name();
        let picture = self.output(&name, event, view.clone());
        self.write_event(&name, body.to_vec(), &picture, out);
        out.keep();
        let key = row.key;
        row.was_found = verdict == Verdict::Found;
        self.gone.came(key);
        let gone = self.selection.take(row);
        self.leaving.extend(gone);
        self.tables.changed = true;
        if verdict == Verdict::Found {
            return;
        }
        self.counts.selected += 1;
        if verdict != Verdict::OfItsTime {
            let held = Held {
                key,
                is_record: verdict == Verdict::Record,
                received,
            };
            let selection = &self.selection;
            let told = self.stored.hold(held, |key| selection.has(key));
            if let Some(held) = told.filter(|held| held.is_record) {
                self.tell(&held, out);
            }
        }
    }

    fn write_event(&self, name: &str, body: Vec<u8>, picture: &Output, out: &mut Outputs) {
        // The picture first: one that is alone, because the process was killed in between, says whose it
        // is and goes at the next start. A payload alone would stay for ever.
        self.write_picture(name, picture, out);
        let path = self.folder.path_of(name, "dat");
        out.file(FileEdit::Write { path, bytes: body });
    }

    /// Writes a picture, signed with the name of the table.
    fn write_picture(&self, name: &str, picture: &Output, out: &mut Outputs) {
        let signed = orphans::Signed {
            picture,
            selected_for: &self.config.event_selection_table,
        };
        let path = self.folder.path_of(name, "json");
        let bytes = serde_json::to_vec(&signed).expect("an output becomes JSON");
        out.file(FileEdit::Write { path, bytes });
    }

    /// Takes away the files of events that have lost their place.
    fn let_go(&mut self, out: &mut Outputs) {
        if self.leaving.is_empty() {
            return;
        }
        self.tables.changed = true;
        out.keep();
        for row in self.leaving.drain(..) {
            // It may have come back meanwhile.
            if self.selection.has(row.key) || !row.has_files() {
                continue;
            }
            for ending in ["dat", "json"] {
                let path = self.folder.path_of(&row.key.name(), ending);
                out.file(FileEdit::Remove { path });
            }
            self.gone.left(row);
        }
    }

    fn put_tables(&mut self, now_ms: i64, out: &mut Outputs) {
        let is_old = |at: i64| now_ms.abs_diff(at) >= TABLES_MS.unsigned_abs();
        if std::mem::take(&mut self.tables.changed) || self.tables.at_ms.is_none_or(is_old) {
            self.tables.at_ms = Some(now_ms);
            self.put_selection(now_ms / 1000, out);
        }
        let name = &self.config.output;
        let (unknown, at) = (format!("{name}_unknown"), Some(timestamp(now_ms)));
        let title = "DOMs not in the detector description, by hits";
        self.strangers.put_if_changed(&unknown, title, at, out);
        if let Some(table) = self.counts.table_if_changed(self.selection.limits()) {
            let title = "Events of the z-t-plot in numbers";
            out.put(
                Output::new(format!("{name}_counts"), title, table).at(Some(timestamp(now_ms))),
            );
        }
    }

    fn put_selection(&self, now_s: i64, out: &mut Outputs) {
        let table = &self.config.event_selection_table;
        let newest_s = self
            .selection
            .rows()
            .iter()
            .map(|row| row.utc_timestamp)
            .max();
        let newest = newest_s.map(|s| timestamp(s.saturating_mul(1000)));
        for category in Category::ALL {
            let best = self.selection.best(category);
            let page = tables::page(&best, &self.folder, &self.config.archives, now_s);
            let title = format!("Top {} by {}", self.config.best, category.title());
            let output = Output::new(page_name(table, category), title, page);
            out.put(output.at(newest).every(RARELY_S));
        }
        for (name, title, all) in [
            (
                table.clone(),
                "Event selection",
                tables::all(self.selection.rows().iter()),
            ),
            (
                format!("{table}_gone"),
                "Events that have left the selection",
                tables::all(self.gone.rows()),
            ),
        ] {
            out.put(Output::new(name, title, all).at(newest).every(RARELY_S));
        }
    }
}

fn page_name(table: &str, category: Category) -> String {
    format!("{table}_{}", category.name())
}
