//! One event: its number, what it is, and its JSON.
//!
//! ```text
//! {"sequence":17,"event":"life","data":{…}}      one line of a file, one message of a web socket
//! ```

use std::collections::BTreeSet;
use std::str::FromStr;

use fathom_kernel::{Alarm, Health, LifeChange, Outcome, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::journal::Numbered;

/// Longest text inside an event; longer ones are cut.
pub(super) const TEXT_MAX: usize = 4 << 10;

/// Most names or outcomes listed in an event; further ones are left out.
const LISTED_MAX: usize = 256;

/// One event with its number.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Entry {
    /// Grows by one with every event, over restarts of the supervisor as well.
    pub sequence: u64,
    /// What happened.
    #[serde(flatten)]
    pub what: What,
}

/// What happened.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "event", content = "data", rename_all = "lowercase")]
pub enum What {
    /// The supervisor began its work.
    Boot(Boot),
    /// A service changed its state.
    Life(LifeChange),
    /// A monitor raised or cleared an alarm.
    Alarm(Alarm),
    /// Somebody gave a command.
    Command(CommandTaken),
    /// A command was carried out, or refused.
    Outcome(CommandDone),
    /// The health of a service changed.
    Verdict(HealthVerdict),
    /// Another configuration is in force.
    Reload(Reload),
    /// A log file was rotated.
    Rotation(Rotation),
    /// A service failed; the report tells more.
    Incident(IncidentNote),
    /// Something else that the supervisor found or did.
    Notice(Notice),
    /// Events that are not in the files, because the disk was full or too slow.
    Gap(Gap),
}

/// The supervisor began its work.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Boot {
    /// When.
    #[schemars(with = "String")]
    pub at: Timestamp,
    /// Tells this run from all others.
    pub boot_id: String,
    /// Version of the program.
    pub version: String,
    /// Its process id.
    pub pid: u32,
    /// SHA-256 of the files of the configuration it begins with, which has number 1; empty without
    /// files.
    #[serde(default)]
    pub sha256: String,
}

/// Somebody gave a command.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct CommandTaken {
    /// When.
    #[schemars(with = "String")]
    pub at: Timestamp,
    /// User name, or `uid 1000`.
    pub who: String,
    /// `socket`, `http 127.0.0.1`, `web`, a service, a signal.
    pub via: String,
    /// The command: `start`, `stop`, `signal`, …
    pub verb: String,
    /// What it is for, as given.
    pub targets: Vec<String>,
    /// The rest of it; empty when there is none.
    pub detail: String,
}

/// A command was carried out, or refused.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct CommandDone {
    /// When.
    #[schemars(with = "String")]
    pub at: Timestamp,
    /// Number of the event that told of the command.
    pub command: u64,
    /// What became of each service.
    pub outcomes: Vec<Outcome>,
    /// Why it was not carried out.
    pub refused: Option<String>,
}

/// The health of a service changed.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct HealthVerdict {
    /// When.
    #[schemars(with = "String")]
    pub at: Timestamp,
    /// Full name of the service.
    pub service: String,
    /// Counts its starts.
    pub incarnation: u64,
    /// Health before.
    pub from: Health,
    /// Health after.
    pub to: Health,
    /// The rule, with what was found.
    pub reason: String,
}

/// Another configuration is in force.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Reload {
    /// When.
    #[schemars(with = "String")]
    pub at: Timestamp,
    /// Number of the configuration.
    pub generation: u64,
    /// SHA-256 of its files.
    pub sha256: String,
    /// Services that are new.
    pub added: Vec<String>,
    /// Services that are gone.
    pub removed: Vec<String>,
    /// Services that differ.
    pub changed: Vec<String>,
}

/// A log file was rotated.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Rotation {
    /// When.
    #[schemars(with = "String")]
    pub at: Timestamp,
    /// Full name of the service.
    pub service: String,
    /// Name of the file.
    pub file: String,
    /// Its size [bytes].
    pub bytes: u64,
    /// Rotations since the last event of the same file, with this one; a file that is rotated more
    /// often than once a second is not told of each time.
    pub rotations: u64,
}

/// A service failed.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct IncidentNote {
    /// When.
    #[schemars(with = "String")]
    pub at: Timestamp,
    /// Number of the report.
    pub id: u64,
    /// Full name of the service.
    pub service: String,
    /// Counts its starts.
    pub incarnation: u64,
    /// Why, as in the report.
    pub reason: String,
}

/// Something that the supervisor found or did.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Notice {
    /// When.
    #[schemars(with = "String")]
    pub at: Timestamp,
    /// Full name of the service it is about; empty for the supervisor.
    pub service: String,
    /// One word that programs can rely on, such as `orphan_removed`.
    pub what: String,
    /// The same for people.
    pub text: String,
}

/// Events that are not in the files.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Gap {
    /// How many; the number of this entry is that of the last one.
    pub missed: u64,
}

/// The sort of an event, for filters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    /// The supervisor began its work.
    Boot,
    /// Changes of state.
    Life,
    /// Alarms.
    Alarm,
    /// Commands.
    Command,
    /// What became of commands.
    Outcome,
    /// Changes of health.
    Verdict,
    /// Changes of the configuration.
    Reload,
    /// Rotations of log files.
    Rotation,
    /// Reports of failures.
    Incident,
    /// Everything else.
    Notice,
    /// Events that are not in the files.
    Gap,
}

/// Sorts of events that somebody wants.
pub type Subjects = BTreeSet<Subject>;

impl Subject {
    /// All there are.
    pub const ALL: [Self; 11] = [
        Self::Boot,
        Self::Life,
        Self::Alarm,
        Self::Command,
        Self::Outcome,
        Self::Verdict,
        Self::Reload,
        Self::Rotation,
        Self::Incident,
        Self::Notice,
        Self::Gap,
    ];

    /// Returns the word that stands in the JSON.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Boot => "boot",
            Self::Life => "life",
            Self::Alarm => "alarm",
            Self::Command => "command",
            Self::Outcome => "outcome",
            Self::Verdict => "verdict",
            Self::Reload => "reload",
            Self::Rotation => "rotation",
            Self::Incident => "incident",
            Self::Notice => "notice",
            Self::Gap => "gap",
        }
    }
}

/// Why a word is no sort of event.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no events are called {0:?}")]
pub struct NoSubject(String);

impl FromStr for Subject {
    type Err = NoSubject;

    fn from_str(word: &str) -> Result<Self, NoSubject> {
        let mut all = Self::ALL.into_iter();
        all.find(|subject| subject.word() == word)
            .ok_or_else(|| NoSubject(word.to_owned()))
    }
}

impl What {
    /// Returns the sort of the event.
    pub fn subject(&self) -> Subject {
        match self {
            Self::Boot(_) => Subject::Boot,
            Self::Life(_) => Subject::Life,
            Self::Alarm(_) => Subject::Alarm,
            Self::Command(_) => Subject::Command,
            Self::Outcome(_) => Subject::Outcome,
            Self::Verdict(_) => Subject::Verdict,
            Self::Reload(_) => Subject::Reload,
            Self::Rotation(_) => Subject::Rotation,
            Self::Incident(_) => Subject::Incident,
            Self::Notice(_) => Subject::Notice,
            Self::Gap(_) => Subject::Gap,
        }
    }

    /// Returns when it happened; a gap has no time.
    pub fn at(&self) -> Option<Timestamp> {
        match self {
            Self::Boot(boot) => Some(boot.at),
            Self::Life(life) => Some(life.at),
            Self::Alarm(alarm) => Some(alarm.at),
            Self::Command(command) => Some(command.at),
            Self::Outcome(outcome) => Some(outcome.at),
            Self::Verdict(verdict) => Some(verdict.at),
            Self::Reload(reload) => Some(reload.at),
            Self::Rotation(rotation) => Some(rotation.at),
            Self::Incident(incident) => Some(incident.at),
            Self::Notice(notice) => Some(notice.at),
            Self::Gap(_) => None,
        }
    }

    /// Bounds every text and list: what comes from outside must not fill memory or disk.
    pub(super) fn cut(&mut self) {
        match self {
            Self::Boot(_) | Self::Rotation(_) | Self::Gap(_) => {}
            Self::Life(life) => cut(&mut life.reason),
            Self::Alarm(alarm) => {
                for text in [&mut alarm.rule, &mut alarm.subject, &mut alarm.text] {
                    cut(text);
                }
            }
            Self::Command(command) => {
                command.targets.truncate(LISTED_MAX);
                command.targets.iter_mut().for_each(cut);
                cut(&mut command.detail);
            }
            Self::Outcome(done) => {
                done.outcomes.truncate(LISTED_MAX);
                for outcome in &mut done.outcomes {
                    cut(&mut outcome.message);
                }
                done.refused.iter_mut().for_each(cut);
            }
            Self::Verdict(verdict) => cut(&mut verdict.reason),
            Self::Reload(reload) => {
                for names in [&mut reload.added, &mut reload.removed, &mut reload.changed] {
                    names.truncate(LISTED_MAX);
                }
            }
            Self::Incident(incident) => cut(&mut incident.reason),
            Self::Notice(notice) => cut(&mut notice.text),
        }
    }
}

impl Entry {
    /// Returns the JSON of its data alone.
    pub fn data(&self) -> String {
        let text = match &self.what {
            What::Boot(boot) => serde_json::to_string(boot),
            What::Life(life) => serde_json::to_string(life),
            What::Alarm(alarm) => serde_json::to_string(alarm),
            What::Command(command) => serde_json::to_string(command),
            What::Outcome(done) => serde_json::to_string(done),
            What::Verdict(verdict) => serde_json::to_string(verdict),
            What::Reload(reload) => serde_json::to_string(reload),
            What::Rotation(rotation) => serde_json::to_string(rotation),
            What::Incident(incident) => serde_json::to_string(incident),
            What::Notice(notice) => serde_json::to_string(notice),
            What::Gap(gap) => serde_json::to_string(gap),
        };
        // Plain structs with text keys can always be written.
        text.unwrap_or_default()
    }
}

impl Numbered for Entry {
    fn number(&self) -> u64 {
        self.sequence
    }

    fn gap(number: u64, missed: u64) -> Self {
        Self {
            sequence: number,
            what: What::Gap(Gap { missed }),
        }
    }
}

/// Cuts a text that is too long for an event.
pub(super) fn cut(text: &mut String) {
    if text.len() > TEXT_MAX {
        text.truncate(text.floor_char_boundary(TEXT_MAX));
        text.push('…');
    }
}

#[cfg(test)]
mod tests {
    use fathom_kernel::State;

    use super::*;

    fn life(reason: &str) -> What {
        What::Life(LifeChange {
            sequence: 17,
            service: "a".to_owned(),
            incarnation: 2,
            from: State::Running,
            to: State::Backoff,
            reason: reason.to_owned(),
            at: Timestamp::UNIX_EPOCH,
        })
    }

    #[test]
    fn an_entry_is_one_object_with_number_name_and_data() {
        let entry = Entry {
            sequence: 17,
            what: life("exit:3"),
        };
        let text = serde_json::to_string(&entry).unwrap();
        let expected = "{\"sequence\":17,\"event\":\"life\",\"data\":{\"sequence\":17,\"service\":\"a\",\
             \"incarnation\":2,\"from\":\"RUNNING\",\"to\":\"BACKOFF\",\"reason\":\"exit:3\",\
             \"at\":\"1970-01-01T00:00:00Z\"}}";
        assert_eq!(text, expected);
        let back: Entry = serde_json::from_str(&text).unwrap();
        assert_eq!(back.sequence, 17);
        assert_eq!(back.what.subject(), Subject::Life);
    }

    #[test]
    fn texts_are_bounded() {
        let mut what = life(&"é".repeat(TEXT_MAX));
        what.cut();
        let What::Life(life) = what else {
            panic!("it was one");
        };
        assert!(life.reason.len() <= TEXT_MAX + '…'.len_utf8());
    }

    #[test]
    fn every_subject_has_its_word() {
        for subject in Subject::ALL {
            assert_eq!(subject.word().parse(), Ok(subject));
        }
        assert!("frame".parse::<Subject>().is_err());
    }
}
