//! Groups of the original, and the names that may stand in the new file.

use std::collections::BTreeMap;

use super::context::Context;
use super::files::Files;
use super::note::{Gravity, Notes};
use super::options::{Options, Reading};
use crate::config::SUPERVISOR;

/// Groups by the programs in them.
#[derive(Default)]
pub(super) struct Groups {
    /// Names and priorities of the groups that a program is in.
    pub(super) of_program: BTreeMap<String, Vec<(String, i64)>>,
}

impl Groups {
    /// Reads the groups of all files.
    pub(super) fn of(files: &Files, cx: &Context<'_>, notes: &mut Notes) -> Self {
        let mut groups = Self::default();
        for section in &files.sections {
            let Some(name) = section.name.strip_prefix("group:") else {
                continue;
            };
            let options = Options::of(section, cx.defaults);
            let mut reading = Reading {
                options: &options,
                names: cx.names(),
                notes,
            };
            let priority = reading.number("priority").unwrap_or(999);
            let programs = reading
                .text("programs")
                .map(|text| text.now(cx.environment));
            let programs = programs.and_then(Result::ok).unwrap_or_default();
            for program in programs.split(',').map(str::trim).filter(|p| !p.is_empty()) {
                let known = |kind: &str| files.section(&format!("{kind}:{program}")).is_some();
                if !known("program") && !known("fcgi-program") {
                    let message = format!("there is no program {program}");
                    reading.say(Gravity::Wrong, "programs", message);
                }
                let of_it = groups.of_program.entry(program.to_owned()).or_default();
                of_it.push((plain_name(name), priority));
            }
        }
        groups
    }
}

/// Returns a name that fathom takes: ASCII letters, digits, `_` and `-`, no sign at the beginning.
pub(super) fn plain_name(name: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let name = name.trim().replace(|c| !plain(c), "_");
    match name.as_str() {
        "" => "unnamed".to_owned(),
        "all" | SUPERVISOR => format!("{name}_"),
        _ if !name.starts_with(|c: char| c.is_ascii_alphanumeric()) => format!("x{name}"),
        _ => name,
    }
}
