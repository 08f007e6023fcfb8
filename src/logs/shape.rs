//! How the lines of a service look in its log: as they are, after their time, as JSON, after the
//! name of the service.

use std::io::Write as _;
use std::sync::Arc;

use fathom_kernel::{LogLine, Timestamp};
use memchr::memchr;

use crate::config::plan::{LineFormat, LogPlan, LogTarget};
use crate::telemetry::Voice;

/// Gives lines their look.
#[derive(Debug)]
pub(crate) struct Shaper {
    service: Arc<str>,
    voice: Voice,
    format: LineFormat,
    /// Several services share one output.
    named: bool,
    /// The last text had no line end: the next one goes on with the same line.
    within_line: bool,
    shaped: Vec<u8>,
}

impl Shaper {
    pub(crate) fn new(service: Arc<str>, voice: Voice, plan: &LogPlan) -> Self {
        Self {
            service,
            voice,
            format: plan.format,
            named: plan.target == LogTarget::Stdout,
            within_line: false,
            shaped: Vec::new(),
        }
    }

    /// Tells whether everything stays as it is.
    pub(crate) fn is_plain(&self) -> bool {
        self.format == LineFormat::Raw && !self.named
    }

    /// Shapes lines that were read at a time; only the last may lack its end, when it is long, or
    /// the very last.
    pub(crate) fn shape<'a>(&'a mut self, at: Timestamp, text: &'a [u8]) -> &'a [u8] {
        if self.is_plain() {
            return text;
        }
        self.shaped.clear();
        let mut rest = text;
        while !rest.is_empty() {
            let end = memchr(b'\n', rest).map_or(rest.len(), |at| at + 1);
            let (line, more) = rest.split_at(end);
            self.line(at, line);
            rest = more;
        }
        &self.shaped
    }

    /// Ends a line that has no end of its own.
    pub(crate) fn finish(&mut self) -> &'static [u8] {
        match std::mem::take(&mut self.within_line) {
            true => b"\n",
            false => b"",
        }
    }

    fn line(&mut self, at: Timestamp, line: &[u8]) {
        if self.format == LineFormat::Json {
            self.json(at, line);
            return;
        }
        // Writing to memory cannot fail.
        if !self.within_line {
            if self.named {
                write!(self.shaped, "{} | ", self.service).ok();
            }
            if self.format == LineFormat::Ts {
                write!(self.shaped, "{at:.3} ").ok();
            }
        }
        self.shaped.extend_from_slice(line);
        self.within_line = line.last() != Some(&b'\n');
    }

    fn json(&mut self, at: Timestamp, line: &[u8]) {
        let text = line.strip_suffix(b"\n").unwrap_or(line);
        let line = LogLine {
            service: self.service.to_string(),
            incarnation: self.voice.incarnation,
            stream: self.voice.stream,
            line: String::from_utf8_lossy(text).into_owned(),
            at,
        };
        serde_json::to_writer(&mut self.shaped, &line).ok();
        self.shaped.push(b'\n');
    }
}

/// Shapes a record of a service of this process: it has its time in any case.
pub(super) fn record(line: &LogLine, format: LineFormat, target: LogTarget) -> Vec<u8> {
    let mut text = match format {
        LineFormat::Json => serde_json::to_string(line).unwrap_or_default(),
        LineFormat::Raw | LineFormat::Ts => format!("{:.3} {}", line.at, line.line),
    };
    if target == LogTarget::Stdout && format != LineFormat::Json {
        text.insert_str(0, &format!("{} | ", line.service));
    }
    text.push('\n');
    text.into_bytes()
}

#[cfg(test)]
mod tests {
    use fathom_kernel::LogStream;

    use super::*;

    fn shaped(format: LineFormat, target: LogTarget, parts: &[&[u8]]) -> String {
        let plan = LogPlan {
            format,
            target,
            ..LogPlan::default()
        };
        let voice = Voice {
            incarnation: 7,
            stream: LogStream::Stdout,
        };
        let mut shaper = Shaper::new("a:b".into(), voice, &plan);
        let mut all = Vec::new();
        for part in parts {
            all.extend_from_slice(shaper.shape(Timestamp::UNIX_EPOCH, part));
        }
        all.extend_from_slice(shaper.finish());
        String::from_utf8_lossy(&all).into_owned()
    }

    #[test]
    fn lines_get_their_time_and_name_once_also_when_they_come_in_parts() {
        let parts: [&[u8]; 3] = [b"one\n\nlong", b" line\nlast", b" words"];
        assert_eq!(
            shaped(LineFormat::Raw, LogTarget::File, &parts),
            "one\n\nlong line\nlast words"
        );
        assert_eq!(
            shaped(LineFormat::Ts, LogTarget::File, &parts),
            "1970-01-01T00:00:00.000Z one\n1970-01-01T00:00:00.000Z \n\
             1970-01-01T00:00:00.000Z long line\n1970-01-01T00:00:00.000Z last words\n"
        );
        assert_eq!(
            shaped(LineFormat::Raw, LogTarget::Stdout, &parts),
            "a:b | one\na:b | \na:b | long line\na:b | last words\n"
        );
        assert_eq!(
            shaped(LineFormat::Ts, LogTarget::Stdout, &[b"one\n"]),
            "a:b | 1970-01-01T00:00:00.000Z one\n"
        );
    }

    #[test]
    fn json_is_one_object_per_line_whatever_the_bytes() {
        let text = shaped(
            LineFormat::Json,
            LogTarget::File,
            &[b"say \"hi\"\n", b"\xff\n"],
        );
        let lines: Vec<LogLine> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(lines[0].line, "say \"hi\"");
        assert_eq!(lines[1].line, "\u{fffd}");
        assert_eq!(
            (&*lines[0].service, lines[0].incarnation, lines[0].stream),
            ("a:b", 7, LogStream::Stdout)
        );
    }
}
