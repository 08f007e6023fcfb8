//! Kind `fake_detector`: paces the simulated detector and sends what it makes.

use std::sync::Arc;
use std::time::Duration;

use fathom_kernel::{
    BoxFuture, FileEdit, FromConfig, Output, Request, Service, ServiceCx, ServiceError, Setup,
    view::Table,
};
use serde_json::{Value, json};
use tokio::time::{Instant, interval, sleep_until};
use tracing::{info, warn};

use crate::fault::{FaultKind, FaultSpec};
use crate::generator::Generator;
use crate::layout::Layout;
use crate::options::FakeDetectorOptions;
use crate::outlet::{Outlet, OutletParts, Target};
use crate::pace::Pace;
use crate::timeline::FRAME_S;

/// Name of the table that shows where the simulation is.
const OUTPUT: &str = "simulator";
/// Time between two versions of it.
const OUTPUT_EVERY: Duration = Duration::from_secs(2);

/// The kind `fake_detector`.
pub struct FakeDetector {
    options: FakeDetectorOptions,
    layout: Arc<Layout>,
}

impl FakeDetector {
    /// Makes the source of a detector.
    pub fn new(options: FakeDetectorOptions, layout: Arc<Layout>) -> Self {
        Self { options, layout }
    }
}

impl FromConfig<FakeDetectorOptions> for FakeDetector {
    fn check(options: &FakeDetectorOptions, setup: &Setup) -> Result<(), String> {
        if setup.detector.is_none() {
            return Err("no detector, expected a [detector] with `file` or `geometry`".to_owned());
        }
        options.check()
    }

    fn from_config(options: &FakeDetectorOptions, setup: &Setup) -> Self {
        let empty = || Layout {
            detector_id: 0.into(),
            doms: Vec::new(),
            bases: Vec::new(),
            base_positions_m: Vec::new(),
        };
        let layout = setup.detector.as_deref().map_or_else(empty, Layout::new);
        Self::new(options.clone(), Arc::new(layout))
    }
}

impl Service for FakeDetector {
    fn run(self: Box<Self>, cx: ServiceCx) -> BoxFuture<'static, Result<(), ServiceError>> {
        Box::pin(async move {
            let target = Target::parse(&self.options.to).map_err(ServiceError::new)?;
            if let Some(path) = self.options.calibration_file.clone() {
                let bytes = self.layout.calibration_file(self.options.seed).into_bytes();
                let folder = cx.data_dir.join("files");
                let edit = FileEdit::Write { path, bytes };
                let written = tokio::task::spawn_blocking(move || edit.apply(&folder));
                let written = written.await.map_err(ServiceError::new)?;
                written.map_err(ServiceError::new)?;
            }
            let parts = OutletParts::of(&cx, self.options.queue, self.options.reconnect_max);
            let outlet = Outlet::open(target, parts);
            let (generator, pace) = start(self.layout, &self.options, &cx);
            Source {
                generator,
                pace,
                outlet,
                cx,
            }
            .run()
            .await
        })
    }
}

/// Makes the simulation and its pace. Without a given start the run began with the current second,
/// and the frames since then are left out, so that times in the data follow the clock.
fn start(layout: Arc<Layout>, options: &FakeDetectorOptions, cx: &ServiceCx) -> (Generator, Pace) {
    let at = options.start.unwrap_or_else(|| cx.clock.now());
    let start_s = u64::try_from(at.as_second()).unwrap_or(0);
    let mut generator = Generator::new(layout, options, start_s);
    let mut begin = Instant::now();
    if options.start.is_none() {
        let missed = u32::try_from(at.subsec_millisecond() / 100).unwrap_or(0);
        generator.skip(u64::from(missed));
        let into_frame_ns = u64::try_from(at.subsec_nanosecond() % 100_000_000).unwrap_or(0);
        begin = begin
            .checked_sub(Duration::from_nanos(into_frame_ns))
            .unwrap_or(begin);
    }
    (generator, Pace::new(begin, options.speed))
}

struct Source {
    generator: Generator,
    pace: Pace,
    outlet: Outlet,
    cx: ServiceCx,
}

impl Source {
    async fn run(mut self) -> Result<(), ServiceError> {
        self.cx.ready();
        let stop = self.cx.stop.clone();
        let mut shows = interval(OUTPUT_EVERY);
        let mut wake = Instant::now();
        loop {
            // All branches are cancel-safe: they only wait.
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                Some(request) = self.cx.inbox.recv() => self.answer(request),
                () = sleep_until(wake) => {
                    self.work();
                    wake = self.pace.next_wake(Instant::now());
                }
                _ = shows.tick() => self.show(),
            }
        }
        self.outlet.close().await;
        Ok(())
    }

    /// Makes and sends what is due.
    fn work(&mut self) {
        let now = Instant::now();
        let (late, skipped) = (self.pace.late, self.pace.skipped_frames);
        let mut steps = 0;
        while self.pace.take(now) {
            let step = self.generator.step();
            self.outlet.send(step.chunks);
            for disturbance in step.disturbances {
                self.outlet.disturb(disturbance);
            }
            steps += 1;
            if self.generator.is_at_frame_start() {
                let frames = self.pace.frames_to_skip(Instant::now());
                self.generator.skip(frames);
            }
        }
        for _ in late..self.pace.late {
            self.cx.counters.bad("late step");
        }
        let skipped = self.pace.skipped_frames - skipped;
        if skipped > 0 {
            warn!(skipped, steps, "simulation is too slow, frames left out");
            for _ in 0..skipped.min(1000) {
                self.cx.counters.bad("skipped frame");
            }
        }
    }

    fn answer(&mut self, request: Request) {
        let answer = match request.verb.as_str() {
            "fault" => self.add_fault(request.args),
            "clear" => self.clear_faults(&request.args),
            "faults" => Ok(json!(self.generator.faults())),
            "position" => Ok(self.position()),
            "reset" => {
                self.generator.clear_faults(|_| true);
                Ok(Value::Null)
            }
            other => Err(format!(
                "unknown request {other:?}, expected fault, clear, faults, position or reset"
            )),
        };
        if request.reply.send(answer).is_err() {
            info!(verb = %request.verb, "nobody waits for the answer any more");
        }
    }

    fn add_fault(&mut self, args: Value) -> Result<Value, String> {
        let spec: FaultSpec = match args {
            Value::String(name) => serde_json::from_value(json!({ "fault": name })),
            args if args.get("fault").is_none() => {
                return Err("which fault? expected {\"fault\": \"dom_dead\", ...}".to_owned());
            }
            args => serde_json::from_value(args),
        }
        .map_err(|error| error.to_string())?;
        let fault = spec.fault;
        let id = self.generator.add_fault(spec)?;
        info!(id, ?fault, "fault switched on by request");
        Ok(json!({ "id": id }))
    }

    /// Clears one fault by number, all of a kind, or all.
    fn clear_faults(&mut self, args: &Value) -> Result<Value, String> {
        let cleared = if args.is_null() || args == "all" {
            self.generator.clear_faults(|_| true)
        } else if let Some(id) = args.as_u64().or_else(|| args.get("id")?.as_u64()) {
            self.generator
                .clear_faults(|fault| u64::from(fault.id) == id)
        } else {
            let name = args.get("fault").unwrap_or(args).clone();
            let kind: FaultKind = serde_json::from_value(name)
                .map_err(|_| "clear what? expected all, an id or a fault".to_owned())?;
            self.generator
                .clear_faults(|fault| fault.spec.fault == kind)
        };
        Ok(json!({ "cleared": cleared }))
    }

    fn position(&self) -> Value {
        let position = self.generator.position();
        json!({
            "run": position.run,
            "frame_index": position.frame_index,
            "frames": position.frames,
            "late_steps": self.pace.late,
            "skipped_frames": self.pace.skipped_frames,
        })
    }

    fn show(&self) {
        let position = self.generator.position();
        let faults: Vec<String> = self
            .generator
            .faults()
            .iter()
            .filter(|fault| fault.active)
            .filter_map(|fault| Some(json!(fault.spec.fault).as_str()?.to_owned()))
            .collect();
        let run_s = (f64::from(position.frame_index) * FRAME_S).floor();
        let rows = [
            ("run", json!(position.run)),
            ("time in the run [s]", json!(run_s)),
            ("late steps", json!(self.pace.late)),
            ("frames left out", json!(self.pace.skipped_frames)),
            ("faults", json!(faults.join(", "))),
        ];
        let table = Table {
            columns: vec!["simulation".to_owned(), "value".to_owned()],
            rows: rows.map(|(name, value)| vec![json!(name), value]).into(),
        };
        let output = Output::new(OUTPUT, "Simulated detector", table)
            .at(Some(self.cx.clock.now()))
            .every(OUTPUT_EVERY.as_secs_f64());
        self.cx.put(output);
    }
}
