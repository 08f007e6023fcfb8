//! The arguments that say which configuration is meant; shared by all commands that read one.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;

use crate::config::{Environment, FileSet, Loaded, Origin, Report, load};
use crate::stack::Source;

/// Which configuration, and what to change in it.
#[derive(Debug, Clone, Default, Args)]
pub struct ConfigArgs {
    /// Set one key, over all that files and environment say: service.dom_rates.lowest_rate=150
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub set: Vec<String>,

    /// Listen there instead: ligier=127.0.0.1:0
    #[arg(long, value_name = "SERVICE=ADDRESS")]
    pub listen: Vec<String>,

    /// A pipeline.toml of km3mon whose sections serve as options
    #[arg(long, value_name = "FILE")]
    pub pipeline: Option<PathBuf>,

    /// Folder for everything the stack writes
    #[arg(long = "data", value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
}

impl ConfigArgs {
    /// Reads a configuration file under these arguments and the environment.
    pub fn load(&self, file: PathBuf) -> Result<Loaded, Report> {
        load(&self.origin(file, None))
    }

    /// Reads a built-in configuration; relative paths in it start in the working folder.
    pub fn load_text(&self, name: &str, text: &str) -> Result<Loaded, Report> {
        load(&self.origin(name.into(), Some(text.to_owned())))
    }

    /// Returns where the plan comes from that [`ConfigArgs::load`] returned with these files.
    pub(crate) fn source(&self, file: PathBuf, files: FileSet) -> Source {
        source(self.origin(file, None), files)
    }

    /// Returns where the plan comes from that [`ConfigArgs::load_text`] returned.
    pub(crate) fn source_text(&self, name: &str, text: &str, files: FileSet) -> Source {
        source(self.origin(name.into(), Some(text.to_owned())), files)
    }

    fn origin(&self, file: PathBuf, text: Option<String>) -> Origin {
        let listen = self.listen.iter().map(|given| match given.split_once('=') {
            Some((service, address)) => format!("service.{service}.listen={address}"),
            None => given.clone(),
        });
        Origin {
            file,
            text,
            pipeline: self.pipeline.clone(),
            data_dir: self.data_dir.clone(),
            set: listen.chain(self.set.iter().cloned()).collect(),
            environment: environment(),
        }
    }
}

fn source(origin: Origin, files: FileSet) -> Source {
    Source {
        reread: Arc::new(move || load(&origin)),
        files: Arc::new(files),
    }
}

/// Returns the variables of this process; those that are no Unicode cannot be used.
pub fn environment() -> Environment {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

/// Prints problems to standard error.
pub fn print_report(report: &Report) {
    let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let colour = std::io::stderr().is_terminal() && !plain;
    eprint!("{}", report.render(colour));
}
