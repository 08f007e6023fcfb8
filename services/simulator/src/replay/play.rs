//! Paces messages and hands them to an outlet.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::BufMut;
use fathom_formats::controlhost::Tag;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

use crate::batch::Chunk;
use crate::input::FileProblem;
use crate::outlet::Outlet;

use super::feed::{Feed, Timed};

/// Messages read ahead, in groups.
const GROUPS_AHEAD: usize = 8;
/// A group is closed at this size.
const GROUP_BYTES: usize = 1 << 18;
/// Messages that are due within this time are sent together.
const TOGETHER: Duration = Duration::from_millis(2);

/// How fast to play.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Speed {
    /// As fast as the outlet takes it.
    Full,
    /// So many recorded seconds per second.
    Times(f64),
}

impl Speed {
    /// Reads a factor; 0 is full speed.
    pub fn of(factor: f64) -> Self {
        if factor > 0.0 {
            Self::Times(factor)
        } else {
            Self::Full
        }
    }
}

/// What was played so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Played {
    /// Messages by tag.
    pub by_tag: BTreeMap<Tag, u64>,
    /// Bytes of their bodies.
    pub bytes: u64,
    /// Places in the files that could not be read.
    pub problems: u64,
    /// Bytes of the files read, and of all.
    pub progress: (u64, u64),
}

impl Played {
    /// Returns the number of messages.
    pub fn messages(&self) -> u64 {
        self.by_tag.values().sum()
    }
}

/// Plays one pass over files.
pub struct Player {
    speed: Speed,
    gap_max: Duration,
    groups: mpsc::Receiver<Group>,
    reader: JoinHandle<()>,
    clock: Option<PlayClock>,
    chunk: Chunk,
    chunk_bytes: usize,
}

/// What the reading side hands over at once.
struct Group {
    messages: Vec<Timed>,
    problems: Vec<FileProblem>,
    progress: (u64, u64),
}

/// Translates recorded times to instants.
#[derive(Debug, Clone, Copy)]
struct PlayClock {
    due: Instant,
    time_ns: i64,
}

impl Player {
    /// Starts reading; longer pauses between messages than `gap_max` are shortened to it.
    pub fn new(feed: Feed, speed: Speed, gap_max: Duration) -> Self {
        let (to, groups) = mpsc::channel(GROUPS_AHEAD);
        Self {
            speed,
            gap_max,
            groups,
            reader: tokio::task::spawn_blocking(move || read(feed, &to)),
            clock: None,
            chunk: Chunk::default(),
            chunk_bytes: 0,
        }
    }

    /// Plays everything; `each` sees the state after every group. Cancel-safe up to the messages of
    /// the group in hand.
    pub async fn play(
        mut self,
        outlet: &Outlet,
        played: &mut Played,
        mut each: impl FnMut(&Played, &[FileProblem]),
    ) {
        while let Some(group) = self.groups.recv().await {
            for timed in group.messages {
                self.wait_for(timed.time_ns, outlet).await;
                self.add(timed, played);
                if self.chunk_bytes >= GROUP_BYTES {
                    self.send(outlet).await;
                }
            }
            if self.speed == Speed::Full {
                self.send(outlet).await;
            }
            played.problems += group.problems.len() as u64;
            played.progress = group.progress;
            each(played, &group.problems);
        }
        self.send(outlet).await;
        outlet.drained().await;
    }

    fn add(&mut self, timed: Timed, played: &mut Played) {
        let message = timed.message;
        *played.by_tag.entry(message.tag).or_default() += 1;
        played.bytes += message.body.len() as u64;
        self.chunk_bytes += message.body.len();
        self.chunk
            .push(message.tag, |out| out.put_slice(&message.body));
    }

    async fn send(&mut self, outlet: &Outlet) {
        self.chunk_bytes = 0;
        if !self.chunk.is_empty() {
            let chunk = std::mem::take(&mut self.chunk);
            outlet.send_when_room(chunk.seal()).await;
        }
    }

    /// Waits until a message is due; sends what was due before it first.
    async fn wait_for(&mut self, time_ns: i64, outlet: &Outlet) {
        let Speed::Times(factor) = self.speed else {
            return;
        };
        let now = Instant::now();
        let clock = self.clock.get_or_insert(PlayClock { due: now, time_ns });
        // Times can jump back where data filters overtook each other; that is no reason to wait.
        let later = Duration::from_nanos(u64::try_from(time_ns - clock.time_ns).unwrap_or(0));
        if !later.is_zero() {
            clock.due += later.min(self.gap_max).div_f64(factor);
            clock.time_ns = time_ns;
        }
        let due = clock.due;
        if due > now + TOGETHER {
            self.send(outlet).await;
            sleep_until(due).await;
        }
    }
}

impl Drop for Player {
    fn drop(&mut self) {
        // The reading side ends when nobody takes its groups any more.
        self.groups.close();
        self.reader.abort();
    }
}

fn read(mut feed: Feed, to: &mpsc::Sender<Group>) {
    loop {
        let (mut messages, mut bytes) = (Vec::new(), 0);
        while bytes < GROUP_BYTES {
            let Some(timed) = feed.next() else { break };
            bytes += timed.message.body.len() + size_of::<Timed>();
            messages.push(timed);
        }
        let is_last = messages.is_empty();
        let group = Group {
            messages,
            problems: feed.take_problems(),
            progress: feed.progress(),
        };
        if to.blocking_send(group).is_err() || is_last {
            return;
        }
    }
}
