//! All problems of a configuration, as text for people or as JSON.

use std::fmt;

use fathom_kernel::with_passwords_starred;
use miette::{
    Diagnostic, GraphicalReportHandler, GraphicalTheme, LabeledSpan, MietteError,
    MietteSpanContents, Severity, SourceCode, SourceSpan, SpanContents,
};
use serde::Serialize;

use super::problem::{Gravity, Problem};
use super::source::{Place, Source, Sources};

/// Columns of a rendered report.
const WIDTH: usize = 100;

/// What is wrong with a configuration; may hold warnings only.
#[derive(Debug, Default, Clone)]
pub struct Report {
    pub(crate) sources: Sources,
    pub(crate) problems: Vec<Problem>,
}

/// One problem for programs.
#[derive(Debug, Serialize)]
pub struct Finding {
    /// `error` or `warning`.
    pub gravity: Gravity,
    /// What is wrong.
    pub message: String,
    /// Where.
    pub at: Option<Spot>,
    /// What would have been right.
    pub help: Option<String>,
    /// Other places that belong to it.
    pub also: Vec<Spot>,
}

/// A place for programs.
#[derive(Debug, Serialize)]
pub struct Spot {
    /// File, variable or argument.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// Words at this place.
    pub label: Option<String>,
}

impl Report {
    /// Tells whether anything keeps the stack from starting.
    pub fn has_errors(&self) -> bool {
        self.count(Gravity::Error) > 0
    }

    /// Counts the problems of a gravity.
    pub fn count(&self, gravity: Gravity) -> usize {
        let of_it = |problem: &&Problem| problem.gravity == gravity;
        self.problems.iter().filter(of_it).count()
    }

    /// Sorts problems by place, each said once.
    pub(crate) fn tidied(mut self) -> Self {
        let key = |p: &Problem| {
            p.place
                .clone()
                .map_or((0, 0), |place| (place.start, place.end))
        };
        self.problems.sort_by_key(key);
        self.problems
            .dedup_by(|a, b| a.message == b.message && a.place == b.place);
        self
    }

    /// Returns the report for people.
    pub fn render(&self, colour: bool) -> String {
        let theme = match colour {
            true => GraphicalTheme::unicode(),
            false => GraphicalTheme::unicode_nocolor(),
        };
        let handler = GraphicalReportHandler::new_themed(theme)
            .with_width(WIDTH)
            .with_context_lines(0)
            .with_links(false)
            .without_syntax_highlighting()
            .with_primary_span_start();
        let mut text = String::new();
        for problem in &self.problems {
            let shown = Shown::new(&self.sources, problem);
            if handler.render_report(&mut text, &shown).is_err() {
                text.push_str(&problem.message);
            }
            text.push('\n');
        }
        text
    }

    /// Returns the problems for programs.
    pub fn findings(&self) -> Vec<Finding> {
        self.problems.iter().map(|p| self.finding(p)).collect()
    }

    fn finding(&self, problem: &Problem) -> Finding {
        let spot = |place: &Place, label: Option<&String>| {
            let (source, local) = self.sources.locate(place)?;
            let (line, column) = source.line_column(local.start);
            let (file, label) = (source.name.clone(), label.cloned());
            Some(Spot {
                file,
                line,
                column,
                label,
            })
        };
        let also = problem
            .also
            .iter()
            .filter_map(|(at, label)| spot(at, Some(label)));
        Finding {
            gravity: problem.gravity,
            message: problem.message.clone(),
            at: problem
                .place
                .as_ref()
                .and_then(|at| spot(at, problem.label.as_ref())),
            help: problem.help.clone(),
            also: also.collect(),
        }
    }
}

/// A problem as miette wants it: labels in one text; those in others become reports of their own.
#[derive(Debug)]
struct Shown {
    message: String,
    severity: Severity,
    help: Option<String>,
    source: Option<Whole>,
    labels: Vec<LabeledSpan>,
    others: Vec<Shown>,
}

impl Shown {
    fn new(sources: &Sources, problem: &Problem) -> Self {
        let mut shown = Self {
            message: problem.message.clone(),
            severity: match problem.gravity {
                Gravity::Error => Severity::Error,
                Gravity::Warning => Severity::Warning,
            },
            help: problem.help.clone(),
            source: None,
            labels: Vec::new(),
            others: Vec::new(),
        };
        let Some((source, local)) = problem.place.as_ref().and_then(|at| sources.locate(at)) else {
            return shown;
        };
        shown.source = Some(Whole {
            source: source.clone(),
            shown: with_passwords_starred(source.text).into_owned(),
        });
        let primary = LabeledSpan::new_primary_with_span(problem.label.clone(), local);
        shown.labels.push(primary);
        for (place, text) in &problem.also {
            match sources.locate(place) {
                Some((other, local)) if other.name == source.name => {
                    let label = LabeledSpan::new_with_span(Some(text.clone()), local);
                    shown.labels.push(label);
                }
                _ => shown.others.push(Self::elsewhere(sources, place, text)),
            }
        }
        shown
    }

    fn elsewhere(sources: &Sources, place: &Place, text: &str) -> Self {
        let problem = Problem::warning(text).at(place.clone());
        Self {
            severity: Severity::Advice,
            ..Self::new(sources, &problem)
        }
    }
}

/// A text of which whole lines are shown.
#[derive(Debug)]
struct Whole {
    source: Source,
    /// Its text, with stars in the place of passwords.
    shown: String,
}

impl SourceCode for Whole {
    fn read_span<'a>(
        &'a self,
        span: &SourceSpan,
        _before: usize,
        _after: usize,
    ) -> Result<Box<dyn SpanContents<'a> + 'a>, MietteError> {
        let text = &*self.shown;
        let (from, to) = (span.offset(), span.offset() + span.len());
        let outside = || MietteError::OutOfBounds;
        let start = text
            .get(..from)
            .ok_or_else(outside)?
            .rfind('\n')
            .map_or(0, |at| at + 1);
        let end = text
            .get(to..)
            .ok_or_else(outside)?
            .find('\n')
            .map_or(text.len(), |at| to + at);
        let lines = text.get(start..end).ok_or_else(outside)?;
        let (line, column) = self.source.line_column(from);
        Ok(Box::new(MietteSpanContents::new_named(
            self.source.name.clone(),
            lines.as_bytes(),
            (start..end).into(),
            line - 1,
            column - 1,
            lines.matches('\n').count(),
        )))
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Shown {}

impl Diagnostic for Shown {
    fn severity(&self) -> Option<Severity> {
        Some(self.severity)
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        let help = self.help.as_ref()?;
        Some(Box::new(help))
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        let source = self.source.as_ref()?;
        Some(source)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        Some(Box::new(self.labels.iter().cloned()))
    }

    fn related<'a>(&'a self) -> Option<Box<dyn Iterator<Item = &'a dyn Diagnostic> + 'a>> {
        Some(Box::new(
            self.others.iter().map(|other| other as &dyn Diagnostic),
        ))
    }
}
