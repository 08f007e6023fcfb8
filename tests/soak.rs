//! The memory of every monitor stays flat: rings that hold a day, a month or a number of columns are
//! full at some time, and from then on nothing grows.
//!
//! One frame of the simulated detector an hour, until rings of 1440 columns are full. For a denser
//! look, with the sizes of every monitor day by day:
//!
//!     FATHOM_SOAK_DAYS=7 FATHOM_SOAK_STEP_S=10 cargo test --release --test soak -- --nocapture
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::sync::Arc;

use fathom::config::plan::{Body, Plan};
use fathom::config::{Origin, load};
use fathom::registry;
use fathom_formats::detx::{Detector, Layout as Geometry};
use fathom_kernel::{
    ByHand, Content, Event, FetchError, Fetched, Filter, Frame, Kind, Location, Outputs, Persist,
    Setup, Timestamp,
};
use fathom_simulator::{FakeDetectorOptions, Generator, Layout, STEPS_PER_FRAME};
use toml::de::DeTable;

const START_S: i64 = 1_767_225_600;
const DAY_S: i64 = 86_400;
/// Days until 1440 columns of an hour are there, and some more.
const DAYS: i64 = 66;
const STEP_S: i64 = 3600;
/// Steps between two checkpoints.
const KEEP_STEPS: u64 = 32;

/// Options instead of those of the example, which would draw thousands of bins, fit every hour, and
/// keep more messages than come.
const LIGHTER: [(&str, &str); 3] = [
    ("timeslice_rates", "interval = \"1m\""),
    ("k40_calibration", "cycle = \"10d\""),
    ("weblog", "kept = 1000"),
];

struct Watched {
    kind: &'static Kind,
    monitor: Box<dyn ByHand>,
    wants: Filter,
    /// Largest size in each day [bytes].
    days: Vec<usize>,
    /// Messages and answers that it took.
    taken: u64,
    steps: u64,
    /// Paths that it subscribed to.
    paths: usize,
}

fn options_of(plan: &Plan, kind: &Kind) -> String {
    let bodies = plan
        .services
        .iter()
        .filter_map(|service| match &service.body {
            Body::Kind(body) => Some(body),
            Body::Command(_) => None,
        });
    let mut of_kind = bodies.filter(|body| body.kind.name == kind.name);
    of_kind.next().unwrap().options.clone()
}

fn monitors(detector: &Arc<Detector>) -> Vec<Watched> {
    let origin = Origin {
        file: "supervisor.toml.example".into(),
        ..Origin::default()
    };
    let plan = load(&origin).unwrap().plan;
    let setup = Setup {
        detector: Some(detector.clone()),
        ..plan.setup.clone()
    };
    let by_hand = registry::kinds().filter_map(|kind| Some((kind, kind.by_hand?)));
    let watched = by_hand.map(|(kind, make)| {
        let mut options: toml::Table = options_of(&plan, kind).parse().unwrap();
        for (_, lighter) in LIGHTER.iter().filter(|(name, _)| *name == kind.name) {
            options.extend(lighter.parse::<toml::Table>().unwrap());
        }
        let options = options.to_string().leak();
        let monitor = make(DeTable::parse(options).unwrap(), &setup).unwrap();
        Watched {
            kind,
            wants: monitor.wants(),
            monitor,
            days: Vec::new(),
            taken: 0,
            paths: 0,
            steps: 0,
        }
    });
    watched.collect()
}

fn simulation(detector: &Detector) -> Generator {
    let options = "
        run_length = \"3h\"
        io_tsl1 = { every = 1 }
        io_evt = { rate_hz = 50.0 }
    ";
    let options: FakeDetectorOptions = toml::from_str(options).unwrap();
    let layout = Arc::new(Layout::new(detector));
    Generator::new(layout, &options, START_S.try_into().unwrap())
}

/// Returns a number of the environment, or the usual one.
fn number(name: &str, usual: i64) -> i64 {
    std::env::var(name).map_or(usual, |text| text.parse().unwrap())
}

#[test]
fn the_memory_of_every_monitor_is_flat_once_its_rings_are_full() {
    let days = number("FATHOM_SOAK_DAYS", DAYS);
    let step_s = number("FATHOM_SOAK_STEP_S", STEP_S);
    let detector = Arc::new(Detector::generated(&Geometry {
        floors: 2,
        ..Geometry::orca(2)
    }));
    let mut watched = monitors(&detector);
    let mut generator = simulation(&detector);
    for day in 0..days {
        watched.iter_mut().for_each(|one| one.days.push(0));
        for at_s in (day * DAY_S..(day + 1) * DAY_S).step_by(step_s.try_into().unwrap()) {
            let received = Timestamp::from_second(START_S + at_s).unwrap();
            let frames = frame(&mut generator, received);
            generator.skip((step_s * 10 - 1).try_into().unwrap());
            watched
                .iter_mut()
                .for_each(|one| one.live(&frames, received));
        }
    }
    for one in &watched {
        println!("{:18} {:8} {:?}", one.kind.name, one.taken, one.days);
        assert!(one.taken > 0, "{} was given nothing", one.kind.name);
        let size = |days: &[usize]| days.iter().max().copied().unwrap();
        let (before, last) = one.days.split_at(one.days.len() * 14 / 15);
        // A kilobyte for lists of what happens to be under way.
        let most = size(before) * 102 / 100 + 1024;
        assert!(size(last) <= most, "{}: {:?}", one.kind.name, one.days);
    }
}

/// What the detector sends in a tenth of a second.
fn frame(generator: &mut Generator, received: Timestamp) -> Vec<Event> {
    let mut events = Vec::new();
    for _ in 0..STEPS_PER_FRAME {
        for chunk in generator.step().chunks {
            events.extend(chunk.messages().map(|(tag, body)| {
                let source = "test".into();
                Event::Frame(Frame {
                    source,
                    tag,
                    received,
                    body,
                })
            }));
        }
    }
    events
}

impl Watched {
    /// Gives it what one frame brought, the answers it asks for and time.
    fn live(&mut self, frames: &[Event], now: Timestamp) {
        let mut out = Outputs::default();
        for event in frames {
            let Event::Frame(frame) = event else { continue };
            if self.wants.wants_tag(frame.tag) {
                self.taken += 1;
                self.monitor.event(event, &mut out);
            }
        }
        self.monitor.tick(now, &mut out);
        while !out.fetches.is_empty() {
            for fetch in std::mem::take(&mut out.fetches) {
                let content = answer(&fetch.from, &mut self.paths);
                let name = fetch.name;
                self.taken += 1;
                self.monitor.fetched(Fetched { name, content }, &mut out);
            }
        }
        self.steps += 1;
        if self.steps.is_multiple_of(KEEP_STEPS) {
            self.monitor.keep(&mut Persist::default());
        }
        let largest = self.days.last_mut().unwrap();
        *largest = self.monitor.size_bytes().max(*largest);
    }
}

/// Answers like a Detector Manager whose cables are all alike, and has no files.
fn answer(place: &Location, paths: &mut usize) -> Result<Content, FetchError> {
    let Location::Http(address) = place else {
        return Ok(Content::Unchanged);
    };
    let text = match address.split_once("/monshortdef?") {
        Some((_, query)) => {
            *paths = query.split(',').count();
            "OK".to_owned()
        }
        None => serde_json::json!(vec![serde_json::json!({ "value": 4000.0 }); *paths]).to_string(),
    };
    Ok(Content::Bytes(text.into(), None))
}
