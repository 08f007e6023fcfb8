//! The last lines of one service, kept as the bytes they came as: a line is made only when somebody
//! looks, since most are never looked at.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use fathom_kernel::{LogLine, LogStream, Timestamp};
use memchr::memchr;
use tokio::sync::watch;

use super::records::Records;

/// Small pieces are joined up to this size.
const PIECE_MAX: usize = 16 << 10;

/// The last lines of one service.
pub(super) struct Ring {
    lines: Mutex<Lines>,
    /// Number of the next line; followers wait for its change.
    next: watch::Sender<u64>,
}

#[derive(Default)]
struct Lines {
    pieces: VecDeque<Piece>,
    bytes: usize,
    /// Lines in the pieces.
    count: u64,
    next: u64,
    publishing: Rate,
    /// Room of a piece that was forgotten, for the next one.
    spare: Vec<u8>,
}

/// Who speaks in a line of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Voice {
    /// Which start of the service.
    pub(crate) incarnation: u64,
    /// Where the line comes from.
    pub(crate) stream: LogStream,
}

impl Voice {
    /// Returns who speaks in a line.
    pub(super) fn of(line: &LogLine) -> Self {
        Self {
            incarnation: line.incarnation,
            stream: line.stream,
        }
    }
}

/// Lines that came at once.
struct Piece {
    at: Timestamp,
    voice: Voice,
    lines: u64,
    /// Whole lines with their ends, except that the last may have none; one line, for a record.
    text: Vec<u8>,
}

/// Some lines out of a ring.
pub(super) struct Taken {
    /// Lines before them that were forgotten.
    pub(super) missed: u64,
    pub(super) lines: Vec<Arc<LogLine>>,
    /// Number of the line after them.
    pub(super) next: u64,
}

impl Default for Ring {
    fn default() -> Self {
        Self {
            lines: Mutex::default(),
            next: watch::Sender::new(0),
        }
    }
}

impl Ring {
    /// Keeps lines that came at once; returns how many of them may be published.
    pub(super) fn push(&self, at: Timestamp, voice: Voice, text: &[u8], lines: u64) -> Publish {
        let mut kept = self.lock();
        kept.push(at, voice, text, lines);
        // Inside the lock, so that the number never goes back.
        self.next.send_replace(kept.next);
        kept.publishing.take(Instant::now(), lines)
    }

    /// Returns the last lines.
    pub(super) fn tail(&self, service: &str, lines: usize) -> Taken {
        let kept = self.lock();
        let from = kept.next.saturating_sub(lines as u64).max(kept.oldest());
        kept.take(service, from)
    }

    /// Returns the lines from a number on.
    pub(super) fn since(&self, service: &str, next: u64) -> Taken {
        self.lock().take(service, next)
    }

    /// Returns the number of the line that is so many before the next one, and the changes of that.
    pub(super) fn follow(&self, lines: usize) -> (u64, watch::Receiver<u64>) {
        let kept = self.lock();
        let from = kept.next.saturating_sub(lines as u64).max(kept.oldest());
        (from, self.next.subscribe())
    }

    /// Forgets all lines.
    pub(super) fn clear(&self) {
        let mut kept = self.lock();
        kept.pieces.clear();
        kept.bytes = 0;
        kept.count = 0;
    }

    fn lock(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lines {
    fn push(&mut self, at: Timestamp, voice: Voice, text: &[u8], lines: u64) {
        self.bytes += text.len();
        self.count += lines;
        self.next += lines;
        match self.pieces.back_mut() {
            Some(last) if last.takes(at, voice, text.len()) => {
                last.text.extend_from_slice(text);
                last.lines += lines;
            }
            Some(_) | None => {
                let mut room = std::mem::take(&mut self.spare);
                room.extend_from_slice(text);
                self.pieces.push_back(Piece {
                    at,
                    voice,
                    lines,
                    text: room,
                });
            }
        }
        while let Some(oldest) = self.pieces.front() {
            // All its lines are among those that are not shown any more.
            let surplus = self.count - oldest.lines >= Records::LINES_MAX as u64;
            if self.pieces.len() == 1 || (!surplus && self.bytes <= Records::BYTES_MAX) {
                break;
            }
            self.bytes -= oldest.text.len();
            self.count -= oldest.lines;
            if let Some(mut gone) = self.pieces.pop_front() {
                gone.text.clear();
                self.spare = gone.text;
            }
        }
    }

    /// Returns the number of the oldest line that is shown.
    fn oldest(&self) -> u64 {
        self.next - self.count.min(Records::LINES_MAX as u64)
    }

    fn take(&self, service: &str, from: u64) -> Taken {
        let first = from.max(self.oldest());
        let mut lines = Vec::new();
        let mut number = self.next - self.count;
        for piece in &self.pieces {
            let end = number + piece.lines;
            if end > first {
                let skip = usize::try_from(first.saturating_sub(number)).unwrap_or(usize::MAX);
                let texts = piece.texts().skip(skip);
                lines.extend(texts.map(|text| Arc::new(piece.line(service, text))));
            }
            number = end;
        }
        Taken {
            missed: first - from.min(first),
            lines,
            next: self.next,
        }
    }
}

impl Piece {
    /// Tells whether more text may be joined to it.
    fn takes(&self, at: Timestamp, voice: Voice, bytes: usize) -> bool {
        voice.stream != LogStream::Record
            && voice == self.voice
            && at.as_millisecond() == self.at.as_millisecond()
            && self.text.len() + bytes <= PIECE_MAX
            && self.text.last() == Some(&b'\n')
    }

    fn texts(&self) -> impl Iterator<Item = &[u8]> {
        let is_record = self.voice.stream == LogStream::Record;
        lines_of(&self.text, is_record)
    }

    fn line(&self, service: &str, text: &[u8]) -> LogLine {
        line(service, self.voice, self.at, text)
    }
}

/// Makes a line, cut when it is too long.
pub(super) fn line(service: &str, voice: Voice, at: Timestamp, text: &[u8]) -> LogLine {
    let most = Records::LINE_BYTES_MAX;
    // Some bytes more, so that the cut below finds the border of a character.
    let head = text.get(..most + 4).unwrap_or(text);
    let mut decoded = String::from_utf8_lossy(head).into_owned();
    if text.len() > most {
        decoded.truncate(decoded.floor_char_boundary(most));
        decoded.push('…');
    }
    LogLine {
        service: service.to_owned(),
        incarnation: voice.incarnation,
        stream: voice.stream,
        line: decoded,
        at,
    }
}

/// Splits a text into lines without their ends; a record is one line whatever is in it.
pub(super) fn lines_of(text: &[u8], is_record: bool) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(text).filter(|text| !text.is_empty() || is_record);
    std::iter::from_fn(move || {
        let text = rest.take()?;
        match memchr(b'\n', text).filter(|_| !is_record) {
            Some(at) => {
                let (line, more) = text.split_at(at);
                rest = more.get(1..).filter(|more| !more.is_empty());
                Some(line)
            }
            None => Some(text),
        }
    })
}

/// Counts what one service published within the running second.
#[derive(Default)]
struct Rate {
    second: Option<Instant>,
    published: u64,
    held_back: u64,
}

/// Which lines go on the bus.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Publish {
    /// The first so many of those that came.
    pub(super) allowed: u64,
    /// Lines of past seconds that were not published and not yet told of.
    pub(super) held_back: u64,
}

impl Rate {
    fn take(&mut self, now: Instant, lines: u64) -> Publish {
        let fresh = self
            .second
            .is_none_or(|start| now.duration_since(start) >= Duration::from_secs(1));
        let mut held_back = 0;
        if fresh {
            held_back = std::mem::take(&mut self.held_back);
            *self = Self {
                second: Some(now),
                ..Self::default()
            };
        }
        let allowed = lines.min(Records::PUBLISHED_PER_S - self.published);
        self.published += allowed;
        self.held_back += lines - allowed;
        Publish { allowed, held_back }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millisecond(ms).unwrap()
    }

    const OUT: Voice = Voice {
        incarnation: 1,
        stream: LogStream::Stdout,
    };
    const ERR: Voice = Voice {
        stream: LogStream::Stderr,
        ..OUT
    };
    const RECORD: Voice = Voice {
        stream: LogStream::Record,
        ..OUT
    };

    fn texts(taken: &Taken) -> Vec<&str> {
        taken.lines.iter().map(|line| line.line.as_str()).collect()
    }

    #[test]
    fn pieces_are_joined_within_a_millisecond_and_a_record_is_one_line() {
        let ring = Ring::default();
        ring.push(at(1), OUT, b"a\nb\n", 2);
        ring.push(at(1), OUT, b"c\n", 1);
        ring.push(at(2), ERR, b"no end", 1);
        ring.push(at(2), ERR, b"\n", 1);
        ring.push(at(3), RECORD, b"two\nlines", 1);
        assert_eq!(ring.lock().pieces.len(), 4);
        let all = ring.tail("s", 10);
        assert_eq!(texts(&all), ["a", "b", "c", "no end", "", "two\nlines"]);
        assert_eq!(all.lines[2].at, at(1));
        assert_eq!(texts(&ring.tail("s", 3)), ["no end", "", "two\nlines"]);
        assert_eq!(texts(&ring.since("s", 4)), ["", "two\nlines"]);
        ring.clear();
        assert!(ring.tail("s", 10).lines.is_empty());
        ring.push(at(4), OUT, b"d\n", 1);
        assert_eq!(texts(&ring.since("s", 6)), ["d"]);
        let second = Voice {
            incarnation: 2,
            ..OUT
        };
        ring.push(at(4), second, b"e\n", 1);
        let starts = ring.since("s", 6).lines;
        assert_eq!((starts[0].incarnation, starts[1].incarnation), (1, 2));
    }

    #[test]
    fn lines_and_bytes_are_bounded_however_they_come() {
        for per_piece in [1, 7, 5000] {
            let ring = Ring::default();
            let piece = b"0123456789\n".repeat(per_piece);
            for ms in 0..20_000 / per_piece as i64 + 2 {
                ring.push(at(ms), OUT, &piece, per_piece as u64);
                let kept = ring.lock();
                assert!(kept.bytes <= Records::BYTES_MAX);
                assert!(
                    kept.count < (Records::LINES_MAX + per_piece) as u64 || kept.pieces.len() == 1
                );
            }
            let tail = ring.tail("s", usize::MAX);
            assert_eq!(tail.lines.len(), Records::LINES_MAX);
            assert_eq!(tail.missed, 0);
            let late = ring.since("s", 0);
            assert_eq!(late.missed, tail.next - Records::LINES_MAX as u64);
        }
    }

    #[test]
    fn a_flood_reaches_the_bus_only_in_part_and_says_so() {
        let mut rate = Rate::default();
        let start = Instant::now();
        let first = rate.take(start, 900);
        assert_eq!((first.allowed, first.held_back), (900, 0));
        assert_eq!(rate.take(start, 600).allowed, 100);
        let later = rate.take(start + Duration::from_secs(1), 1);
        assert_eq!((later.allowed, later.held_back), (1, 500));
    }
}
