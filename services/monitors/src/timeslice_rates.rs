//! `timeslice_rates`: slices per second of the streams L0, L1, L2 and SN, how complete they are, and
//! which frames are missing.
//!
//! Only the first 34 bytes of a slice are read, so that slices of megabytes cost nothing. Slices are
//! counted in bins of data time; a frame counts once, in however many parts it is sent. State: at most
//! `2 * points` bins of 120 bytes (2 MB for 8640 points) and 100 gaps per stream.

mod frames;
mod slices;
mod tables;

use std::collections::BTreeMap;

use fathom_formats::km3net::{SliceHead, SliceLevel};
use fathom_kernel::view::{Marker, Series, View};
use fathom_kernel::{
    Event, Frame, Monitor, Output, Outputs, Persist, Saved, Setup, Severity, Span, Tag, Timestamp,
    Topics, tags,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::frames::{FRAME_MS, Frames, Seen};
use self::slices::{STREAMS, Slices};
use crate::bins::{Bins, Interval as _};
use crate::clock::{ms_of, ms_of_header, newest, seconds, timestamp};
use crate::curves::{self, Wanted};
use crate::faulty::Faulty;
use crate::places::Strangers;
use crate::runs::{Run, Runs};
use crate::timeline::{Fit, TOLERANCE_MS, Timeline};

/// The streams with the names, colours and markers of their curves.
const LOOKS: [(SliceLevel, &str, &str, Marker); STREAMS] = [
    (SliceLevel::L0, "L0", "tomato", Marker::Diamond),
    (SliceLevel::L1, "L1", "dodgerblue", Marker::Cross),
    (SliceLevel::L2, "L2", "orange", Marker::Down),
    (SliceLevel::SN, "SN", "olivedrab", Marker::Up),
];

/// Options of `timeslice_rates`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Length of an interval; intervals start at whole multiples of it in data time.
    pub interval: Span,
    /// How long after its end an interval waits for late slices before its point is drawn.
    pub lateness: Span,
    /// Time shown by the curves.
    pub history: Span,
    /// Most points per curve; a short interval shortens the time shown.
    #[schemars(range(min = 10, max = 20000))]
    pub points_max: usize,
    /// Streams of which not every 100 ms frame is sent: `{ IO_TSL0 = 10 }` expects one in ten.
    #[schemars(with = "BTreeMap<String, u32>")]
    pub one_in: BTreeMap<Tag, u32>,
    /// Alarm when less than this share of the expected frames of a stream came in an interval; 0
    /// switches it off.
    pub low_fraction: f64,
    /// A stream that was silent for so long is switched off, and not expected any more.
    pub forget_after: Span,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            interval: Span::from_secs(10),
            lateness: Span::from_secs(5),
            history: Span::from_secs(86_400),
            points_max: 8640,
            one_in: BTreeMap::new(),
            low_fraction: 0.9,
            forget_after: Span::from_secs(3600),
        }
    }
}

impl Config {
    fn points(&self) -> usize {
        let fitting = ms_of(self.history) / ms_of(self.interval);
        let fitting = usize::try_from(fitting).unwrap_or(usize::MAX);
        fitting.clamp(1, self.points_max)
    }

    fn every(&self, level: SliceLevel) -> u32 {
        self.one_in.get(&level.tag()).copied().unwrap_or(1).max(1)
    }
}

/// What is known of one stream.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Stream {
    every: u32,
    frames: Frames,
    messages: u64,
    bytes: u64,
    again: u64,
    strays: u64,
    late: u64,
    newest_ms: Option<i64>,
    /// Too few frames came.
    incomplete: bool,
    /// That was said since the start.
    #[serde(skip)]
    said: bool,
}

impl Stream {
    fn new(every: u32) -> Self {
        Self {
            every,
            frames: Frames::new(every),
            messages: 0,
            bytes: 0,
            again: 0,
            strays: 0,
            late: 0,
            newest_ms: None,
            incomplete: false,
            said: false,
        }
    }
}

/// The monitor.
pub struct TimesliceRates {
    config: Config,
    timeline: Timeline,
    bins: Bins<Slices>,
    runs: Runs,
    streams: [Stream; STREAMS],
    setup: Setup,
    strangers: Strangers,
    newest_ms: Option<i64>,
    faulty: Faulty,
    redraw: bool,
    recount: bool,
}

/// What is kept over a restart.
#[derive(Serialize, Deserialize)]
struct Kept {
    version: u32,
    interval_ms: i64,
    ahead_ms: Option<i64>,
    newest_ms: Option<i64>,
    runs: Runs,
    streams: [Stream; STREAMS],
    bins: Vec<(i64, bool, Slices)>,
}

const KEPT_VERSION: u32 = 1;

impl Monitor for TimesliceRates {
    type Config = Config;
    const TOPICS: Topics =
        Topics::frames(&[tags::IO_TSL0, tags::IO_TSL1, tags::IO_TSL2, tags::IO_TSSN]);
    const QUESTIONS: &'static [&'static str] = Faulty::QUESTIONS;

    fn check(config: &Config, _: &Setup) -> Result<(), String> {
        if ms_of(config.interval) < 1000 || config.points_max < 10 {
            return Err("expected an interval of 1s or more and points_max of at least 10".into());
        }
        if !(0.0..=1.0).contains(&config.low_fraction) {
            let got = config.low_fraction;
            return Err(format!("low_fraction is {got}, expected 0 to 1"));
        }
        for (tag, every) in &config.one_in {
            if SliceLevel::of_tag(*tag).is_none() || *every == 0 {
                return Err(format!(
                    "one_in has {tag} = {every}, expected IO_TSL0, IO_TSL1, IO_TSL2 or IO_TSSN and a number from 1"
                ));
            }
        }
        Ok(())
    }

    fn new(config: Config, setup: &Setup) -> Self {
        Self {
            timeline: Timeline::default(),
            bins: Bins::new(ms_of(config.interval), config.points()),
            runs: Runs::default(),
            streams: LOOKS.map(|(level, ..)| Stream::new(config.every(level))),
            setup: setup.clone(),
            strangers: Strangers::of(setup),
            newest_ms: None,
            faulty: Faulty::default(),
            redraw: true,
            recount: true,
            config,
        }
    }

    fn on_event(&mut self, event: &Event, out: &mut Outputs) {
        let Event::Frame(frame) = event else { return };
        let level = SliceLevel::of_tag(frame.tag);
        let rank = LOOKS.iter().position(|(l, ..)| Some(*l) == level);
        let Some((rank, level)) = rank.zip(level) else {
            return;
        };
        match SliceHead::decode(level, &frame.body) {
            Ok(head) => {
                self.strangers.look_at(&head.header, out);
                self.count(frame, rank, &head);
            }
            Err(error) => self.faulty.saw(frame, &error, out),
        }
    }

    fn on_tick(&mut self, now: Timestamp, out: &mut Outputs) {
        self.timeline.tick();
        let data_ms = self.timeline.at(now.as_millisecond());
        self.bins.cover(data_ms);
        for index in self.bins.close(data_ms - ms_of(self.config.lateness)) {
            self.redraw = true;
            self.judge(index, out);
        }
        let data_ms = data_ms.max(self.bins.covered_to_ms());
        self.say_again(now, out);
        if std::mem::take(&mut self.redraw) {
            self.draw(data_ms, out);
        }
        if std::mem::take(&mut self.recount) {
            let counts = self.counts();
            self.put("timeslice_counts", "Time slices received", counts, out);
            let gaps = self.gaps();
            self.put("timeslice_gaps", "Missing time slices", gaps, out);
        }
        let title = "Time slices of other detectors";
        self.strangers.put_if_changed(
            "timeslice_unknown",
            title,
            self.newest_ms.map(timestamp),
            out,
        );
    }

    fn on_end(&mut self) {
        self.bins.end(self.newest_ms);
        for stream in &mut self.streams {
            stream.frames.end();
        }
        self.recount = true;
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
            interval_ms: self.bins.interval_ms,
            ahead_ms: self.timeline.ahead_ms(),
            newest_ms: self.newest_ms,
            runs: self.runs.clone(),
            streams: self.streams.clone(),
            bins: self.bins.all().map(|(i, open, b)| (i, open, *b)).collect(),
        };
        keep.json(&kept);
    }

    fn restore(&mut self, saved: &Saved) -> Result<(), String> {
        let Some(kept) = saved.json::<Kept>()? else {
            return Ok(());
        };
        if kept.version != KEPT_VERSION || kept.interval_ms != self.bins.interval_ms {
            return Err(format!(
                "kept with version {} and interval {} ms, now {KEPT_VERSION} and {} ms",
                kept.version, kept.interval_ms, self.bins.interval_ms
            ));
        }
        self.timeline.resume(kept.ahead_ms);
        self.newest_ms = kept.newest_ms;
        self.runs = kept.runs;
        for (stream, old) in self.streams.iter_mut().zip(kept.streams) {
            let every = stream.every;
            if every == old.every {
                *stream = old;
                // Frames that were sent while nobody listened are no gap of the stream.
                stream.frames.jump();
            }
        }
        for (index, open, slices) in kept.bins {
            self.bins.put_back(index, open, slices);
        }
        Ok(())
    }

    fn memory_bytes(&self) -> usize {
        self.bins.len() * (size_of::<Slices>() + 40) + self.faulty.memory_bytes()
    }
}

impl TimesliceRates {
    fn count(&mut self, frame: &Frame, rank: usize, head: &SliceHead) {
        let data_ms = ms_of_header(&head.header);
        let host_ms = frame.received.as_millisecond();
        let fit = self.timeline.saw(data_ms, host_ms);
        if fit == Fit::Set {
            let is_replay = data_ms.abs_diff(host_ms) > TOLERANCE_MS.unsigned_abs();
            self.bins.jump(data_ms, is_replay);
            self.runs.jump();
            self.newest_ms = None;
            for stream in &mut self.streams {
                stream.frames.jump();
                stream.newest_ms = stream.newest_ms.filter(|at| *at <= data_ms);
            }
        }
        let Some(stream) = self.streams.get_mut(rank) else {
            return;
        };
        self.recount = true;
        stream.messages += 1;
        stream.bytes += frame.body.len() as u64;
        let seen = match fit {
            Fit::Stray => Seen::Stray,
            Fit::Near | Fit::Set => stream.frames.saw(&head.header),
        };
        match seen {
            Seen::New => {}
            Seen::Again => stream.again += 1,
            Seen::Stray => stream.strays += 1,
        }
        if fit == Fit::Stray {
            // Its time is wrong: it belongs to no interval.
            return;
        }
        stream.newest_ms = newest(stream.newest_ms, data_ms);
        self.runs.saw(Run::of(&head.header), data_ms);
        self.newest_ms = self.newest_ms.max(Some(data_ms));
        let (bin, closed) = self.bins.bin(self.bins.index(data_ms));
        bin.add(rank, seen == Seen::New);
        stream.late += u64::from(closed);
        self.redraw |= closed;
    }

    /// Returns the share of the frames of a stream that came, NaN when nothing could come.
    #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
    fn completeness(&self, slices: &Slices, rank: usize) -> f64 {
        let every = self.streams.get(rank).map_or(1, |stream| stream.every);
        let expected = slices.observed_ms() as f64 / FRAME_MS as f64 / f64::from(every);
        if expected < 1.0 {
            return f64::NAN;
        }
        // Half a frame at either end of the interval may be inside or outside.
        (slices.frames(rank) as f64 / expected).min(1.0)
    }

    /// Tells whether a stream is expected in an interval: one that was never sent is not.
    fn is_expected(&self, rank: usize, end_ms: i64) -> bool {
        let newest_ms = self.streams.get(rank).and_then(|stream| stream.newest_ms);
        newest_ms.is_some_and(|at| end_ms - at <= ms_of(self.config.forget_after))
    }

    /// Says which streams have too few frames in an interval that has ended.
    fn judge(&mut self, index: i64, out: &mut Outputs) {
        let Some(slices) = self.bins.get(index).filter(|s| self.bins.is_complete(*s)) else {
            return;
        };
        let (slices, end_ms) = (*slices, self.bins.end_ms(index));
        for (rank, (level, ..)) in LOOKS.iter().enumerate() {
            let share = self.completeness(&slices, rank);
            let low = self.is_expected(rank, end_ms) && share < self.config.low_fraction;
            let Some(stream) = self.streams.get_mut(rank) else {
                continue;
            };
            if low == stream.incomplete {
                continue;
            }
            (stream.incomplete, stream.said) = (low, low);
            let text = format!("{:.1} % of the frames came in an interval", share * 100.0);
            out.alarm(
                ("timeslices_incomplete", level.tag().as_str()),
                Severity::Warning,
                low,
                text,
                timestamp(end_ms),
            );
        }
    }

    /// After a restart: what was not taken back by an interval that has just ended still holds. The next
    /// whole interval may be too far away to wait for it.
    fn say_again(&mut self, now: Timestamp, out: &mut Outputs) {
        for (stream, (level, ..)) in self.streams.iter_mut().zip(&LOOKS) {
            if !stream.incomplete || std::mem::replace(&mut stream.said, true) {
                continue;
            }
            out.alarm(
                ("timeslices_incomplete", level.tag().as_str()),
                Severity::Warning,
                true,
                "frames were missing in the last interval before the restart",
                now,
            );
        }
    }

    /// Makes one curve per stream that was ever there.
    fn series(
        &self,
        data_ms: i64,
        y_label: &str,
        reading: impl Fn(&Slices, usize) -> (f64, f64),
    ) -> Series {
        let reading = &reading;
        let wanted: Vec<_> = LOOKS
            .iter()
            .enumerate()
            .filter(|(rank, _)| self.streams.get(*rank).is_some_and(|s| s.messages > 0))
            .map(|(rank, &(_, name, colour, marker))| Wanted {
                name,
                colour,
                marker,
                reading: Box::new(move |slices: &Slices| reading(slices, rank)),
            })
            .collect();
        curves::series((&self.bins, &self.runs), data_ms, y_label, &wanted)
    }

    fn draw(&self, data_ms: i64, out: &mut Outputs) {
        let mut rates = self.series(data_ms, "timeslice rate [Hz]", |slices, rank| {
            self.bins.rate_hz(slices, slices.messages(rank))
        });
        self.put(
            "timeslice_rates_lin",
            "Time slice rates",
            rates.clone(),
            out,
        );
        rates.y_log = true;
        self.put("timeslice_rates", "Time slice rates", rates, out);
        let complete = self.series(data_ms, "frames that came [%]", |slices, rank| {
            (self.completeness(slices, rank) * 100.0, f64::NAN)
        });
        let title = "Completeness of the time slices";
        self.put("timeslice_completeness", title, complete, out);
    }

    fn put(&self, name: &str, title: &str, view: impl Into<View>, out: &mut Outputs) {
        let output = Output::new(name, title, view)
            .at(self.newest_ms.map(timestamp))
            .every(seconds(self.bins.interval_ms));
        out.put(output);
    }
}
