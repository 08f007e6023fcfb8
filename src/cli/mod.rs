//! The command line: one file per subcommand, each an arguments struct with a `run`.

mod check;
mod completions;
mod config_args;
mod ctl;
mod decode;
mod demo;
mod fake_detector;
mod guard;
mod hash_password;
mod healthcheck;
mod host;
mod import;
mod kinds;
mod man;
mod record;
mod relive;
mod replay;
mod root;
mod run_monitor;
mod schema;
mod top;
mod up;

pub use config_args::{ConfigArgs, environment, print_report};
pub use guard::guard_early;
pub use root::{Cli, EXIT_CONFIG, EXIT_ERROR};
