//! What a monitor said: latest outputs, conditions that hold, bad messages, files.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use fathom_kernel::{Alarm, Output, Outputs, Span, Timestamp, write_files};
use fathom_simulator::FileProblem;
use fathom_web::picture::{Size, draw};
use serde::Serialize;

use super::player::Place;

/// Collects, prints and draws.
pub(super) struct Results<W, R> {
    out: W,
    /// Tells people of a bad message.
    report: R,
    every: Option<Span>,
    next_print: Option<Timestamp>,
    now: Timestamp,
    files: Option<PathBuf>,
    /// Changes of files for which there is no folder.
    kept_back: usize,
    latest: BTreeMap<String, (Timestamp, Output)>,
    /// Names of outputs that are new since they were printed.
    changed: BTreeSet<String>,
    holding: BTreeMap<(String, String), Alarm>,
    bad: u64,
}

/// One line of the result.
#[derive(Serialize)]
struct Line<'a> {
    at: Timestamp,
    #[serde(flatten)]
    what: What<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum What<'a> {
    Output(&'a Output),
    Alarm(&'a Alarm),
}

impl<W: Write, R: FnMut(&FileProblem)> Results<W, R> {
    pub(super) fn new(out: W, report: R, every: Option<Span>, files: Option<PathBuf>) -> Self {
        Self {
            out,
            report,
            every,
            next_print: None,
            now: Timestamp::UNIX_EPOCH,
            files,
            kept_back: 0,
            latest: BTreeMap::new(),
            changed: BTreeSet::new(),
            holding: BTreeMap::new(),
            bad: 0,
        }
    }

    /// Counts and reports places of files that cannot be read.
    pub(super) fn unreadable(&mut self, problems: Vec<FileProblem>) {
        for problem in problems {
            self.bad += 1;
            (self.report)(&problem);
        }
    }

    /// Takes what was said at a time, after so many messages.
    pub(super) fn take(
        &mut self,
        (at, received): (Timestamp, u64),
        out: &mut Outputs,
        place: Option<Place<'_>>,
    ) -> io::Result<()> {
        self.now = self.now.max(at);
        for reason in out.bad.drain(..) {
            let (file, offset) = place.unwrap_or((Path::new("monitor"), 0));
            let text = match place {
                Some(_) => reason.to_owned(),
                None => format!("{reason}, between messages at {at}"),
            };
            self.unreadable(vec![FileProblem {
                file: file.to_owned(),
                offset,
                reason,
                text,
            }]);
        }
        for mut output in out.outputs.drain(..) {
            output.losses.received = received;
            output.losses.bad = self.bad;
            self.changed.insert(output.name.clone());
            self.latest.insert(output.name.clone(), (at, output));
        }
        for alarm in out.alarms.drain(..) {
            let what = What::Alarm(&alarm);
            line(&mut self.out, &Line { at, what })?;
            let key = (alarm.rule.clone(), alarm.subject.clone());
            match alarm.firing {
                true => self.holding.insert(key, alarm),
                false => self.holding.remove(&key),
            };
        }
        self.write(out)?;
        self.print_when_due(at)
    }

    /// Prints what was not printed yet.
    pub(super) fn finish(&mut self) -> io::Result<()> {
        self.print()?;
        self.out.flush()
    }

    /// Draws all outputs as they were at the end.
    pub(super) fn draw(&self, folder: &Path) -> io::Result<()> {
        std::fs::create_dir_all(folder)?;
        for (name, (at, output)) in &self.latest {
            if !Output::is_valid_name(name) {
                continue;
            }
            let picture = draw(output, *at, self.now, Size::of(&output.view));
            std::fs::write(folder.join(format!("{name}.png")), picture)?;
        }
        Ok(())
    }

    pub(super) fn bad(&self) -> u64 {
        self.bad
    }

    pub(super) fn outputs(&self) -> usize {
        self.latest.len()
    }

    pub(super) fn kept_back(&self) -> usize {
        self.kept_back
    }

    /// Returns the conditions that hold.
    pub(super) fn alarms(&self) -> impl Iterator<Item = &Alarm> {
        self.holding.values()
    }

    fn write(&mut self, out: &mut Outputs) -> io::Result<()> {
        let (lines, edits) = (
            std::mem::take(&mut out.lines),
            std::mem::take(&mut out.files),
        );
        let Some(folder) = &self.files else {
            self.kept_back += lines.len() + edits.len();
            return Ok(());
        };
        let faults = write_files(folder, &lines, &edits);
        faults.into_iter().next().map_or(Ok(()), |(_, e)| Err(e))
    }

    fn print_when_due(&mut self, at: Timestamp) -> io::Result<()> {
        let Some(every) = self.every else {
            return Ok(());
        };
        let due = self.next_print.is_some_and(|next| next <= at);
        if due {
            self.print()?;
        }
        if due || self.next_print.is_none() {
            let next = at.saturating_add(every.duration());
            self.next_print = Some(next.unwrap_or(Timestamp::MAX));
        }
        Ok(())
    }

    fn print(&mut self) -> io::Result<()> {
        for name in std::mem::take(&mut self.changed) {
            if let Some((at, output)) = self.latest.get(&name) {
                let what = What::Output(output);
                line(&mut self.out, &Line { at: *at, what })?;
            }
        }
        Ok(())
    }
}

fn line(out: &mut impl Write, line: &Line<'_>) -> io::Result<()> {
    serde_json::to_writer(&mut *out, line)?;
    out.write_all(b"\n")
}
