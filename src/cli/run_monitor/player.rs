//! Gives a monitor recorded messages, and time as the data have it.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use fathom_kernel::{
    Addresses, ByHand, Event, Fetch, FetchError, Fetched, Filter, Frame, Location, Outputs,
    Timestamp, World,
};
use fathom_simulator::{FileMessage, FileProblem};
use jiff::SignedDuration;
use tokio::runtime::Runtime;

use super::choose::Chosen;
use super::results::Results;
use crate::reach::{self, Reach};

/// Most ticks between two messages: a longer pause in the data is left out, as one of the machine
/// would be.
const TICKS_MAX: u32 = 3600;

/// Most ticks after the end of the data for a monitor that has not finished something.
const BUSY_TICKS_MAX: u32 = 36_000;

/// A message this much before the latest one begins a time of its own: files put together in the
/// wrong order, or a clock that was wrong for a while.
const BACK: SignedDuration = SignedDuration::from_secs(3600);

/// Most rounds of fetches that answer each other.
const ROUNDS_MAX: u32 = 16;

/// What services of a running stack write into its data folder: of other data than the files, which
/// alone say what the results are.
const OF_THE_STACK: [&str; 2] = ["data:files/event_selection", "data:files/local_db"];

/// A monitor with what it needs.
pub(super) struct Player<W, R> {
    monitor: Box<dyn ByHand>,
    wants: Filter,
    tick: Duration,
    world: World,
    data_dir: PathBuf,
    runtime: Runtime,
    source: Arc<str>,
    out: Outputs,
    /// Times of the first message, of the latest one, and of the next tick.
    times: Option<(Timestamp, Timestamp, Timestamp)>,
    /// The clock of the monitor never goes back; after a message from long before it is ahead of the
    /// data by this.
    ahead: Duration,
    /// The monitor had not finished something when it was waited for no longer.
    pub(super) is_unfinished: bool,
    /// Messages that the monitor took.
    pub(super) received: u64,
    pub(super) results: Results<W, R>,
}

/// Where a message is from: the file, and the offset in it.
pub(super) type Place<'a> = (&'a Path, u64);

impl<W: Write, R: FnMut(&FileProblem)> Player<W, R> {
    pub(super) fn new(chosen: Chosen, results: Results<W, R>) -> io::Result<Self> {
        reach::install_tls();
        let runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = { runtime }.enable_all().build()?;
        Ok(Self {
            wants: chosen.monitor.wants(),
            tick: chosen.monitor.tick_period(),
            monitor: chosen.monitor,
            world: Reach::new(chosen.config_dir).into(),
            data_dir: chosen.data_dir,
            runtime,
            source: "files".into(),
            out: Outputs::default(),
            times: None,
            ahead: Duration::ZERO,
            is_unfinished: false,
            received: 0,
            results,
        })
    }

    /// Gives one message; those the monitor does not take only move the time on.
    pub(super) fn message(
        &mut self,
        time_ns: i64,
        message: FileMessage,
        place: Option<Place<'_>>,
    ) -> io::Result<()> {
        let at = Timestamp::from_nanosecond(time_ns.into()).unwrap_or(Timestamp::UNIX_EPOCH);
        let at = self.clock_at(at);
        self.pass_until(at)?;
        if !self.wants.wants_tag(message.tag) {
            return Ok(());
        }
        self.received += 1;
        let event = Event::Frame(Frame {
            source: self.source.clone(),
            tag: message.tag,
            received: at,
            body: message.body.into(),
        });
        self.monitor.event(&event, &mut self.out);
        self.said(at, place)
    }

    /// Lets time pass after the last message, at least until the tick that is due next and until the
    /// monitor has finished what it has begun.
    pub(super) fn finish(&mut self, settle: Duration) -> io::Result<()> {
        if let Some((_, last, next)) = self.times {
            self.monitor.ended();
            let end = last.saturating_add(settle).unwrap_or(Timestamp::MAX);
            self.pass_until(end.max(next))?;
            self.pass_while_busy()?;
            self.times = self.times.map(|(first, _, next)| (first, last, next));
        }
        self.results.finish()
    }

    fn pass_while_busy(&mut self) -> io::Result<()> {
        let mut left = BUSY_TICKS_MAX;
        while self.monitor.busy() {
            let Some((_, _, next)) = self.times.filter(|_| left > 0) else {
                self.is_unfinished = true;
                break;
            };
            self.pass_until(next)?;
            left -= 1;
        }
        Ok(())
    }

    /// Returns the time between the first and the latest message.
    pub(super) fn span(&self) -> Duration {
        let span = self
            .times
            .map(|(first, last, _)| last.duration_since(first));
        span.map_or(Duration::ZERO, |span| span.unsigned_abs())
    }

    /// Returns what the clock of the monitor shows at a time of the data.
    fn clock_at(&mut self, at: Timestamp) -> Timestamp {
        let Some((_, last, _)) = self.times else {
            return at;
        };
        if at >= last {
            self.ahead = Duration::ZERO;
        }
        let shown = at.saturating_add(self.ahead).unwrap_or(Timestamp::MAX);
        let back = last.duration_since(shown);
        if back <= BACK {
            return shown;
        }
        self.ahead = last.duration_since(at).unsigned_abs();
        last
    }

    /// Ticks until a time; one before the latest changes nothing.
    fn pass_until(&mut self, at: Timestamp) -> io::Result<()> {
        let Some((first, last, mut next)) = self.times else {
            let next = at.saturating_add(self.tick).unwrap_or(Timestamp::MAX);
            self.times = Some((at, at, next));
            return Ok(());
        };
        let mut left = TICKS_MAX;
        while next <= at {
            if left == 0 {
                next = at;
            }
            self.monitor.tick(next, &mut self.out);
            self.said(next, None)?;
            next = next.saturating_add(self.tick).unwrap_or(Timestamp::MAX);
            left = left.saturating_sub(1);
        }
        self.times = Some((first, last.max(at), next));
        Ok(())
    }

    /// Takes what the monitor said, and answers what it asked for at once.
    fn said(&mut self, at: Timestamp, place: Option<Place<'_>>) -> io::Result<()> {
        let mut rounds = 0;
        while !self.out.fetches.is_empty() && rounds < ROUNDS_MAX {
            rounds += 1;
            for fetch in std::mem::take(&mut self.out.fetches) {
                let name = fetch.name.clone();
                let fetch = not_of_the_stack(fetch)
                    .and_then(|fetch| fetch.within(&self.data_dir, &Addresses::default()));
                let fetched = match fetch {
                    Ok(fetch) => self.runtime.block_on(self.world.fetch(fetch)),
                    Err(error) => Fetched {
                        name,
                        content: Err(error),
                    },
                };
                self.monitor.fetched(fetched, &mut self.out);
            }
        }
        let received = self.received;
        self.results.take((at, received), &mut self.out, place)
    }
}

/// Lets a wish pass unless it is for something that a running stack has written.
fn not_of_the_stack(fetch: Fetch) -> Result<Fetch, FetchError> {
    let Location::File(path) = &fetch.from else {
        return Ok(fetch);
    };
    if OF_THE_STACK.iter().any(|folder| path.starts_with(folder)) {
        return Err(FetchError::Absent {
            location: fetch.from.to_string(),
            why: "what a running stack has written is not looked at".into(),
        });
    }
    Ok(fetch)
}
