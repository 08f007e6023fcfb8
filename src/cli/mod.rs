//! The command line: one file per subcommand, each an arguments struct with a `run`.

mod check;
mod config_args;
mod ctl;
mod kinds;
mod root;
mod schema;

pub use config_args::{ConfigArgs, environment, print_report};
pub use root::{Cli, EXIT_CONFIG, EXIT_ERROR};
