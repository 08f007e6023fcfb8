//! Which monitor, with which options and detector.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use fathom_formats::km3net::DetectorId;
use fathom_kernel::{ByHand, Kind};
use toml::de::DeTable;

use crate::cli::{ConfigArgs, print_report};
use crate::config::plan::{Body, KindBody, Plan, ServicePlan};
use crate::config::{Loaded, Report, nearest};
use crate::registry;

/// What the command line says.
pub(super) struct Choice<'a> {
    pub(super) name: &'a str,
    pub(super) config: Option<&'a Path>,
    pub(super) set: &'a [String],
    pub(super) detector: Option<&'a Path>,
    pub(super) geometry: Option<&'a str>,
    pub(super) dus: Option<u16>,
    /// Id of a generated detector.
    pub(super) id: Option<DetectorId>,
}

/// The monitor that was meant.
pub(super) struct Chosen {
    pub(super) monitor: Box<dyn ByHand>,
    /// Where relative paths start.
    pub(super) config_dir: PathBuf,
    /// Where `data:` starts.
    pub(super) data_dir: PathBuf,
}

impl Choice<'_> {
    /// Makes the monitor; the inner error is a report on the configuration.
    pub(super) fn made(&self) -> anyhow::Result<Result<Chosen, Report>> {
        let (name, plan) = match self.planned()? {
            Ok(planned) => planned,
            Err(report) => return Ok(Err(report)),
        };
        let body = plan.service(&name).and_then(kind_of);
        let body = body.context("the service is not there any more")?;
        let make = body.kind.by_hand.with_context(|| no_monitor(body.kind))?;
        let mut setup = plan.setup.clone();
        match self.detector_plan() {
            Ok(Some(plan)) => setup.detector = plan.setup.detector,
            Ok(None) => {}
            Err(report) => return Ok(Err(report)),
        }
        // Nobody follows a page here: without a description there is none.
        setup.detector_comes = false;
        // The rest of the program needs it.
        let options = DeTable::parse(body.options.clone().leak())?;
        let monitor = make(options, &setup).context("the options do not fit")?;
        Ok(Ok(Chosen {
            monitor,
            config_dir: setup.config_dir,
            data_dir: setup.data_dir,
        }))
    }

    /// Returns the plan with the service that was meant.
    fn planned(&self) -> anyhow::Result<Result<(String, Plan), Report>> {
        let Some(file) = self.config else {
            let kind = self.kind()?;
            let text = format!("[service.{kind}]\nkind = \"{kind}\"\n", kind = kind.name);
            let detector = self.detector_keys();
            let set = self.options_of(kind.name).chain(detector).collect();
            let loaded = arguments(set).load_text("run-monitor", &text);
            return Ok(loaded.map(|loaded| (kind.name.to_owned(), warned(loaded))));
        };
        // Which service it is must be known before its options can be set.
        let name = match arguments(Vec::new()).load(file.to_owned()) {
            Ok(loaded) => self.service(&loaded.plan, file)?,
            Err(report) => return Ok(Err(report)),
        };
        let short = name.rsplit(':').next().unwrap_or(&name);
        let set = self.options_of(short).collect();
        let loaded = arguments(set).load(file.to_owned());
        Ok(loaded.map(|loaded| (name, warned(loaded))))
    }

    fn kind(&self) -> anyhow::Result<&'static Kind> {
        if let Some(kind) = registry::find(self.name) {
            kind.by_hand.with_context(|| no_monitor(kind))?;
            return Ok(kind);
        }
        let monitors = registry::kinds().filter(|kind| kind.by_hand.is_some());
        match nearest(self.name, monitors.map(|kind| kind.name)) {
            Some(near) => bail!("unknown monitor `{}`, did you mean `{near}`?", self.name),
            None => bail!(
                "unknown monitor `{}`, expected {}",
                self.name,
                monitors_there()
            ),
        }
    }

    /// Finds the service by its name, else the only one of this kind.
    fn service(&self, plan: &Plan, file: &Path) -> anyhow::Result<String> {
        let is_named = |service: &&ServicePlan| {
            *service.name == *self.name || service.name.rsplit(':').next() == Some(self.name)
        };
        let of_kind = |service: &&ServicePlan| {
            kind_of(service).is_some_and(|body| body.kind.name == self.name)
        };
        let named: Vec<&ServicePlan> = plan.services.iter().filter(is_named).collect();
        let found = match named.is_empty() {
            true => plan.services.iter().filter(of_kind).collect(),
            false => named,
        };
        match found.as_slice() {
            [service] => Ok(service.name.to_string()),
            [] => bail!(
                "{} has no service of this name or kind: `{}`",
                file.display(),
                self.name
            ),
            several => {
                let names: Vec<&str> = several.iter().map(|s| &*s.name).collect();
                bail!("`{}` may be any of {}", self.name, names.join(", "))
            }
        }
    }

    fn options_of(&self, service: &str) -> impl Iterator<Item = String> {
        let given = self.set.iter();
        given.map(move |given| format!("service.{service}.{given}"))
    }

    /// Returns the plan that holds the detector of the command line, if it names one besides a file.
    fn detector_plan(&self) -> Result<Option<Plan>, Report> {
        let keys: Vec<String> = self.detector_keys().collect();
        if self.config.is_none() || keys.is_empty() {
            return Ok(None);
        }
        let loaded = arguments(keys).load_text("run-monitor", "");
        loaded.map(|loaded| Some(warned(loaded)))
    }

    fn detector_keys(&self) -> impl Iterator<Item = String> {
        let file = self.detector.map(|file| format!("file={}", file.display()));
        let geometry = self.geometry.map(|geometry| format!("geometry={geometry}"));
        let dus = self.dus.map(|dus| format!("dus={dus}"));
        let id = self.id.map(|id| format!("id={}", id.0));
        let keys = [file, geometry, dus, id].into_iter().flatten();
        keys.map(|key| format!("detector.{key}"))
    }
}

/// Tells of what is odd, such as in the detector file, as `fathom check` does.
fn warned(loaded: Loaded) -> Plan {
    print_report(&loaded.warnings);
    loaded.plan
}

fn arguments(set: Vec<String>) -> ConfigArgs {
    ConfigArgs {
        set,
        ..ConfigArgs::default()
    }
}

fn kind_of(service: &ServicePlan) -> Option<&KindBody> {
    match &service.body {
        Body::Kind(body) => Some(body),
        Body::Command(_) => None,
    }
}

fn no_monitor(kind: &Kind) -> String {
    format!(
        "`{}` is no monitor, expected {}",
        kind.name,
        monitors_there()
    )
}

fn monitors_there() -> String {
    let monitors = registry::kinds().filter(|kind| kind.by_hand.is_some());
    let names: Vec<&str> = monitors.map(|kind| kind.name).collect();
    names.join(", ")
}
