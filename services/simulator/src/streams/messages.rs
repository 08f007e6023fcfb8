//! `MSG`: lines as the programs of the data acquisition write them.

use fathom_formats::controlhost::tags;
use fathom_formats::km3net::encode_message;
use fathom_kernel::Timestamp;
use rand::Rng;
use rand::rngs::SmallRng;

use crate::batch::Chunk;
use crate::chance::{Purpose, Tables, generator};
use crate::fault::{FaultChange, FaultKind};

/// Routine lines: level and text; `#` becomes a number.
const ROUTINE: [(&str, &str); 8] = [
    ("STATUS", "timeslices processed: #"),
    ("STATUS", "queue length # frames"),
    ("STATUS", "events written: #"),
    ("STATUS", "memory in use # MB"),
    ("WARNING", "incomplete UDP packets in frame #"),
    ("WARNING", "timeslice # discarded: too late"),
    ("STATUS", "connected to # CLBs"),
    ("ERROR", "connection lost to CLB at port #, reconnecting"),
];

/// Programs with their number on the shore station.
const PROGRAMS: [(char, u32); 4] = [('A', 2), ('F', 4), ('Q', 2), ('W', 1)];

/// Makes text messages.
#[derive(Debug)]
pub(crate) struct Messages {
    rate_hz: f64,
    wait_s: f64,
    chunk: Chunk,
    rng: SmallRng,
    tables: Tables,
}

impl Messages {
    /// Makes the source of so many routine messages per second.
    pub(crate) fn new(rate_hz: f64, seed: u64) -> Self {
        let mut messages = Self {
            rate_hz,
            wait_s: 0.0,
            chunk: Chunk::default(),
            rng: generator(seed, Purpose::Messages),
            tables: Tables::new(),
        };
        messages.wait_s = messages.gap_s();
        messages
    }

    /// Lets routine messages of a stretch of time be written.
    pub(crate) fn routine(&mut self, at_ns: u64, stretch_s: f64) {
        self.wait_s -= stretch_s;
        while self.wait_s <= 0.0 {
            self.wait_s += self.gap_s();
            let (program, number) = PROGRAMS[self.rng.random_range(0..PROGRAMS.len())];
            let program = format!("{program}{:03}", self.rng.random_range(1..=number));
            let (level, text) = ROUTINE[self.rng.random_range(0..ROUTINE.len())];
            let number: u32 = self.rng.random_range(1..5000);
            self.write(
                at_ns,
                &program,
                level,
                &text.replace('#', &number.to_string()),
            );
        }
    }

    /// Writes that a run starts.
    pub(crate) fn run_starts(&mut self, at_ns: u64, run: i32) {
        for (program, count) in PROGRAMS {
            for number in 1..=count {
                let program = format!("{program}{number:03}");
                self.write(at_ns, &program, "STATUS", &format!("start run {run}"));
            }
        }
    }

    /// Writes that a fault came or went.
    pub(crate) fn fault(&mut self, at_ns: u64, change: &FaultChange) {
        let (program, on, off) = match change.fault {
            FaultKind::DomDead => ("Q001", "no data from CLBs", "data from CLBs again"),
            FaultKind::PmtShifted => ("F001", "PMT times off", "PMT times right again"),
            FaultKind::PmtHrv => ("F001", "high-rate veto", "high-rate veto ended"),
            FaultKind::TimeSyncLost => {
                ("Q001", "invalid time synchronisation", "time synchronised")
            }
            FaultKind::Rotate => (
                "Q001",
                "compass reading changed",
                "compass reading as before",
            ),
            FaultKind::TriggerRateZero => ("F001", "no triggers", "triggers again"),
            FaultKind::CorruptFrames => ("F002", "checksum errors", "no more checksum errors"),
            FaultKind::TruncatedFrames => ("F002", "incomplete frames", "frames complete again"),
            FaultKind::OversizedFrames => ("F002", "frame too long", "frame lengths right again"),
            FaultKind::SourceSilent => ("Q002", "input stopped", "input again"),
            FaultKind::SourceReconnecting => ("Q002", "connection unstable", "connection stable"),
            FaultKind::BeaconLost => ("A001", "no pings of a beacon", "pings of the beacon again"),
        };
        let (level, text) = if change.on {
            ("ERROR", on)
        } else {
            ("STATUS", off)
        };
        self.write(at_ns, program, level, text);
    }

    /// Gives the messages written since.
    pub(crate) fn take(&mut self) -> Chunk {
        std::mem::take(&mut self.chunk)
    }

    fn gap_s(&mut self) -> f64 {
        if self.rate_hz <= 0.0 {
            return f64::INFINITY;
        }
        self.tables.exponential(&mut self.rng) / self.rate_hz
    }

    fn write(&mut self, at_ns: u64, program: &str, level: &str, text: &str) {
        let at = Timestamp::from_nanosecond(i128::from(at_ns)).unwrap_or_default();
        let date = at.strftime("%Y-%m-%d %H:%M:%S%.3f");
        let host = program.bytes().map(u32::from).sum::<u32>() % 200 + 10;
        let line = format!("{date} 172.16.65.{host} {program} {level} {text}");
        self.chunk.push(tags::MSG, |out| encode_message(&line, out));
    }
}

#[cfg(test)]
mod tests {
    use fathom_formats::km3net::{LogMessage, LogSource};

    use super::*;

    #[test]
    fn lines_follow_the_convention_of_the_daq_programs() {
        let mut messages = Messages::new(10.0, 3);
        let start_ns = 1_767_225_600_500_000_000;
        messages.run_starts(start_ns, 77);
        messages.routine(start_ns, 20.0);
        let sealed = messages.take().seal();
        assert!(
            (9 + 100..9 + 300).contains(&sealed.len()),
            "{}",
            sealed.len()
        );
        for (_, body) in sealed.messages() {
            let message = LogMessage::decode(&body);
            let fields = message.fields().unwrap();
            assert_eq!(fields.date, "2026-01-01 00:00:00.500");
            assert_ne!(message.source(), LogSource::Other, "{}", message.text());
        }
        assert!(messages.take().is_empty());
    }
}
