//! `fathom fake-detector`: a broker with a simulated detector, to test other people's programs on.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;
use fathom_kernel::Timestamp;

use super::EXIT_CONFIG;
use super::config_args::{ConfigArgs, print_report};
use super::up::run_stack;
use crate::init;

/// A broker, and a detector that publishes there over TCP like any other program.
const CONFIGURATION: &str = r#"
[stack]
name = "fake-detector"

[service.ligier]
kind = "ligier"

[service.fake_detector]
kind = "fake_detector"
to = "service:ligier"
after = ["ligier"]
"#;

/// Arguments of `fathom fake-detector`.
#[derive(Debug, Args)]
pub(crate) struct FakeDetector {
    /// Where subscribers connect; port 0 takes a free one
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:5553")]
    listen: String,

    /// Detector file
    #[arg(long, value_name = "FILE", conflicts_with_all = ["geometry", "dus"])]
    detx: Option<PathBuf>,

    /// Generated detector: orca, arca_block or arca_2blocks
    #[arg(long, default_value = "orca")]
    geometry: String,

    /// Detection units of a generated detector
    #[arg(long, value_name = "N", default_value_t = 4)]
    dus: u32,

    /// Simulated seconds per second
    #[arg(long, default_value_t = 1.0)]
    speed: f64,

    /// Seed of all random numbers
    #[arg(long, default_value_t = 1)]
    seed: u64,

    /// Time at which the first run starts, such as 2026-01-01T00:00:00Z; now when not given
    #[arg(long, value_name = "TIME")]
    start: Option<Timestamp>,

    /// Set any other option of the kind fake_detector: io_evt.rate_hz=50
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,

    /// Folder for the command socket and the logs; a temporary one when not given
    #[arg(long = "data", value_name = "DIR")]
    data_dir: Option<PathBuf>,
}

impl FakeDetector {
    /// Runs until Ctrl-C.
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        if init::is_needed(false) {
            return init::run();
        }
        init::listen_again()?;
        // Removed at the end, unless the folder was named.
        let temporary = match &self.data_dir {
            Some(_) => None,
            None => {
                let mut builder = tempfile::Builder::new();
                let folder = builder.prefix("fathom-fake-detector-").tempdir();
                Some(folder.context("cannot make a data folder")?)
            }
        };
        let folder = temporary.as_ref().map(|folder| folder.path());
        let arguments = self.arguments(folder);
        match arguments.load_text("fake-detector", CONFIGURATION) {
            Ok(loaded) => {
                print_report(&loaded.warnings);
                let source = arguments.source_text("fake-detector", CONFIGURATION, loaded.files);
                run_stack(loaded.plan, source, true)
            }
            Err(report) => {
                print_report(&report);
                Ok(ExitCode::from(EXIT_CONFIG))
            }
        }
    }

    /// Translates our arguments to those of any configuration.
    fn arguments(&self, temporary: Option<&Path>) -> ConfigArgs {
        let option = |key: &str, value: String| format!("service.fake_detector.{key}={value}");
        let mut set = vec![
            option("speed", self.speed.to_string()),
            option("seed", self.seed.to_string()),
        ];
        set.extend(self.start.map(|start| option("start", start.to_string())));
        set.extend(
            self.set
                .iter()
                .map(|given| format!("service.fake_detector.{given}")),
        );
        match &self.detx {
            Some(file) => set.push(format!("detector.file={}", file.display())),
            None => {
                set.push(format!("detector.geometry={}", self.geometry));
                set.push(format!("detector.dus={}", self.dus));
            }
        }
        ConfigArgs {
            set,
            listen: vec![format!("ligier={}", self.listen)],
            pipeline: None,
            data_dir: self.data_dir.clone().or(temporary.map(Path::to_owned)),
        }
    }
}
