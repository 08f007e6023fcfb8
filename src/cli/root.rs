//! The list of subcommands. A new one is a file, a line in `mod.rs`, a variant and an arm here.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use super::{
    check, completions, ctl, decode, demo, fake_detector, guard, hash_password, healthcheck, host,
    import, kinds, man, record, relive, replay, run_monitor, schema, top, up,
};

/// Exit code of a command that failed.
pub const EXIT_ERROR: u8 = 1;

/// Exit code when the configuration has problems.
pub const EXIT_CONFIG: u8 = 2;

/// Online monitoring for particle detectors: one supervised stack in one binary.
#[derive(Debug, Parser)]
#[command(name = "fathom", version, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    command: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Run a stack in the foreground.
    Up(up::Up),
    /// Run the example with a simulated detector, on a data folder of its own.
    Demo(demo::Demo),
    /// Check a configuration without starting anything, and show the start order.
    Check(check::Check),
    /// Turn a configuration of supervisord into a supervisor.toml.
    Import(import::Import),
    /// List the built-in kinds of services, or all options of one.
    Kinds(kinds::Kinds),
    /// Print the JSON schema of the configuration file.
    Schema(schema::Schema),
    /// Command a running stack.
    Ctl(ctl::Ctl),
    /// Watch and command a running stack in the terminal.
    Top(top::Top),
    /// Print dumps and recordings as JSON lines.
    Decode(decode::Decode),
    /// Run a broker with a simulated detector, for tests of other programs.
    FakeDetector(fake_detector::FakeDetector),
    /// Record the stream of a broker.
    Record(record::Record),
    /// Run one monitor over recordings and dumps, and print what it says as JSON lines.
    RunMonitor(run_monitor::RunMonitor),
    /// Play recordings and dumps to a broker.
    Replay(replay::Replay),
    #[command(hide = true)]
    Relive(relive::Relive),
    /// Tell whether the stack is ready, for health checks of containers.
    Healthcheck(healthcheck::Healthcheck),
    /// Hash a password for the configuration.
    HashPassword(hash_password::HashPassword),
    /// Print the completion script of a shell.
    Completions(completions::Completions),
    /// Write the manual pages.
    Man(man::Man),
    /// End everything a supervisor started, should it die without a word.
    #[command(hide = true)]
    Guard(guard::GuardArgs),
    /// Run one service for a supervisor.
    #[command(hide = true)]
    Host(host::HostArgs),
}

impl Cli {
    /// Carries out the subcommand.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        match self.command {
            Verb::Up(args) => args.run(),
            Verb::Demo(args) => args.run(),
            Verb::Check(args) => args.run(),
            Verb::Import(args) => args.run(),
            Verb::Kinds(args) => args.run(),
            Verb::Schema(args) => args.run(),
            Verb::Ctl(args) => args.run(),
            Verb::Top(args) => args.run(),
            Verb::Decode(args) => args.run(),
            Verb::FakeDetector(args) => args.run(),
            Verb::Record(args) => args.run(),
            Verb::RunMonitor(args) => args.run(),
            Verb::Replay(args) => args.run(),
            Verb::Relive(args) => args.run(),
            Verb::Healthcheck(args) => args.run(),
            Verb::HashPassword(args) => args.run(),
            Verb::Completions(args) => args.run(),
            Verb::Man(args) => args.run(),
            Verb::Guard(args) => args.run(),
            Verb::Host(args) => args.run(),
        }
    }
}
