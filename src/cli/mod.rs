//! The command line: one file per subcommand, each an arguments struct with a `run`.

mod kinds;
mod root;

pub use root::{Cli, EXIT_CONFIG, EXIT_ERROR};
