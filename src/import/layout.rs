//! The lines of the new file around its fields: its head, and the comments of the original.

use std::collections::BTreeMap;

use super::context::{Context, key_of};
use super::convert::Source;
use super::outcome::{Field, Line, Service};
use super::program::{Process, Program};
use super::reader::{Comment, Entry, Section};
use super::remarks::{self, Live};

/// The head of the new file.
pub(super) fn preface(source: &Source) -> Vec<Line> {
    let name = source
        .file
        .file_name()
        .unwrap_or_default()
        .to_string_lossy();
    let mut text = vec![
        format!("Made from {name} by `fathom import`. `fathom check` reads it, `fathom up` starts it."),
        String::new(),
        "Priorities stand as conditions: a service starts when those of the next lower priority exist,".into(),
        "or have failed, ended or been stopped (`=settled`): as with supervisord, one that fails keeps".into(),
        "nobody from starting. `=ready` in place of it waits until they work.".into(),
        "Where nothing is said, fathom's defaults hold, among them: signals to stop go to the whole".into(),
        "process group (supervisord: to its leader), and ten failures in five minutes are FATAL".into(),
        "(supervisord: four short-lived starts in a row).".into(),
    ];
    if source.folder.is_none() {
        text.push(format!(
            "Relative paths begin in the folder of this file: keep it beside {name}."
        ));
    }
    let lines = text.into_iter().map(Line::Comment);
    lines.chain([Line::Gap]).collect()
}

/// What stands around the fields of a service.
#[derive(Default)]
pub(super) struct ServiceLines {
    /// Above the header.
    pub(super) above: Vec<Line>,
    /// Above a field.
    beside: BTreeMap<&'static str, Vec<Line>>,
    /// Directly under the header.
    under: Vec<Line>,
    /// Behind all fields.
    pub(super) behind: Vec<Line>,
}

impl ServiceLines {
    /// Returns the comments of a program, each where it belongs.
    pub(super) fn of(
        section: &Section,
        program: Program<'_, '_>,
        process: Option<&Process>,
    ) -> Self {
        let live = process.map(|process| Live {
            program,
            process,
            number: (0, 1),
        });
        let mut around = Self {
            above: remarks::lines(&section.comments, None, program.cx),
            behind: remarks::lines(&section.tail, live, program.cx),
            ..Self::default()
        };
        for entry in &section.entries {
            let key = key_of(&entry.key).filter(|key| {
                let mut fields = process.iter().flat_map(|process| &process.fields);
                *key == "after" || fields.any(|field| field.key == *key)
            });
            match key {
                Some(key) => {
                    let lines = remarks::lines(&entry.comments, live, program.cx);
                    around.beside.entry(key).or_default().extend(lines);
                }
                None => {
                    let lines = remarks::lines(&above(entry), live, program.cx);
                    around.under.extend(lines);
                }
            }
        }
        around
    }
}

/// Returns a service with its comments.
pub(super) fn service_lines(
    service: &Service,
    after: &[String],
    mut around: ServiceLines,
) -> Vec<Line> {
    /// What a service is; before what must be true for it.
    const FIRST: [&str; 6] = ["group", "command", "cwd", "env", "user", "umask"];
    let mut fields = service.fields.clone();
    if !service.alone {
        fields.insert(0, Field::new("group", service.group.clone()));
    }
    if !after.is_empty() {
        let first = fields
            .iter()
            .take_while(|field| FIRST.contains(&field.key))
            .count();
        let names: Vec<toml::Value> = after.iter().cloned().map(Into::into).collect();
        fields.insert(first, Field::new("after", names));
    }
    let mut lines = around.above;
    lines.push(Line::Header(vec![
        "service".to_owned(),
        service.name.clone(),
    ]));
    lines.append(&mut around.under);
    for field in fields {
        lines.extend(around.beside.remove(field.key).into_iter().flatten());
        lines.push(Line::Field(field));
    }
    lines.extend(around.beside.into_values().flatten());
    lines.extend(apart(around.behind));
    lines.push(Line::Gap);
    lines
}

/// Keeps lines apart from what stands above them when they begin a table that is switched off.
pub(super) fn apart(lines: Vec<Line>) -> Vec<Line> {
    match lines.first() {
        Some(Line::OffHeader(_)) => [vec![Line::Gap], lines].concat(),
        _ => lines,
    }
}

/// Returns all comments of a section.
pub(super) fn all_remarks(section: &Section, cx: &Context<'_>) -> Vec<Line> {
    let inner = section.entries.iter().flat_map(|entry| &entry.comments);
    let all = section.comments.iter().chain(inner).chain(&section.tail);
    let all: Vec<_> = all.cloned().collect();
    remarks::lines(&all, None, cx)
}

/// Returns the comments above an option, without those beside it: they say something of a value
/// that is not carried over.
pub(super) fn above(entry: &Entry) -> Vec<Comment> {
    let above = entry.comments.iter();
    above
        .filter(|comment| comment.at.line < entry.at.line)
        .cloned()
        .collect()
}
