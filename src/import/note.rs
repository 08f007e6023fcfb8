//! What of the original could not be carried over as it was, with the line it stands in.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Serialize;

/// A line of one of the files read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct At {
    /// Which file, in the order they were read.
    pub(super) file: usize,
    /// Its line, from 1.
    pub(super) line: usize,
}

/// What became of an option.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Gravity {
    /// Cannot be read, and supervisord would refuse it as well: left out.
    Wrong,
    /// Has no equivalent: left out.
    Dropped,
    /// Carried over, but works differently.
    Changed,
}

impl Gravity {
    /// Returns the word shown in the report.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Wrong => "wrong",
            Self::Dropped => "no equivalent",
            Self::Changed => "changed",
        }
    }
}

/// One line of the report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Note {
    /// File, as it was named or found.
    pub file: String,
    /// Line in it, from 1.
    pub line: usize,
    /// Section, without its brackets; empty before the first one.
    pub section: String,
    /// Option; none when the note is about the section.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub option: Option<String>,
    /// What became of it.
    pub gravity: Gravity,
    /// Why, and what to do.
    pub message: String,
}

impl std::fmt::Display for Note {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}: ", self.file, self.line)?;
        if !self.section.is_empty() {
            write!(f, "[{}] ", self.section)?;
        }
        if let Some(option) = &self.option {
            write!(f, "{option}: ")?;
        }
        write!(f, "{}: {}", self.gravity.name(), self.message)
    }
}

/// Where in the files a note belongs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Subject<'a> {
    pub(super) at: At,
    pub(super) section: &'a str,
    pub(super) option: Option<&'a str>,
}

/// Collects notes, each once.
#[derive(Debug, Default)]
pub(super) struct Notes {
    found: BTreeMap<(At, Option<String>, String), (Gravity, String)>,
}

impl Notes {
    /// Adds a note.
    pub(super) fn add(&mut self, gravity: Gravity, of: Subject<'_>, message: impl Into<String>) {
        let key = (of.at, of.option.map(str::to_owned), message.into());
        self.found.insert(key, (gravity, of.section.to_owned()));
    }

    /// Returns all notes in the order of the files and lines.
    pub(super) fn finish(self, files: &[PathBuf]) -> Vec<Note> {
        let found = self.found.into_iter();
        let note = |((at, option, message), (gravity, section)): (_, _)| {
            let At { file, line } = at;
            let file = files.get(file).map(|path| path.display().to_string());
            Note {
                file: file.unwrap_or_default(),
                line,
                section,
                option,
                gravity,
                message,
            }
        };
        found.map(note).collect()
    }
}
