//! Events in words, one line each.

use std::fmt;

use super::entry::{CommandDone, Reload, What};

impl fmt::Display for What {
    /// Says it in one line, without its time.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Boot(boot) => write!(f, "fathom {} begins, pid {}", boot.version, boot.pid),
            Self::Life(life) => {
                write!(f, "{}: {} -> {}", life.service, life.from, life.to)?;
                in_brackets(f, &life.reason)
            }
            Self::Alarm(alarm) => {
                let now = if alarm.firing { "" } else { "cleared: " };
                let (service, rule, subject) = (&alarm.service, &alarm.rule, &alarm.subject);
                write!(f, "{service}: {now}{rule} {subject}: {}", alarm.text)
            }
            Self::Command(command) => {
                write!(f, "{} {}", command.verb, command.targets.join(" "))?;
                in_brackets(f, &command.detail)?;
                write!(f, " by {} via {}", command.who, command.via)
            }
            Self::Outcome(done) => outcomes(f, done),
            Self::Verdict(verdict) => {
                let (service, from, to) = (&verdict.service, verdict.from, verdict.to);
                write!(f, "{service}: {from} -> {to}")?;
                in_brackets(f, &verdict.reason)
            }
            Self::Reload(reload) => configuration(f, reload),
            Self::Rotation(rotation) => {
                let (service, file) = (&rotation.service, &rotation.file);
                write!(f, "{service}: {file} of {} bytes", rotation.bytes)?;
                match rotation.rotations {
                    1 => Ok(()),
                    count => write!(f, ", {count} times"),
                }
            }
            Self::Incident(incident) => {
                let (service, reason) = (&incident.service, &incident.reason);
                write!(f, "{service}: {reason}, report {}", incident.id)
            }
            Self::Notice(notice) if notice.service.is_empty() => f.write_str(&notice.text),
            Self::Notice(notice) => write!(f, "{}: {}", notice.service, notice.text),
            Self::Gap(gap) => write!(f, "{} events are not in the files", gap.missed),
        }
    }
}

fn in_brackets(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    match text {
        "" => Ok(()),
        text => write!(f, " ({text})"),
    }
}

fn outcomes(f: &mut fmt::Formatter<'_>, done: &CommandDone) -> fmt::Result {
    write!(f, "of command {}:", done.command)?;
    if let Some(refused) = &done.refused {
        write!(f, " refused: {refused}")?;
    }
    for (at, outcome) in done.outcomes.iter().enumerate() {
        let comma = if at == 0 { "" } else { "," };
        write!(f, "{comma} {} {}", outcome.name, outcome.result.word())?;
        in_brackets(f, &outcome.message)?;
    }
    Ok(())
}

fn configuration(f: &mut fmt::Formatter<'_>, reload: &Reload) -> fmt::Result {
    write!(f, "configuration {}", reload.generation)?;
    let lists = [
        ("added", &reload.added),
        ("removed", &reload.removed),
        ("changed", &reload.changed),
    ];
    for (word, names) in lists.into_iter().filter(|(_, names)| !names.is_empty()) {
        write!(f, ", {word} {}", names.join(" "))?;
    }
    Ok(())
}
