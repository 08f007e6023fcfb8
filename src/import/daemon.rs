//! What is said of supervisord itself: `[supervisord]`, and where the comments on it go.

use super::context::Context;
use super::expand::Text;
use super::layout::above;
use super::note::{Gravity, Notes};
use super::options::{Options, Reading};
use super::outcome::{Field, Line};
use super::program::size_of;
use super::reader::Section;
use super::{remarks, value};

/// A size that no log reaches.
const NEVER: u64 = 1 << 40;

/// Options of `[supervisord]` without an equivalent, and what to do instead.
const DROPPED: [(&str, &str); 8] = [
    ("pidfile", "ask for it: fathom ctl pid"),
    ("silent", "`fathom up` says little on its terminal"),
    ("nocleanup", "logs of children are never removed at a start"),
    (
        "minprocs",
        "set it around fathom: LimitNPROC= of its systemd unit",
    ),
    (
        "minfds",
        "set it around fathom, or by service: limits = { nofile = … }",
    ),
    (
        "user",
        "start fathom as this user: User= of its systemd unit",
    ),
    ("childlogdir", "output is kept in logs/ under `data_dir`"),
    ("strip_ansi", "output is kept as it is"),
];

/// Options whose comments belong to a key.
const KEYS: [(&str, &str); 7] = [
    ("identifier", "name"),
    ("loglevel", "level"),
    ("logfile_maxbytes", "max"),
    ("logfile_backups", "backups"),
    ("port", "listen"),
    ("chmod", "socket_mode"),
    ("chown", "socket_group"),
];

/// Returns a table with the comments of the sections it is made of. Those of `[supervisord]` that
/// belong to no key stand in `[stack]`.
pub(super) fn table(
    name: &str,
    fields: Vec<Field>,
    sections: &[&Section],
    cx: &Context<'_>,
) -> Vec<Line> {
    let key = |option: &str| {
        KEYS.iter()
            .find(|(known, _)| *known == option)
            .map(|(_, key)| *key)
    };
    let has = |key: &&str| fields.iter().any(|field| field.key == *key);
    let entries = || sections.iter().flat_map(|section| &section.entries);
    let mut lines = Vec::new();
    if name != "log" {
        for section in sections {
            lines.extend(remarks::lines(&section.comments, None, cx));
        }
    }
    if !fields.is_empty() {
        lines.push(Line::Header(vec![name.to_owned()]));
    }
    if name != "log" {
        let keyless = |option: &str| match option {
            // They stand in `[log]`, with or without a key there.
            "loglevel" | "logfile_maxbytes" | "logfile_backups" => false,
            _ => key(option).filter(has).is_none(),
        };
        for entry in entries().filter(|entry| keyless(&entry.key)) {
            lines.extend(remarks::lines(&above(entry), None, cx));
        }
    }
    for field in &fields {
        for entry in entries().filter(|entry| key(&entry.key) == Some(field.key)) {
            lines.extend(remarks::lines(&entry.comments, None, cx));
        }
        lines.push(Line::Field(field.clone()));
    }
    if name != "log" {
        for section in sections {
            lines.extend(remarks::lines(&section.tail, None, cx));
        }
    }
    lines.push(Line::Gap);
    lines
}

/// Returns the variables that supervisord sets for its children.
pub(super) fn variables(
    section: Option<&Section>,
    cx: &Context<'_>,
    notes: &mut Notes,
) -> Vec<(String, Text)> {
    let Some(section) = section else {
        return Vec::new();
    };
    let options = Options::of(section, cx.defaults);
    let mut reading = reading(&options, cx, notes);
    let pairs = reading.text("environment").map(|text| value::pairs(&text));
    match pairs {
        Some(Ok(pairs)) => pairs,
        Some(Err(error)) => {
            reading.wrong("environment", &error);
            Vec::new()
        }
        None => Vec::new(),
    }
}

/// Returns the folder in which supervisord runs its children.
pub(super) fn folder(
    section: Option<&Section>,
    cx: &Context<'_>,
    notes: &mut Notes,
) -> Option<String> {
    let options = Options::of(section?, cx.defaults);
    let mut reading = reading(&options, cx, notes);
    // It goes there when it leaves its terminal.
    let stays = reading.truth("nodaemon") == Some(true);
    reading.for_fathom("directory").filter(|_| !stays)
}

/// Returns the umask of supervisord, when it is said.
pub(super) fn umask(section: Option<&Section>, cx: &Context<'_>, notes: &mut Notes) -> Option<u32> {
    let options = Options::of(section?, cx.defaults);
    reading(&options, cx, notes).value("umask", value::octal)
}

/// Returns the fields of `[stack]`.
pub(super) fn stack(section: &Section, cx: &Context<'_>, notes: &mut Notes) -> Vec<Field> {
    let options = Options::of(section, cx.defaults);
    account(&options, notes);
    let mut reading = reading(&options, cx, notes);
    let name = reading.for_fathom("identifier");
    name.map(|name| Field::new("name", name))
        .into_iter()
        .collect()
}

/// Returns the fields of `[log]`.
pub(super) fn log(section: &Section, cx: &Context<'_>, notes: &mut Notes) -> Vec<Field> {
    let options = Options::of(section, cx.defaults);
    let mut reading = reading(&options, cx, notes);
    let level = reading.for_fathom("loglevel").and_then(|level| {
        let known = match level.to_lowercase().as_str() {
            "critical" | "crit" | "error" | "erro" => "error",
            "warn" | "warning" => "warn",
            "info" => "info",
            "debug" | "debg" => "debug",
            "trace" | "trac" | "blather" | "blat" => "trace",
            _ => {
                let message = format!("`{level}` is no level");
                reading.say(Gravity::Wrong, "loglevel", message);
                return None;
            }
        };
        Some(Field::new("level", known))
    });
    let max = reading.bytes("logfile_maxbytes");
    // Never to rotate is as good as at a size that is never reached.
    let max = max.map(|bytes| size_of(if bytes == 0 { NEVER } else { bytes }));
    let backups = reading.count("logfile_backups");
    let backups = backups.map(|count| i64::try_from(count).unwrap_or(i64::MAX));
    let fields = [
        level,
        max.map(|max| Field::new("max", max)),
        backups.map(|count| Field::new("backups", count)),
    ];
    fields.into_iter().flatten().collect()
}

fn account(options: &Options<'_>, notes: &mut Notes) {
    const CARRIED: [&str; 7] = [
        "umask",
        "identifier",
        "environment",
        "directory",
        "loglevel",
        "logfile_maxbytes",
        "logfile_backups",
    ];
    for entry in &options.section.entries {
        let key = entry.key.as_str();
        if CARRIED.contains(&key) {
            continue;
        }
        let dropped = DROPPED.iter().find(|(name, _)| *name == key);
        match dropped {
            Some((_, message)) => options.say(notes, Gravity::Dropped, key, *message),
            None if key == "nodaemon" => {
                if value::truth(&entry.value) == Ok(false) {
                    let message = "`fathom up` stays in the foreground, as under systemd";
                    options.say(notes, Gravity::Changed, key, message);
                }
            }
            None if key == "logfile" => {
                let message = "kept as fathom.log in logs/ under `data_dir`";
                options.say(notes, Gravity::Changed, key, message);
            }
            None => {
                let message = "supervisord has no such option either";
                options.say(notes, Gravity::Dropped, key, message);
            }
        }
    }
}

/// Reads options with what holds everywhere.
pub(super) fn reading<'a, 'b>(
    options: &'b Options<'a>,
    cx: &'b Context<'_>,
    notes: &'b mut Notes,
) -> Reading<'a, 'b> {
    Reading {
        options,
        names: cx.names(),
        notes,
    }
}
