//! A program that is run beside a service and as the service would be: to ask whether it is ready or
//! well, or to make it end. Nothing of such a program is left once it has ended or nobody waits for
//! it any more.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use fathom_kernel::Exit;
use nix::sys::signal::Signal;
use tokio::runtime::Handle;
use tokio::time::{sleep, timeout};

use super::birth::Program;
use super::executable;
use super::launch::{NOTIFY, identity, names, unrunnable};
use super::prepare::{Identity, Preparation};
use super::process::Process;
use super::remains::{Left, Remains, Whose};
use super::spawner::Spawner;
use super::strays::{self, MARKER};
use super::world::World;
use crate::config::plan::{Body, CommandBody, ServicePlan};

/// First time between two looks whether all of a program is gone; it grows.
const LOOK_FIRST: Duration = Duration::from_millis(2);

/// Longest time for that. What cannot be killed for so long is left to the system.
const GONE_WITHIN: Duration = Duration::from_secs(10);

/// What a program needs to be run beside a service.
#[derive(Debug)]
pub(crate) struct Surroundings {
    /// The service itself, for its variables and its path; without arguments.
    body: CommandBody,
    env: Vec<(&'static str, String)>,
    folder: Option<PathBuf>,
    identity: Option<Identity>,
    umask: Option<u32>,
    /// How the marks of its programs begin.
    marker: String,
    spawner: Spawner,
    remains: Remains,
}

impl Surroundings {
    /// Takes those of an incarnation. Looks up its user, which may block.
    pub(crate) fn of(plan: &ServicePlan, world: &World, incarnation: u64) -> io::Result<Self> {
        let marker = format!("{}/{}/{incarnation}", world.boot_id, plan.name);
        let mut all = Self::bare(marker, world.spawner.clone(), world.remains.clone());
        all.env = names(world, plan).into();
        all.umask = plan.process.umask;
        if let Body::Command(body) = &plan.body {
            let user = body.user.as_deref();
            all.identity = user.map(identity).transpose()?;
            all.folder = executable::folder(body, &world.config_dir).map_err(unrunnable)?;
            all.body = CommandBody {
                argv: Vec::new(),
                ..body.clone()
            };
        }
        Ok(all)
    }

    /// Takes our own.
    pub(crate) fn bare(marker: String, spawner: Spawner, remains: Remains) -> Self {
        Self {
            body: CommandBody {
                argv: Vec::new(),
                env: std::collections::BTreeMap::new(),
                cwd: None,
                user: None,
            },
            env: Vec::new(),
            folder: None,
            identity: None,
            umask: None,
            marker,
            spawner,
            remains,
        }
    }

    /// Tells whether a command exits with 0.
    pub(crate) async fn succeeds(&self, words: &[String]) -> Result<(), String> {
        match self.run(words, &[]).await {
            Ok(Exit::Code(0)) => Ok(()),
            Ok(exit) => Err(exit.to_string()),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Runs a program to its end. Together with the future, it ends at once.
    pub(super) async fn run(&self, words: &[String], env: &[(&str, String)]) -> io::Result<Exit> {
        static SERIAL: AtomicU64 = AtomicU64::new(0);
        // Not the mark of the service: what is left of either is no business of the other.
        let marker = format!("{}/beside.{}", self.marker, SERIAL.fetch_add(1, Relaxed));
        let program = self.program(words, env, &marker)?;
        let process = self.spawner.spawn(program).await?;
        let mut errand = Errand {
            whose: Whose {
                group: process.pid(),
                marker,
                ours: true,
            },
            process: Some(process),
            remains: self.remains.clone(),
        };
        Ok(errand.ended().await)
    }

    fn program(
        &self,
        words: &[String],
        env: &[(&str, String)],
        marker: &str,
    ) -> io::Result<Program> {
        let body = CommandBody {
            argv: words.to_vec(),
            ..self.body.clone()
        };
        let path = executable::find(&body, self.folder.as_deref()).map_err(unrunnable)?;
        let mut program = Program::new(path);
        if !words.is_empty() {
            program.argv(words);
        }
        program.env_remove(NOTIFY);
        for (name, value) in &self.env {
            program.env(name, value);
        }
        for (name, value) in &body.env {
            program.env(name, value);
        }
        for (name, value) in env {
            program.env(name, value);
        }
        program.env(MARKER, marker);
        if let Some(folder) = &self.folder {
            program.folder(folder);
        }
        let null = Path::new("/dev/null");
        program.stdin(File::open(null)?);
        program.stdout(File::options().write(true).open(null)?);
        program.stderr(File::options().write(true).open(null)?);
        program.prepare(Preparation {
            dies_with_us: true,
            identity: self.identity.clone(),
            umask: self.umask,
            ..Preparation::default()
        });
        Ok(program)
    }
}

/// A program under way. When dropped, all that is left of it is killed.
struct Errand {
    /// Until it is reaped.
    process: Option<Process>,
    whose: Whose,
    remains: Remains,
}

impl Errand {
    async fn ended(&mut self) -> Exit {
        let Some(process) = &mut self.process else {
            return Exit::Unknown;
        };
        let (exit, _) = process.ended().await;
        self.process = None;
        exit
    }
}

impl Drop for Errand {
    fn drop(&mut self) {
        let process = self.process.take();
        if process.is_some() {
            // Not reaped yet, so the number of the group is still its own.
            strays::signal_group(self.whose.group, Signal::SIGKILL);
        }
        // Without a runtime the stack has ended, and the guardian sees to the rest.
        if let Ok(runtime) = Handle::try_current() {
            let (whose, remains) = (self.whose.clone(), self.remains.clone());
            runtime.spawn(timeout(GONE_WITHIN, clear(process, whose, remains)));
        }
    }
}

/// Reaps a program that was killed and kills what it has left, until nothing is.
async fn clear(process: Option<Process>, whose: Whose, remains: Remains) {
    if let Some(mut process) = process {
        process.ended().await;
    }
    let mut pause = LOOK_FIRST;
    loop {
        match remains.of(&whose, Some(Signal::SIGKILL)).await {
            Left::Nothing => return,
            Left::Group => strays::signal_group(whose.group, Signal::SIGKILL),
            // They were killed.
            Left::Marked(_) => {}
        }
        sleep(pause).await;
        pause *= 2;
    }
}

#[cfg(test)]
mod tests {
    use super::super::strays::{is_over, mark_of, processes, stat_of};
    use super::*;

    fn surroundings(name: &str) -> Surroundings {
        let remains = Remains::start(false).unwrap();
        Surroundings::bare(name.to_owned(), Spawner::start().unwrap(), remains)
    }

    fn shell(text: &str) -> Vec<String> {
        ["sh", "-c", text].map(str::to_owned).into()
    }

    /// Counts what lives of the programs.
    fn living(name: &str) -> usize {
        let lives = |pid| stat_of(pid).is_some_and(|stat| !is_over(stat.state));
        let is_ours = |pid| mark_of(pid).is_some_and(|mark| mark.starts_with(name));
        processes()
            .filter(|&pid| lives(pid) && is_ours(pid))
            .count()
    }

    async fn until_nothing_lives(name: &str) {
        while living(name) > 0 {
            sleep(LOOK_FIRST).await;
        }
    }

    #[tokio::test]
    async fn nothing_of_a_program_is_left_when_nobody_waits_for_it_any_more() {
        let name = "test-errand-late";
        let around = surroundings(name);
        let words = shell("sleep 1000 | sleep 1000 & setsid sleep 1000 & wait");
        let run = around.run(&words, &[]);
        let all_live = async {
            // The shell, and three that it started.
            while living(name) < 4 {
                sleep(LOOK_FIRST).await;
            }
        };
        tokio::select! {
            exit = run => panic!("it has ended: {exit:?}"),
            () = all_live => {}
        }
        until_nothing_lives(name).await;
    }

    #[tokio::test]
    async fn what_a_program_leaves_running_is_ended_after_it() {
        let name = "test-errand-left";
        let around = surroundings(name);
        let exit = around
            .run(&shell("sleep 1000 & exit 3"), &[])
            .await
            .unwrap();
        assert_eq!(exit, Exit::Code(3));
        until_nothing_lives(name).await;
    }

    #[tokio::test]
    async fn a_program_runs_as_its_service_would() {
        let folder = tempfile::tempdir().unwrap();
        let mut around = surroundings("test-errand-as");
        around.folder = Some(folder.path().to_owned());
        around.body.env.insert("A".to_owned(), "b".to_owned());
        around.umask = Some(0o077);
        let words = shell("echo $A $MAINPID $(umask) > said");
        around.succeeds(&words).await.unwrap();
        let said = || std::fs::read_to_string(folder.path().join("said")).unwrap();
        assert_eq!(said(), "b 0077\n");
        around
            .run(&words, &[("MAINPID", "7".to_owned())])
            .await
            .unwrap();
        assert_eq!(said(), "b 7 0077\n");
        let failed = around.succeeds(&shell("exit 3")).await;
        assert_eq!(failed, Err("exit:3".to_owned()));
        let missing = around.succeeds(&["/no/such".to_owned()]).await;
        assert_eq!(missing, Err("can't find command '/no/such'".to_owned()));
    }
}
