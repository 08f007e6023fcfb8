//! What holds for every program: its options, and what stands around it.

use std::path::{Path, PathBuf};

use super::expand::{Meaning, Names, Text};
use super::reader::Entry;
use crate::config::Environment;

/// Every option of a program, and the key it becomes.
const KEYS: [(&str, &str); 34] = [
    ("autorestart", "restart"),
    ("autostart", "autostart"),
    ("command", "command"),
    ("directory", "cwd"),
    ("environment", "env"),
    ("exitcodes", "exit_ok"),
    ("killasgroup", "stop"),
    ("numprocs", ""),
    ("numprocs_start", ""),
    ("priority", "after"),
    ("process_name", ""),
    ("redirect_stderr", "log"),
    ("serverurl", ""),
    ("startretries", "budget"),
    ("startsecs", "ready"),
    ("stderr_capture_maxbytes", ""),
    ("stderr_events_enabled", ""),
    ("stderr_logfile", "log"),
    ("stderr_logfile_backups", "log"),
    ("stderr_logfile_maxbytes", "log"),
    ("stderr_syslog", ""),
    ("stdout_capture_maxbytes", ""),
    ("stdout_events_enabled", ""),
    ("stdout_logfile", "log"),
    ("stdout_logfile_backups", "log"),
    ("stdout_logfile_maxbytes", "log"),
    ("stdout_syslog", ""),
    ("stopasgroup", "stop"),
    ("stopsignal", "stop"),
    ("stopwaitsecs", "stop"),
    ("umask", "umask"),
    ("user", "user"),
    ("stdout_logfile_dropwithrotation", ""),
    ("stderr_logfile_dropwithrotation", ""),
];

/// Returns the key that an option of a program becomes; empty when it becomes none.
pub(super) fn key_of(option: &str) -> Option<&'static str> {
    let known = KEYS.iter().find(|(name, _)| *name == option);
    known.map(|(_, key)| *key)
}

/// What holds for all programs.
#[derive(Debug)]
pub(super) struct Context<'a> {
    pub(super) environment: &'a Environment,
    /// Options of `[DEFAULT]`.
    pub(super) defaults: &'a [Entry],
    /// Variables that supervisord sets for all its children.
    pub(super) set: Vec<(String, Text)>,
    /// Name of this machine.
    pub(super) host: String,
    /// Folder of the main file.
    pub(super) here: PathBuf,
    /// Where relative paths begin, when it is not the folder of the new file.
    pub(super) base: Option<PathBuf>,
    /// Where supervisord runs its children unless told.
    pub(super) folder: Option<String>,
    /// Permissions it takes from what they create.
    pub(super) umask: Option<u32>,
}

impl<'a> Context<'a> {
    /// Returns what may stand in `%(…)s` everywhere.
    pub(super) fn names(&self) -> Names<'a> {
        let here = self.here.display().to_string();
        let plain = [
            ("here", Meaning::Text(here)),
            ("host_node_name", Meaning::Text(self.host.clone())),
        ];
        Names {
            plain: plain.into(),
            set: self.set.iter().cloned().collect(),
            environment: self.environment,
        }
    }

    /// Returns a path as it must stand in the new file.
    pub(super) fn path(&self, path: &str) -> String {
        let base = self.base.as_ref().filter(|_| {
            let is_relative = Path::new(path).is_relative();
            // Where a variable leads is not known.
            is_relative && !path.starts_with("${")
        });
        match base {
            Some(base) => base.join(path).display().to_string(),
            None => path.to_owned(),
        }
    }
}
