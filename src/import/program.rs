//! One `[program:NAME]` to services: what each option becomes.

use fathom_kernel::{Size, Span};
use nix::sys::signal::Signal;
use nix::unistd::{Uid, User};
use toml::Value;

use super::context::{Context, key_of};
use super::expand::Meaning;
use super::note::{Gravity, Notes};
use super::options::{Options, Reading};
use super::outcome::Field;
use super::value::{self, ValueError};
use crate::config::STOP_SIGNALS;

/// Most processes of one program.
const PROCESSES_MAX: u64 = 1000;

/// Longest time that is meant, in seconds: a year.
const SECONDS_MAX: u64 = 366 * 86_400;

/// A program, and the group it is in.
#[derive(Debug, Clone, Copy)]
pub(super) struct Program<'a, 'b> {
    pub(super) cx: &'b Context<'a>,
    pub(super) options: &'b Options<'a>,
    pub(super) name: &'b str,
    pub(super) group: &'b str,
}

/// One process of a program.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Process {
    /// What supervisord calls it.
    pub(super) name: String,
    pub(super) fields: Vec<Field>,
}

impl<'a> Program<'a, '_> {
    /// Returns the priority of the program itself.
    pub(super) fn priority(&self, notes: &mut Notes) -> i64 {
        self.reading(None, notes).number("priority").unwrap_or(999)
    }

    /// Returns its processes; none when it has no command.
    pub(super) fn processes(&self, notes: &mut Notes) -> Vec<Process> {
        self.account(notes);
        let mut reading = self.reading(None, notes);
        let count = reading.count("numprocs").unwrap_or(1);
        let from = reading.number("numprocs_start").unwrap_or(0);
        if count > PROCESSES_MAX {
            let message = format!("only the first {PROCESSES_MAX} processes are written");
            reading.say(Gravity::Dropped, "numprocs", message);
        }
        let count = count.min(PROCESSES_MAX);
        let named = self.options.entry("process_name");
        if count > 1 && !named.is_some_and(|name| name.value.contains("%(process_num)")) {
            let message = "more than one process needs %(process_num)d in `process_name`";
            reading.say(Gravity::Wrong, "numprocs", message);
        }
        let numbers = (0..).map_while(|at| from.checked_add(at));
        let numbers = numbers.take(usize::try_from(count).unwrap_or_default());
        numbers
            .filter_map(|number| self.process((number, count), notes))
            .collect()
    }

    /// Returns the process of a number out of so many.
    pub(super) fn process(&self, number: (i64, u64), notes: &mut Notes) -> Option<Process> {
        let mut reading = self.reading(Some(number), notes);
        let fields = reading.fields(self.cx)?;
        let name = reading.text("process_name").map(|name| {
            let name = name.now(self.cx.environment);
            name.inspect_err(|error| reading.wrong("process_name", error))
        });
        let name = name.and_then(Result::ok);
        Some(Process {
            name: name.unwrap_or_else(|| self.name.to_owned()),
            fields,
        })
    }

    fn reading<'c>(&'c self, number: Option<(i64, u64)>, notes: &'c mut Notes) -> Reading<'a, 'c> {
        let mut names = self.cx.names();
        let text = |text: &str| Meaning::Text(text.to_owned());
        names.plain.insert("program_name", text(self.name));
        names.plain.insert("group_name", text(self.group));
        if let Some((number, count)) = number {
            let count = i64::try_from(count).unwrap_or(i64::MAX);
            names.plain.insert("process_num", Meaning::Number(number));
            names.plain.insert("numprocs", Meaning::Number(count));
        }
        Reading {
            options: self.options,
            names,
            notes,
        }
    }

    /// Reports what becomes of no key.
    fn account(&self, notes: &mut Notes) {
        for entry in &self.options.section.entries {
            if key_of(&entry.key).is_none() {
                let message = "supervisord has no such option for a program either";
                self.options
                    .say(notes, Gravity::Dropped, &entry.key, message);
            }
        }
        let mut reading = self.reading(None, notes);
        for stream in ["stdout", "stderr"] {
            let capture = format!("{stream}_capture_maxbytes");
            if reading.bytes(&capture).is_some_and(|bytes| bytes > 0) {
                let message = "there are no communication events between tokens in the output";
                reading.say(Gravity::Dropped, &capture, message);
            }
            for (option, message) in [
                ("events_enabled", "follow the output: fathom ctl logs -f"),
                ("syslog", "output is not sent to syslog"),
            ] {
                let option = format!("{stream}_{option}");
                if reading.truth(&option) == Some(true) {
                    reading.say(Gravity::Dropped, &option, message);
                }
            }
        }
        let url = self.options.entry("serverurl").map(|entry| &entry.value);
        if url.is_some_and(|url| !url.eq_ignore_ascii_case("auto")) {
            let message = "children find the socket in their environment";
            reading.say(Gravity::Dropped, "serverurl", message);
        }
    }
}

impl Reading<'_, '_> {
    fn fields(&mut self, cx: &Context<'_>) -> Option<Vec<Field>> {
        // Other options may use the variables, so they come first.
        let env = self.env(cx);
        let command = self.command()?;
        let autostart = self.truth("autostart").filter(|start| !start);
        let restart = self.restart();
        let fields = [
            Some(command),
            self.cwd(cx),
            env,
            self.user(),
            self.umask(cx),
            autostart.map(|start| Field::new("autostart", start)),
            (restart != "always").then(|| Field::new("restart", restart)),
            self.exit_ok(),
            self.budget(),
            self.ready(),
            self.stop(),
            self.log(),
        ];
        Some(fields.into_iter().flatten().collect())
    }

    fn env(&mut self, cx: &Context<'_>) -> Option<Field> {
        let own = self.text("environment").map(|text| value::pairs(&text));
        let own = own.and_then(|pairs| {
            pairs
                .inspect_err(|error| self.wrong("environment", error))
                .ok()
        });
        let mut table = toml::Table::new();
        for (name, text) in cx.set.iter().cloned().chain(own.unwrap_or_default()) {
            let value = self.kept("environment", &text);
            let has_nul = value.as_ref().is_some_and(|value| value.contains('\0'));
            if has_nul || name.is_empty() || name.contains(['\0', '=']) {
                let message = format!("{name:?} is left out: no program can get it");
                self.say(Gravity::Wrong, "environment", message);
                continue;
            }
            if let Some(value) = value {
                table.insert(name.clone(), Value::String(value));
            }
            self.names.set.insert(name, text);
        }
        (!table.is_empty()).then(|| Field::new("env", table))
    }

    fn command(&mut self) -> Option<Field> {
        let Some(text) = self.for_fathom("command") else {
            if self.options.entry("command").is_none() {
                let message = "has no command, so no service";
                self.options.say_of_all(self.notes, Gravity::Wrong, message);
            }
            return None;
        };
        let words = value::words(&text)
            .inspect_err(|error| self.wrong("command", error))
            .ok()?;
        let wrong = match &words {
            words if words.is_empty() => Some("is empty, so no service"),
            words if words.iter().any(|word| word.contains('\0')) => {
                Some("holds a NUL, which no program can get, so no service")
            }
            _ => None,
        };
        if let Some(wrong) = wrong {
            self.say(Gravity::Wrong, "command", wrong);
            return None;
        }
        let line = text.lines().map(str::trim).collect::<Vec<_>>().join(" ");
        let line = line.trim();
        // As a text where it is split into the same words.
        let value = match shlex::split(line) {
            Some(split) if split == words => line.into(),
            _ => Value::Array(words.into_iter().map(Value::String).collect()),
        };
        Some(Field::new("command", value))
    }

    fn cwd(&mut self, cx: &Context<'_>) -> Option<Field> {
        let own = self.for_fathom("directory");
        let base = || cx.base.as_ref().map(|base| base.display().to_string());
        let folder = own.or_else(|| cx.folder.clone()).map(|path| cx.path(&path));
        folder.or_else(base).map(|path| Field::new("cwd", path))
    }

    fn user(&mut self) -> Option<Field> {
        let name = self.for_fathom("user")?;
        let Ok(id) = name.parse::<u32>() else {
            return Some(Field::new("user", name));
        };
        match User::from_uid(Uid::from_raw(id)) {
            Ok(Some(user)) => Some(Field::new("user", user.name)),
            _ => {
                let message = "no user here has this number; write the name";
                self.say(Gravity::Dropped, "user", message);
                None
            }
        }
    }

    fn umask(&mut self, cx: &Context<'_>) -> Option<Field> {
        let own = self.value("umask", value::octal);
        let mask = own.or(cx.umask)?;
        Some(Field::new("umask", format!("{mask:03o}")))
    }

    /// Returns when the program is started again, as fathom says it.
    fn restart(&mut self) -> &'static str {
        let given = self.value("autorestart", |text| match text.to_lowercase().as_str() {
            "unexpected" => Ok("on-failure"),
            _ => value::truth(text).map(|always| if always { "always" } else { "never" }),
        });
        given.unwrap_or("on-failure")
    }

    fn exit_ok(&mut self) -> Option<Field> {
        let codes = self.value("exitcodes", value::exit_codes)?;
        let codes: Vec<Value> = codes.into_iter().map(Value::Integer).collect();
        Some(Field::new("exit_ok", codes))
    }

    /// A failed start counts for supervisord when the process lived shorter than `startsecs`, so the
    /// window is as long as such a streak can last.
    fn budget(&mut self) -> Option<Field> {
        let lives = self.seconds("startsecs").unwrap_or(1);
        if lives == 0 {
            // Then no start of supervisord ever fails.
            return Field::table("budget", vec![("restarts", Value::Integer(0))]);
        }
        let retries = self.count("startretries")?;
        if retries == 0 {
            let message = "one restart instead of none: 0 means without end here";
            self.say(Gravity::Changed, "startretries", message);
        }
        let retries = retries.clamp(1, u64::from(u32::MAX));
        let period = Span::from_secs(streak(retries, lives)).to_string();
        let retries = i64::try_from(retries).unwrap_or(i64::MAX);
        Field::table(
            "budget",
            vec![("restarts", retries.into()), ("period", period.into())],
        )
    }

    fn ready(&mut self) -> Option<Field> {
        let value = match self.seconds("startsecs")? {
            0 => "spawn".to_owned(),
            seconds => format!("secs:{seconds}"),
        };
        Some(Field::new("ready", value))
    }

    fn stop(&mut self) -> Option<Field> {
        let mut entries = Vec::new();
        if let Some(signal) = self.signal() {
            entries.push(("signal", Value::from(signal)));
        }
        if let Some(seconds) = self.seconds("stopwaitsecs") {
            let wait = Span::from_secs(seconds).to_string();
            entries.push(("wait", wait.into()));
        }
        let (stop, kill) = (self.truth("stopasgroup"), self.truth("killasgroup"));
        if stop == Some(true) && kill == Some(false) {
            let message = "the whole group is killed in the end";
            self.say(Gravity::Changed, "killasgroup", message);
        }
        // Who says only that the group is killed wants the leader alone to be asked.
        let group = stop.or(kill.filter(|kill| *kill).map(|_| false));
        if let Some(group) = group {
            entries.push(("group", group.into()));
        }
        Field::table("stop", entries)
    }

    fn signal(&mut self) -> Option<String> {
        let given = self.for_fathom("stopsignal")?.trim().to_uppercase();
        let names = STOP_SIGNALS.map(|signal| signal.as_str().trim_start_matches("SIG"));
        let number: Option<Signal> = given.parse().ok().and_then(|n: i32| n.try_into().ok());
        let name = number.map_or(given.as_str(), |signal| signal.as_str());
        let name = name.strip_prefix("SIG").unwrap_or(name);
        if names.contains(&name) {
            return Some(name.to_owned());
        }
        let known = format!("services are stopped by one of {}", names.join(", "));
        self.say(Gravity::Dropped, "stopsignal", known);
        None
    }

    fn log(&mut self) -> Option<Field> {
        let merged = self.truth("redirect_stderr").unwrap_or(false);
        let mut entries = Vec::new();
        if let Some(target) = self.target() {
            entries.push(("target", target.into()));
        }
        if let Some(bytes) = self.bytes("stdout_logfile_maxbytes") {
            entries.push(("max", size_of(bytes).into()));
        }
        if let Some(backups) = self.count("stdout_logfile_backups") {
            let backups = i64::try_from(backups).unwrap_or(i64::MAX);
            entries.push(("backups", backups.into()));
        }
        if !merged {
            entries.push(("stderr", "separate".into()));
            self.compare("stderr_logfile_maxbytes", "stdout_logfile_maxbytes", "50MB");
            self.compare("stderr_logfile_backups", "stdout_logfile_backups", "10");
        }
        self.logfile("stdout_logfile");
        if !merged {
            self.logfile("stderr_logfile");
        }
        Field::table("log", entries)
    }

    /// Reports an option of standard error that differs from that of standard output.
    fn compare(&mut self, key: &str, other: &str, default: &str) {
        let value = |key: &str| self.options.entry(key).map(|entry| entry.value.as_str());
        let Some(own) = value(key) else { return };
        let other = value(other).unwrap_or(default);
        if !own.eq_ignore_ascii_case(other) {
            let message = format!("both files follow that of standard output, {other}");
            self.say(Gravity::Changed, key, message);
        }
    }

    /// Returns where the output goes, when it is not into a file.
    fn target(&self) -> Option<&'static str> {
        let entry = self.options.entry("stdout_logfile")?;
        match entry.value.to_lowercase().as_str() {
            "none" | "off" | "/dev/null" => Some("none"),
            value if value.starts_with("/dev/") => Some("stdout"),
            _ => None,
        }
    }

    fn logfile(&mut self, key: &str) {
        let Some(entry) = self.options.entry(key) else {
            return;
        };
        let target = self.target();
        let message = match entry.value.to_lowercase().as_str() {
            "auto" => return,
            "none" | "off" | "/dev/null" if target == Some("none") => return,
            value if value.starts_with("/dev/") && target == Some("stdout") => return,
            _ if target.is_some() => "goes where standard output goes",
            "none" | "off" | "/dev/null" => "kept in logs/ all the same, within its limits",
            "syslog" => "kept in logs/, and not sent to syslog",
            _ => "kept in logs/ under the data folder; read it: fathom ctl tail",
        };
        self.say(Gravity::Changed, key, message);
    }

    fn seconds(&mut self, key: &str) -> Option<u64> {
        self.value(key, |text| {
            let seconds: Option<u64> = text.trim().parse().ok();
            let seconds = seconds.filter(|seconds| *seconds <= SECONDS_MAX);
            seconds.ok_or_else(|| ValueError::Number(text.to_owned()))
        })
    }
}

/// Returns a size for `max`; 0 is never to rotate, here and there.
pub(super) fn size_of(bytes: u64) -> String {
    Size::from_bytes(bytes).to_string()
}

/// Returns the longest time, in seconds, that so many retries of a process that never becomes ready
/// can take: its lives, and fathom's delays (none, then 0.25 s doubled up to 30 s) with some room.
fn streak(retries: u64, lives_s: u64) -> u64 {
    const ROOM: f64 = 1.2;
    const DOUBLED: u64 = 9;
    let doubled = retries.clamp(1, DOUBLED) - 1;
    let delays_s = 0.25 * (2_u64.pow(u32::try_from(doubled).unwrap_or(0)) - 1) as f64
        + 30.0 * retries.saturating_sub(DOUBLED) as f64;
    let whole_s = (retries + 1) as f64 * lives_s as f64 + delays_s;
    let whole_s = (whole_s * ROOM).ceil().min(SECONDS_MAX as f64);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a whole number from 1 to a year"
    )]
    let whole_s = whole_s as u64;
    whole_s.next_multiple_of(if whole_s < 60 { 5 } else { 60 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_of_a_streak_by_hand() {
        // Four lives of 1 s, delays of 0, 0.25 and 0.5 s: 4.75 s, a fifth more, rounded up to 5 s.
        assert_eq!(streak(3, 1), 10);
        // 11 lives of 2 s, delays of 63.75 and 30 s: 115.75 s, a fifth more, in whole minutes.
        assert_eq!(streak(10, 2), 180);
        assert_eq!(streak(u64::from(u32::MAX), SECONDS_MAX), SECONDS_MAX);
    }
}
