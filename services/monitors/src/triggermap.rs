//! `triggermap`: which DOMs had hits in the last events, and which triggered, from every `IO_EVT`
//! message.
//!
//! Each event is one sparse column of counts, shared by all versions of the picture, so that a new
//! version costs its new columns only. State: `max_events` times two columns of 4 bytes per DOM with
//! hits and about 100 bytes beside (8 MB for 5000 events with hits in 150 DOMs); at most `dumps` files.

mod dumps;
mod kept;
mod layer;
mod outliers;

use fathom_formats::km3net::Event as Payload;
use fathom_kernel::view::{Colours, ColumnMark, Detail, HitMap, RowLabel, Table, View};
use fathom_kernel::{
    Claim, Event, Frame, Monitor, Output, Outputs, Persist, Saved, Setup, Span, Timestamp, Topics,
    tags,
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use self::dumps::Dumps;
use self::kept::Column;
use self::layer::Layer;
use crate::clock::{is_due, ms_of_header, timestamp};
use crate::faulty::Faulty;
use crate::places::{Found, Places, Strangers};
use crate::runs::{Run, Runs};
use crate::timeline::{Fit, Timeline};

/// DUs up to which single floors are labelled.
const DUS_WITH_FLOORS: usize = 12;
/// Floors labelled beside the first one: each so many.
const LABEL_FLOORS: i32 = 6;

/// Options of `triggermap`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Events shown.
    #[schemars(range(min = 1, max = 50000))]
    pub max_events: usize,
    /// Time between two versions of the maps.
    pub interval: Span,
    /// Events with hits of unknown DOMs kept as files below `files/triggermap`; the oldest go. 0 keeps
    /// none.
    #[schemars(range(min = 0, max = 1000))]
    pub dumps: usize,
    /// A DOM with hits in fewer events than this share of the median of its floor is called dead.
    pub dead_below: f64,
    /// A DOM with hits in more events than so many times the median of its floor is called hot.
    pub hot_above: f64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            max_events: 1000,
            interval: Span::from_secs(2),
            dumps: 20,
            dead_below: 0.2,
            hot_above: 5.0,
        }
    }
}

/// The monitor.
pub struct TriggerMap {
    config: Config,
    setup: Setup,
    places: Places,
    strangers: Strangers,
    timeline: Timeline,
    runs: Runs,
    marks: Vec<ColumnMark>,
    /// All hits, and those that took part in a trigger.
    hits: Layer,
    triggered: Layer,
    /// Number of the next event.
    next: u64,
    unknown_hits: u64,
    dumps: Dumps,
    newest_ms: Option<i64>,
    drawn_ms: Option<i64>,
    changed: bool,
    /// Number up to which columns are kept on disk, and the bytes appended there.
    kept_to: u64,
    kept_bytes: Option<usize>,
    faulty: Faulty,
}

impl Monitor for TriggerMap {
    type Config = Config;
    const TOPICS: Topics = Topics::frames(&[tags::IO_EVT]);
    const QUESTIONS: &'static [&'static str] = Faulty::QUESTIONS;

    fn check(config: &Config, _: &Setup) -> Result<(), String> {
        if !(1..=50_000).contains(&config.max_events) {
            let got = config.max_events;
            return Err(format!("max_events is {got}, expected 1 to 50000"));
        }
        if config.dumps > 1000 {
            return Err(format!("dumps is {}, expected 0 to 1000", config.dumps));
        }
        let (dead, hot) = (config.dead_below, config.hot_above);
        if !(0.0..1.0).contains(&dead) || !hot.is_finite() || hot <= 1.0 {
            return Err("expected dead_below from 0 to 1 and hot_above above 1".into());
        }
        Ok(())
    }

    fn claims(config: &Config) -> Vec<Claim> {
        let claim = || Claim::file("files/triggermap", "write dumps = 0 in one of them");
        (config.dumps > 0).then(claim).into_iter().collect()
    }

    fn new(config: Config, setup: &Setup) -> Self {
        Self {
            places: Places::of(setup),
            setup: setup.clone(),
            strangers: Strangers::of(setup),
            timeline: Timeline::default(),
            runs: Runs::default(),
            marks: Vec::new(),
            hits: Layer::new(config.max_events),
            triggered: Layer::new(config.max_events),
            next: 0,
            unknown_hits: 0,
            dumps: Dumps::new(config.dumps),
            newest_ms: None,
            drawn_ms: None,
            changed: true,
            kept_to: 0,
            kept_bytes: None,
            faulty: Faulty::default(),
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
        self.timeline.tick();
        let now_ms = now.as_millisecond();
        let due = is_due(self.config.interval, self.drawn_ms, now_ms);
        if due && std::mem::take(&mut self.changed) {
            self.drawn_ms = Some(now_ms);
            self.draw(out);
        }
    }

    fn reset(&mut self) {
        *self = Self::new(self.config.clone(), &self.setup.clone());
    }

    fn on_request(
        &mut self,
        verb: &str,
        args: &serde_json::Value,
    ) -> Result<serde_json::Value, String> {
        self.faulty.answer(verb, args, "")
    }

    fn persist(&mut self, keep: &mut Persist) {
        self.keep(keep);
    }

    fn restore(&mut self, saved: &Saved) -> Result<(), String> {
        self.take_back(saved)
    }

    fn memory_bytes(&self) -> usize {
        self.hits.memory_bytes() + self.triggered.memory_bytes() + self.faulty.memory_bytes()
    }
}

impl TriggerMap {
    fn take(&mut self, frame: &Frame, payload: &Payload<'_>, out: &mut Outputs) {
        let data_ms = ms_of_header(&payload.header);
        let run = Run::of(&payload.header);
        match self.timeline.saw(data_ms, frame.received.as_millisecond()) {
            Fit::Stray => {}
            fit => {
                if fit == Fit::Set {
                    self.runs.jump();
                    self.newest_ms = None;
                }
                self.newest_ms = self.newest_ms.max(Some(data_ms));
                self.mark(run, data_ms);
            }
        }
        let unknown_before = self.unknown_hits;
        let mut stranger = None;
        for hits in payload.snapshot.chunk_by(|a, b| a.dom_id() == b.dom_id()) {
            let dom_id = hits[0].dom_id().0;
            match self.find(dom_id) {
                Some(row) => self.hits.add(row, hits.len()),
                None => {
                    self.unknown_hits += hits.len() as u64;
                    self.strangers.saw(dom_id, data_ms);
                    stranger = Some(dom_id);
                }
            }
        }
        let same = |a: &_, b: &_| {
            let dom = fathom_formats::km3net::TriggeredHit::dom_id;
            dom(a) == dom(b)
        };
        for hits in payload.triggered.chunk_by(same) {
            if let Some(row) = self.find(hits[0].dom_id().0) {
                self.triggered.add(row, hits.len());
            }
        }
        if let Some(stranger) = stranger {
            let number = self.unknown_hits - unknown_before;
            self.dumps.keep(frame, payload, (stranger, number), out);
        }
        let header = &payload.header;
        let column = Column {
            number: self.next,
            at_ms: data_ms,
            // The page finds the event by these numbers (`eventOf` in `questions.ts`).
            note: format!(
                "det {} run {} frame {} counter {}",
                header.detector_id.0, header.run.0, header.frame_index, payload.trigger_counter
            ),
        };
        self.triggered.close(column.clone());
        self.hits.close(column);
        self.next += 1;
        self.changed = true;
    }

    /// Returns the row of a DOM.
    fn find(&mut self, dom_id: u32) -> Option<u16> {
        match self.places.find(dom_id) {
            Found::Dom(rank) => u16::try_from(rank).ok(),
            Found::Base | Found::Unknown => None,
        }
    }

    /// Draws a line where the run changes, up or down. Late events of the run before draw none.
    fn mark(&mut self, run: Run, data_ms: i64) {
        let before = self.runs.current();
        if !self.runs.saw(run, data_ms) {
            return;
        }
        let text = match before {
            Some(old) if old.detector != run.detector => {
                format!("DET {} RUN {}", run.detector, run.run)
            }
            _ => format!("RUN {}", run.run),
        };
        let number = self.next;
        self.marks.push(ColumnMark { number, text });
    }

    fn draw(&mut self, out: &mut Outputs) {
        let oldest = self.hits.oldest().unwrap_or(self.next);
        self.marks.retain(|mark| mark.number >= oldest);
        self.put("hitmap", "Hits on DOMs", self.picture(&self.hits), out);
        let triggered = self.picture(&self.triggered);
        self.put("triggermap", "Trigger Map", triggered, out);
        self.put("hitmap_doms", "Hits per event and DOM", self.map(), out);
        let outliers = outliers::table(
            &self.places,
            &self.hits,
            (self.config.dead_below, self.config.hot_above),
        );
        let title = "DOMs with hits in too few or too many events";
        self.put("hitmap_outliers", title, outliers, out);
        self.put(
            "triggermap_counts",
            "Events of the maps",
            self.counts(),
            out,
        );
        let title = "DOMs with hits that are not in the detector description";
        self.strangers.put_if_changed(
            "triggermap_unknown",
            title,
            self.newest_ms.map(timestamp),
            out,
        );
    }

    fn picture(&self, layer: &Layer) -> HitMap {
        HitMap {
            x_label: "event".into(),
            rows: u32::try_from(self.places.list().len()).unwrap_or(u32::MAX),
            columns_max: u32::try_from(self.config.max_events).unwrap_or(u32::MAX),
            row_labels: self.labels(),
            columns: layer.columns(),
            marks: self.marks.clone(),
            colours: colours("number of hits", 1.0, f64::from(layer.largest())),
        }
    }

    /// Labels the first floor of each DU, and some above where there is room.
    fn labels(&self) -> Vec<RowLabel> {
        let firsts = self.places.du_labels();
        if firsts.len() > DUS_WITH_FLOORS {
            return firsts;
        }
        let is_first = |row: u32| firsts.iter().any(|label| label.row == row);
        let places = self.places.list().iter().zip(0..);
        places
            .filter(|(place, row)| is_first(*row) || place.floor % LABEL_FLOORS == 0)
            .map(|(place, row)| RowLabel {
                row,
                text: format!("DU{}-DOM{}", place.du, place.floor),
            })
            .collect()
    }

    fn map(&self) -> fathom_kernel::view::Map {
        let doms = self.places.list().len();
        let per_event = |layer: &Layer, of: &dyn Fn(layer::Sum) -> u64| {
            (0..doms)
                .map(|row| layer.per_event(of(layer.sum(row))))
                .collect()
        };
        let values: Vec<f64> = per_event(&self.hits, &|sum| sum.hits);
        let detail = |name: &str, values| Detail {
            name: name.into(),
            values,
        };
        let details = vec![
            detail(
                "triggered hits per event",
                per_event(&self.triggered, &|s| s.hits),
            ),
            detail(
                "share of events with a hit",
                per_event(&self.hits, &|s| s.events),
            ),
            detail(
                "share of events with a triggered hit",
                per_event(&self.triggered, &|s| s.events),
            ),
        ];
        let seen = values.iter().copied().filter(|value| *value > 0.0);
        let (low, high) = seen.fold((f64::INFINITY, 0.0_f64), |(low, high), value| {
            (low.min(value), high.max(value))
        });
        let low = if low.is_finite() { low } else { 1e-3 };
        let colours = colours("hits per event", low, high.max(2.0 * low));
        self.places.map(values, details, colours)
    }

    fn counts(&self) -> Table {
        let run = self.runs.current();
        let rows = [
            ("events in the maps", json!(self.hits.len())),
            ("events since the start", json!(self.next)),
            ("hits of unknown DOMs", json!(self.unknown_hits)),
            ("events kept as files", json!(self.dumps.files())),
            ("current run", json!(run.map(|run| run.run))),
        ];
        Table {
            columns: vec!["".into(), "value".into()],
            rows: rows.map(|(name, value)| vec![json!(name), value]).to_vec(),
        }
    }

    fn put(&self, name: &str, title: &str, view: impl Into<View>, out: &mut Outputs) {
        let datum = self.newest_ms.map(timestamp);
        // A detector triggers at least now and then.
        out.put(Output::new(name, title, view).at(datum).every(60.0));
    }
}

/// Colours of counts: from the first one to the largest, and nothing where there is none.
fn colours(label: &str, low: f64, high: f64) -> Colours {
    Colours {
        map: "plasma".into(),
        low,
        high: high.max(low * 2.0),
        log: true,
        under: Some("lightgrey".into()),
        over: None,
        missing: "lightgrey".into(),
        label: label.into(),
    }
}
