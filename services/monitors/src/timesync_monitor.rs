//! `timesync_monitor`: DOMs whose White Rabbit synchronisation is lost, from bit 31 of the status
//! word of every frame.
//!
//! `IO_TSSN` decides; while none comes, `IO_SUM` does. A DOM is out of sync from its first affected
//! frame until it sent only good ones for a while, so that one that flaps is one alarm and not
//! twenty a second. Modules that the detector description does not have are watched as well, until
//! they send nothing for ten minutes, 1000 at most. Kept over restarts: who is out of sync, affected frames, a day of minutes. State:
//! 64 bytes per DOM (265 kB for 4,140) and 46 kB of minutes.

mod dom;
mod history;
mod outsiders;
mod views;

use fathom_formats::detx::status_bits;
use fathom_formats::km3net::{Header, SliceLevel, SummarySlice, TimeSlice};
use fathom_kernel::view::View;
use fathom_kernel::{
    Event, Frame, Monitor, Output, Outputs, Persist, Saved, Setup, Severity, Span, Timestamp,
    Topics, tags,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::dom::Dom;
use self::history::{History, Minute};
use self::outsiders::Outsiders;
use crate::clock::{is_due, ms_of, ms_of_header, timestamp};
use crate::faulty::Faulty;
use crate::places::{Found, Place, Places, Strangers};
use crate::timeline::{Fit, Timeline};

/// Ids listed in the text of the alarm, of each sort; the others are counted.
const TEXT_IDS_MAX: usize = 200;

/// Options of `timesync_monitor`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Time between two maps.
    pub interval: Span,
    /// A DOM is in sync again after so long without an affected frame, in data time.
    pub recovery: Span,
    /// Without any `IO_TSSN` for so long, `IO_SUM` decides.
    pub fallback_after: Span,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            interval: Span::from_secs(5),
            recovery: Span::from_secs(10),
            fallback_after: Span::from_secs(10),
        }
    }
}

/// Which messages decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    Supernova,
    Summary,
}

/// Slices since the start.
#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    slices: u64,
    /// Summary slices left aside because `IO_TSSN` comes.
    aside: u64,
    /// Slices whose own time is marked as not synchronised.
    marked: u64,
    clock_off: u64,
}

/// The monitor.
pub struct TimesyncMonitor {
    config: Config,
    setup: Setup,
    places: Places,
    strangers: Strangers,
    doms: Vec<Dom>,
    outsiders: Outsiders,
    timeline: Timeline,
    history: History,
    /// Arrival of the newest `IO_TSSN` (ms).
    supernova_ms: Option<i64>,
    source: Option<Source>,
    newest_ms: Option<i64>,
    drawn_ms: Option<i64>,
    counts: Counts,
    faulty: Faulty,
}

/// What is kept over a restart.
#[derive(Serialize, Deserialize)]
struct Kept {
    version: u32,
    ahead_ms: Option<i64>,
    doms: Vec<KeptDom>,
    minutes: Vec<Minute>,
}

#[derive(Serialize, Deserialize)]
struct KeptDom {
    id: u32,
    frames: u64,
    affected: u64,
    lost_ms: Option<i64>,
    affected_ms: Option<i64>,
}

const KEPT_VERSION: u32 = 1;

impl Monitor for TimesyncMonitor {
    type Config = Config;
    const TOPICS: Topics = Topics::frames(&[tags::IO_TSSN, tags::IO_SUM]);
    const QUESTIONS: &'static [&'static str] = Faulty::QUESTIONS;

    fn new(config: Config, setup: &Setup) -> Self {
        let places = Places::of(setup);
        Self {
            config,
            setup: setup.clone(),
            doms: vec![Dom::default(); places.list().len()],
            places,
            outsiders: Outsiders::default(),
            strangers: Strangers::of(setup),
            timeline: Timeline::default(),
            history: History::default(),
            supernova_ms: None,
            source: None,
            newest_ms: None,
            drawn_ms: None,
            counts: Counts::default(),
            faulty: Faulty::default(),
        }
    }

    fn on_event(&mut self, event: &Event, out: &mut Outputs) {
        let Event::Frame(frame) = event else { return };
        if frame.tag == tags::IO_TSSN {
            match TimeSlice::decode(SliceLevel::SN, &frame.body) {
                Ok(slice) => {
                    self.supernova_ms = Some(frame.received.as_millisecond());
                    self.strangers.look_at(&slice.header, out);
                    let states = slice.frames();
                    let states = states.map(|f| (f.dom_id.0, f.status.white_rabbit_ok()));
                    self.take(frame, &slice.header, states, Source::Supernova);
                }
                Err(error) => self.faulty.saw(frame, &error, out),
            }
            return;
        }
        match SummarySlice::decode(&frame.body) {
            Ok(slice) => {
                self.strangers.look_at(&slice.header, out);
                if self.has_supernova(frame.received.as_millisecond()) {
                    self.counts.aside += 1;
                    return;
                }
                let states = slice.frames.iter();
                let states = states.map(|f| (f.dom_id().0, f.status().white_rabbit_ok()));
                self.take(frame, &slice.header, states, Source::Summary);
            }
            Err(error) => self.faulty.saw(frame, &error, out),
        }
    }

    fn on_tick(&mut self, now: Timestamp, out: &mut Outputs) {
        self.timeline.tick();
        self.judge(now, out);
        let now_ms = now.as_millisecond();
        self.history.close(self.timeline.at(now_ms));
        if is_due(self.config.interval, self.drawn_ms, now_ms) {
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
        let kept = Kept {
            version: KEPT_VERSION,
            ahead_ms: self.timeline.ahead_ms(),
            doms: self
                .all()
                .filter(|(_, dom)| dom.affected > 0)
                .map(|(id, dom)| KeptDom {
                    id,
                    frames: dom.frames,
                    affected: dom.affected,
                    lost_ms: dom.lost_ms,
                    affected_ms: dom.affected_ms,
                })
                .collect(),
            minutes: self.history.minutes().copied().collect(),
        };
        keep.json(&kept);
    }

    fn restore(&mut self, saved: &Saved) -> Result<(), String> {
        let Some(kept) = saved.json::<Kept>()? else {
            return Ok(());
        };
        if kept.version != KEPT_VERSION {
            return Err(format!(
                "kept with version {}, expected {KEPT_VERSION}",
                kept.version
            ));
        }
        self.timeline.resume(kept.ahead_ms);
        for kept in kept.doms {
            let dom = match self.places.find(kept.id) {
                Found::Dom(rank) => self.dom(rank),
                // Only who was out of sync is of interest; others come again as they send.
                Found::Base | Found::Unknown if kept.lost_ms.is_none() => continue,
                Found::Base | Found::Unknown => match self.outsiders.dom(kept.id) {
                    Some(dom) => dom,
                    None => continue,
                },
            };
            dom.frames = kept.frames;
            dom.affected = kept.affected;
            dom.lost_ms = kept.lost_ms;
            dom.affected_ms = kept.affected_ms;
        }
        self.history.put_back(kept.minutes);
        Ok(())
    }

    fn memory_bytes(&self) -> usize {
        self.places.memory_bytes()
            + self.doms.len() * size_of::<Dom>()
            + self.outsiders.memory_bytes()
            + self.history.minutes().len() * size_of::<Minute>()
            + self.faulty.memory_bytes()
    }
}

impl TimesyncMonitor {
    fn has_supernova(&self, host_ms: i64) -> bool {
        let limit_ms = ms_of(self.config.fallback_after);
        let fresh = |at_ms: i64| host_ms.saturating_sub(at_ms) <= limit_ms;
        self.supernova_ms.is_some_and(fresh)
    }

    fn take(
        &mut self,
        frame: &Frame,
        header: &Header,
        states: impl Iterator<Item = (u32, bool)>,
        source: Source,
    ) {
        // The flag of the slice is not part of its time: with it times were 68 years too late.
        let mut data_ms = ms_of_header(header);
        let host_ms = frame.received.as_millisecond();
        match self.timeline.saw(data_ms, host_ms) {
            Fit::Near => self.newest_ms = self.newest_ms.max(Some(data_ms)),
            Fit::Set => self.newest_ms = Some(data_ms),
            Fit::Stray => {
                // The state it tells is true all the same.
                self.counts.clock_off += 1;
                data_ms = self.timeline.at(host_ms);
            }
        }
        self.source = Some(source);
        self.counts.slices += 1;
        self.counts.marked += u64::from(header.white_rabbit);
        let (mut frames, mut affected) = (0, 0);
        for (dom_id, in_sync) in states {
            let Found::Dom(rank) = self.places.find(dom_id) else {
                self.strangers.saw(dom_id, data_ms);
                if let Some(dom) = self.outsiders.dom(dom_id) {
                    dom.add(in_sync, data_ms);
                }
                continue;
            };
            frames += 1;
            affected += u64::from(!in_sync);
            self.dom(rank).add(in_sync, data_ms);
        }
        self.history.add(frames, affected);
    }

    /// Returns the state of a DOM; without detector description the list grows as they come.
    fn dom(&mut self, rank: usize) -> &mut Dom {
        if rank >= self.doms.len() {
            self.doms.resize(rank + 1, Dom::default());
        }
        &mut self.doms[rank]
    }

    /// Iterates over all DOMs by their ids, those of no known place last.
    fn all(&self) -> impl Iterator<Item = (u32, &Dom)> {
        let placed = self.places.list().iter().zip(&self.doms);
        let placed = placed.map(|(place, dom)| (place.dom_id, dom));
        placed.chain(self.outsiders.iter())
    }

    /// Raises and clears the alarms of DOMs, and says all of them in one text when one has changed.
    fn judge(&mut self, now: Timestamp, out: &mut Outputs) {
        let recovery_ms = ms_of(self.config.recovery);
        let data_ms = self.timeline.at(now.as_millisecond());
        let mut said = Vec::new();
        let placed = self.doms.iter_mut().zip(self.places.list());
        for (dom, place) in placed {
            if self.places.is_off(place, status_bits::MODULE_OUT_OF_SYNC) {
                // Lost before a newer description said so.
                dom.lost_ms = None;
                continue;
            }
            if let Some(change) = dom.judge(recovery_ms) {
                let Place { du, floor, dom_id } = *place;
                let subject = format!("DU {du} floor {floor}");
                let text = change.text(dom_id, &subject);
                said.push((subject, change.is_lost, text));
            }
        }
        for (id, is_lost, text) in self.outsiders.judge(recovery_ms, data_ms) {
            said.push((format!("DOM {id}"), is_lost, text));
        }
        let lost = self.all().filter(|(_, dom)| dom.lost_ms.is_some()).count();
        self.history.lost(lost);
        let changed = !said.is_empty();
        for (subject, is_lost, text) in said {
            let about = ("time_sync_lost", subject);
            out.alarm(about, Severity::Warning, is_lost, text, now);
        }
        if changed {
            let about = ("time_sync", "all DOMs");
            out.alarm(about, Severity::Alert, lost > 0, self.text(), now);
        }
    }

    /// Returns the text that the original sends to the log, behind the beginning that all alarms have
    /// there. Like there, ids that nobody knows are among them.
    fn text(&self) -> String {
        let lost = self.all().filter(|(_, dom)| dom.lost_ms.is_some());
        let seen = self.all().filter(|(_, dom)| dom.newest_ms.is_some());
        let fine = seen.filter(|(_, dom)| dom.lost_ms.is_none());
        let lost = ids(lost.map(|(id, _)| id));
        let fine = ids(fine.map(|(id, _)| id));
        match lost.is_empty() {
            true => "no DOM is out of time sync any more".to_owned(),
            false => format!("invalid time sync for DOM ID: {lost} /// valid: {fine}"),
        }
    }

    fn draw(&mut self, out: &mut Outputs) {
        self.doms.resize(self.places.list().len(), Dom::default());
        let map = self.map();
        let title = match &self.setup.detector {
            Some(detector) => format!("Time synchronisation for DetID-{}", detector.id),
            None => "Time synchronisation".to_owned(),
        };
        self.put("timesync", &title, map, out);
        let title = "Lost time synchronisation, minute by minute";
        self.put("timesync_history", title, self.history.view(), out);
        let title = "DOMs that lost their time synchronisation";
        self.put("timesync_bad", title, self.lost_table(), out);
        let title = "Time synchronisation in numbers";
        self.put("timesync_summary", title, self.summary(), out);
        let title = "DOMs not in the detector description";
        self.strangers.put_if_changed(
            "timesync_unknown",
            title,
            self.newest_ms.map(timestamp),
            out,
        );
        self.doms.iter_mut().for_each(|dom| dom.interval = (0, 0));
    }

    fn put(&self, name: &str, title: &str, view: impl Into<View>, out: &mut Outputs) {
        let output = Output::new(name, title, view)
            .at(self.newest_ms.map(timestamp))
            .every(self.config.interval.seconds());
        out.put(output);
    }
}

/// Lists ids as the original does, the first ones only when there are many.
fn ids(ids: impl Iterator<Item = u32>) -> String {
    let all: Vec<u32> = ids.collect();
    let shown = all.iter().take(TEXT_IDS_MAX).map(u32::to_string);
    let mut text = shown.collect::<Vec<_>>().join(",");
    if let Some(more) = all.len().checked_sub(TEXT_IDS_MAX).filter(|more| *more > 0) {
        text.push_str(&format!(" and {more} more"));
    }
    text
}
