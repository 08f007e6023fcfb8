//! `fathom kinds`: the built-in kinds and their options.

use std::process::ExitCode;

use anstream::println;
use anyhow::bail;
use clap::Args;
use fathom_kernel::Kind;
use serde::Serialize;

use crate::config::{KindOption, kind_options, nearest};
use crate::registry;

/// A longer default does not fit beside its option.
const DEFAULT_COLUMNS: usize = 60;

/// Arguments of `fathom kinds`.
#[derive(Debug, Args)]
pub(crate) struct Kinds {
    /// Only this kind, with all its options
    name: Option<String>,

    /// Show the options of every kind, with their texts
    #[arg(long)]
    full: bool,

    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// A kind for programs.
#[derive(Serialize)]
struct Shown {
    name: &'static str,
    summary: &'static str,
    section: Option<&'static str>,
    options: Vec<KindOption>,
}

impl Kinds {
    /// Prints the list.
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let kinds: Vec<&Kind> = match &self.name {
            None => registry::kinds().collect(),
            Some(name) => vec![find(name)?],
        };
        if self.json {
            let shown: Vec<Shown> = kinds.into_iter().map(shown).collect();
            serde_json::to_writer_pretty(anstream::stdout(), &shown)?;
            println!();
            return Ok(ExitCode::SUCCESS);
        }
        for kind in kinds {
            println!("{:<18} {}", kind.name, kind.summary);
            if self.full || self.name.is_some() {
                print_options(kind);
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn find(name: &str) -> anyhow::Result<&'static Kind> {
    if let Some(kind) = registry::find(name) {
        return Ok(kind);
    }
    match nearest(name, registry::kinds().map(|kind| kind.name)) {
        Some(near) => bail!("unknown kind `{name}`, did you mean `{near}`?"),
        None => bail!("unknown kind `{name}`, `fathom kinds` lists them all"),
    }
}

fn shown(kind: &'static Kind) -> Shown {
    Shown {
        name: kind.name,
        summary: kind.summary,
        section: kind.section,
        options: kind_options(kind),
    }
}

fn print_options(kind: &'static Kind) {
    if let Some(section) = kind.section {
        println!("  section of pipeline.toml: [{section}]");
    }
    for option in kind_options(kind) {
        let mut line = format!("  {:<24} {}", option.name, option.type_name);
        if let Some(unit) = &option.unit {
            line.push_str(&format!(" [{unit}]"));
        }
        match &option.default {
            Some(default) if default.len() > DEFAULT_COLUMNS => {
                line.push_str(", default see below")
            }
            Some(default) => line.push_str(&format!(", default {default}")),
            None if option.required => line.push_str(", required"),
            None => line.push_str(", not set by default"),
        }
        println!("{line}");
        for text in option.text.lines().filter(|text| !text.is_empty()) {
            println!("      {text}");
        }
        if let Some(default) = option.default.filter(|text| text.len() > DEFAULT_COLUMNS) {
            println!("      default: {default}");
        }
    }
    println!();
}
