//! SHA-256 digests over the values of a payload, to compare decoders byte for byte.
//!
//! Lines of unsigned decimals, single blanks, each ended by a newline:
//!
//! ```text
//! event      T dom channel time tot mask     per triggered hit, then
//!            S dom channel time tot          per snapshot hit
//! summary    dom daq status fifo status_3 status_4 code0 ... code30
//! time slice F dom daq status fifo status_3 status_4 n_hits, then
//!            H channel time tot              per hit of that frame
//! ```

use std::fmt::Write;

use sha2::{Digest, Sha256};

use super::event::Event;
use super::status::FrameStatus;
use super::summary::SummarySlice;
use super::timeslice::TimeSlice;

/// Hands lines on to the hash without keeping them.
#[derive(Default)]
pub(crate) struct LineHash(Sha256);

impl Write for LineHash {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        self.0.update(text.as_bytes());
        Ok(())
    }
}

impl LineHash {
    /// Adds one line.
    pub(crate) fn line(&mut self, line: std::fmt::Arguments<'_>) {
        self.write_fmt(line)
            .expect("writing into a hash cannot fail");
        self.0.update(b"\n");
    }

    pub(crate) fn finish(self) -> String {
        hex(&self.0.finalize())
    }
}

/// Returns the SHA-256 of bytes in lower-case hexadecimal.
pub fn sha256_hex(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// Returns bytes in lower-case hexadecimal.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
            write!(text, "{byte:02x}").expect("writing into a string cannot fail");
            text
        })
}

/// The five status words as they stand in a line.
struct Words<'a>(&'a FrameStatus);

impl std::fmt::Display for Words<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let s = self.0;
        let (daq, status, fifo) = (s.daq_word(), s.status_word(), s.fifo_word());
        write!(f, "{daq} {status} {fifo} {} {}", s.status_3(), s.status_4())
    }
}

impl Event<'_> {
    /// Returns the digest over all hits.
    pub fn digest(&self) -> String {
        let mut hash = LineHash::default();
        for t in self.triggered {
            let (dom, channel, time) = (t.dom_id(), t.channel(), t.time_ns());
            let mask = t.trigger_mask().0;
            hash.line(format_args!(
                "T {dom} {channel} {time} {} {mask}",
                t.tot_ns()
            ));
        }
        for s in self.snapshot {
            let (dom, channel, time) = (s.dom_id(), s.channel(), s.time_ns());
            hash.line(format_args!("S {dom} {channel} {time} {}", s.tot_ns()));
        }
        hash.finish()
    }
}

impl SummarySlice<'_> {
    /// Returns the digest over all frames.
    pub fn digest(&self) -> String {
        let mut hash = LineHash::default();
        for frame in self.frames {
            write!(hash, "{} {}", frame.dom_id(), Words(frame.status()))
                .expect("writing into a hash cannot fail");
            for code in frame.codes() {
                write!(hash, " {code}").expect("writing into a hash cannot fail");
            }
            hash.line(format_args!(""));
        }
        hash.finish()
    }
}

impl TimeSlice<'_> {
    /// Returns the digest over all super frames and hits.
    pub fn digest(&self) -> String {
        let mut hash = LineHash::default();
        for frame in self.frames() {
            let (dom, words, hits) = (frame.dom_id, Words(&frame.status), frame.hits.len());
            hash.line(format_args!("F {dom} {words} {hits}"));
            for hit in frame.hits {
                hash.line(format_args!(
                    "H {} {} {}",
                    hit.channel(),
                    hit.time_ns(),
                    hit.tot_ns()
                ));
            }
        }
        hash.finish()
    }
}
