//! `fathom check`: reads a configuration, starts nothing, says what would happen.

use std::path::PathBuf;
use std::process::ExitCode;

use anstream::{println, stdout};
use clap::Args;
use serde::Serialize;

use super::EXIT_CONFIG;
use super::config_args::{ConfigArgs, print_report};
use crate::config::plan::{Body, Plan, ServicePlan};
use crate::config::{Finding, Gravity, Report};

/// Arguments of `fathom check`.
#[derive(Debug, Args)]
pub(crate) struct Check {
    /// Configuration to check
    #[arg(default_value = "supervisor.toml")]
    file: PathBuf,

    #[command(flatten)]
    config: ConfigArgs,

    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// The answer for programs.
#[derive(Serialize)]
struct Answer {
    ok: bool,
    problems: Vec<Finding>,
    levels: Vec<Vec<String>>,
    listen: Vec<Listen>,
}

/// Where a service will listen.
#[derive(Serialize)]
struct Listen {
    service: String,
    key: String,
    address: String,
}

impl Check {
    /// Prints the start order, or all problems.
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let loaded = self.config.load(self.file.clone());
        let (plan, report) = match loaded {
            Ok(loaded) => (Some(loaded.plan), loaded.warnings),
            Err(report) => (None, report),
        };
        match self.json {
            true => print_json(plan.as_ref(), &report)?,
            false => self.print(plan.as_ref(), &report),
        }
        Ok(ExitCode::from(if plan.is_some() { 0 } else { EXIT_CONFIG }))
    }

    fn print(&self, plan: Option<&Plan>, report: &Report) {
        print_report(report);
        let file = self.file.display();
        let Some(plan) = plan else {
            let count = report.count(Gravity::Error);
            let word = if count == 1 { "problem" } else { "problems" };
            return eprintln!("{file}: {count} {word}");
        };
        println!("{file}: good");
        println!("data folder: {}", plan.setup.data_dir.display());
        if let Some(detector) = &plan.setup.detector {
            let (modules, dus) = (detector.modules().len(), detector.dus().len());
            println!(
                "detector {}: {dus} detection units, {modules} modules",
                detector.id.0
            );
        }
        let width = plan.services.iter().map(|service| service.name.len()).max();
        let width = width.unwrap_or_default();
        println!("start order:");
        for (number, level) in plan.levels.iter().enumerate() {
            for service in level.iter().filter_map(|name| plan.service(name)) {
                println!("  {}. {}", number + 1, line(service, width));
            }
        }
        let listens = listens(plan);
        if !listens.is_empty() {
            println!("listens:");
        }
        for listen in listens {
            let Listen {
                service,
                key,
                address,
            } = listen;
            println!("  {service:<width$}  {key} = {address}");
        }
    }
}

fn line(service: &ServicePlan, width: usize) -> String {
    let what = match &service.body {
        Body::Kind(body) => body.kind.name.to_owned(),
        Body::Command(body) => body.argv.join(" "),
    };
    let mut line = format!(
        "{:<width$}  {:<7}  {what}",
        service.name,
        service.run_word()
    );
    if !service.after.is_empty() {
        let after = service.after.iter().map(ToString::to_string);
        line.push_str(&format!("  after {}", after.collect::<Vec<_>>().join(", ")));
    }
    if !service.autostart {
        line.push_str("  (not started by itself)");
    }
    line
}

/// Returns all options that say where something listens.
fn listens(plan: &Plan) -> Vec<Listen> {
    let control = plan.control.listen.iter().map(|address| Listen {
        service: "control".into(),
        key: "listen".into(),
        address: address.to_string(),
    });
    let services = plan.services.iter().flat_map(|service| {
        let Body::Kind(body) = &service.body else {
            return Vec::new();
        };
        let options: toml::Table = body.options.parse().unwrap_or_default();
        let of_it = options
            .into_iter()
            .filter(|(key, _)| key.contains("listen"));
        of_it
            .filter_map(|(key, value)| {
                let (service, address) = (service.name.to_string(), value.as_str()?.to_owned());
                Some(Listen {
                    service,
                    key,
                    address,
                })
            })
            .collect()
    });
    control.chain(services).collect()
}

fn print_json(plan: Option<&Plan>, report: &Report) -> anyhow::Result<()> {
    let names = |level: &Vec<std::sync::Arc<str>>| level.iter().map(|n| n.to_string()).collect();
    let answer = Answer {
        ok: plan.is_some(),
        problems: report.findings(),
        levels: plan
            .map(|plan| plan.levels.iter().map(names).collect())
            .unwrap_or_default(),
        listen: plan.map(listens).unwrap_or_default(),
    };
    serde_json::to_writer_pretty(stdout(), &answer)?;
    println!();
    Ok(())
}
