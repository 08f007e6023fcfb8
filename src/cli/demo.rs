//! `fathom demo`: a small simulated detector and everything that watches it, on a data folder of its
//! own.

use std::net::{SocketAddr, TcpListener};
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;

use super::EXIT_CONFIG;
use super::config_args::{ConfigArgs, print_report};
use super::up::run_stack;
use crate::config::plan::{Body, Plan};
use crate::init;

/// The configuration that the demonstration runs.
const CONFIG: &str = include_str!("demo.toml");

/// Where the web page is, when nobody else listens there.
const WEB_DEFAULT: &str = "127.0.0.1:8081";

/// Any free port of this machine.
const FREE: &str = "127.0.0.1:0";

/// Arguments of `fathom demo`.
#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// Address of the web page; port 0 takes a free one [default: 127.0.0.1:8081, or a free port]
    #[arg(long, value_name = "ADDRESS")]
    web: Option<SocketAddr>,

    #[command(flatten)]
    config: ConfigArgs,
}

impl Demo {
    /// Runs the demonstration until Ctrl-C.
    pub(crate) fn run(mut self) -> anyhow::Result<ExitCode> {
        if init::is_needed(false) {
            return init::run();
        }
        init::listen_again()?;
        // Removed at the end, unless the folder was named.
        let mut temporary = None;
        if self.config.data_dir.is_none() {
            let folder = tempfile::Builder::new()
                .prefix("fathom-demo-")
                .tempdir()
                .context("cannot make a data folder")?;
            self.config.data_dir = Some(folder.path().to_owned());
            temporary = Some(folder);
        }
        let code = self.run_in_folder();
        drop(temporary);
        code
    }

    fn run_in_folder(mut self) -> anyhow::Result<ExitCode> {
        let own = self.config.listen.clone();
        let first = self.config.load_text("demo.toml", CONFIG);
        let loaded = first.and_then(|loaded| {
            let mut listen = self.addresses(&loaded.plan);
            // What the caller says comes last and wins.
            listen.extend(own);
            self.config.listen = listen;
            self.config.load_text("demo.toml", CONFIG)
        });
        match loaded {
            Ok(loaded) => {
                let source = self.config.source_text("demo.toml", CONFIG, loaded.files);
                run_stack(loaded.plan, source, false)
            }
            Err(report) => {
                print_report(&report);
                Ok(ExitCode::from(EXIT_CONFIG))
            }
        }
    }

    /// Chooses an address for everything that listens, so that any number of demonstrations fit on
    /// a machine.
    fn addresses(&self, plan: &Plan) -> Vec<String> {
        let listening = plan
            .services
            .iter()
            .filter_map(|service| match &service.body {
                Body::Kind(body) => {
                    let options: toml::Table = body.options.parse().ok()?;
                    options.get("listen")?.as_str()?;
                    let web = body.kind.name == "webserver";
                    Some((service.name.rsplit(':').next()?.to_owned(), web))
                }
                Body::Command(_) => None,
            });
        listening
            .map(|(name, web)| match web {
                true => format!("{name}={}", self.web()),
                false => format!("{name}={FREE}"),
            })
            .collect()
    }

    fn web(&self) -> String {
        match self.web {
            Some(address) => address.to_string(),
            None if TcpListener::bind(WEB_DEFAULT).is_ok() => WEB_DEFAULT.to_owned(),
            None => FREE.to_owned(),
        }
    }
}
