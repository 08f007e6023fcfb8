//! The program that makes a service end in place of a signal, run as the service itself would.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use nix::unistd::Pid;
use tokio::process::Command;

use super::executable::{self, Unrunnable};
use super::prepare::Identity;
use crate::config::plan::{Body, ServicePlan};

/// What a program needs to be run beside a service.
#[derive(Debug, Default)]
pub(super) struct Surroundings {
    env: Vec<(String, String)>,
    folder: Option<PathBuf>,
    identity: Option<Identity>,
}

impl Surroundings {
    /// Takes those of a service; `identity` is as whom it runs.
    pub(super) fn of(
        plan: &ServicePlan,
        config_dir: &Path,
        identity: Option<Identity>,
    ) -> Result<Self, Unrunnable> {
        let Body::Command(body) = &plan.body else {
            return Ok(Self::default());
        };
        let env = body.env.iter();
        Ok(Self {
            env: env
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect(),
            folder: executable::folder(body, config_dir)?,
            identity,
        })
    }

    /// Runs a program that makes a process end; tells whether it did its work. Ended with the
    /// future.
    pub(super) fn run(
        &self,
        words: &[String],
        process: Pid,
    ) -> impl Future<Output = bool> + Send + use<> {
        let (program, args) = words.split_first().map_or(("", words), |(p, a)| (p, a));
        let mut command = Command::new(program);
        command
            .args(args)
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .env("MAINPID", process.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true);
        if let Some(folder) = &self.folder {
            command.current_dir(folder);
        }
        if let Some(identity) = &self.identity {
            command
                .uid(identity.user.as_raw())
                .gid(identity.group.as_raw());
        }
        async move {
            match command.status().await {
                Ok(status) if status.success() => return true,
                Ok(status) => tracing::warn!(%status, "the stop command has failed"),
                Err(error) => tracing::warn!(%error, "the stop command cannot be run"),
            }
            false
        }
    }
}
