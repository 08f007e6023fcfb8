//! `fathom relive`: lives the lives of services again from what they heard, and compares.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;

use crate::chronicle::{Replayed, replay_all};
use crate::stack::{EVENTS_NAME, LIVES_NAME};

/// Live the life cycles of services again from what they heard, and compare with what happened.
#[derive(Debug, Args)]
pub(crate) struct Relive {
    /// Data folder of a stack, running or not.
    #[arg(default_value = "fathom-data")]
    data_dir: PathBuf,
}

impl Relive {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let (events, lives) = (
            self.data_dir.join(EVENTS_NAME),
            self.data_dir.join(LIVES_NAME),
        );
        let replayed = replay_all(&events, &lives)
            .with_context(|| format!("cannot read {}", self.data_dir.display()))?;
        let mut differ = 0_u8;
        for life in &replayed {
            let Some(at) = life.difference() else {
                anstream::println!("{}: {} changes, the same", life.service, life.found.len());
                continue;
            };
            differ = 1;
            tell(life, at);
        }
        Ok(differ.into())
    }
}

/// Says where a life went another way.
fn tell(life: &Replayed, at: usize) {
    anstream::println!("{}: differs at change {}", life.service, at + 1);
    for (word, changes) in [("told", &life.told), ("found", &life.found)] {
        match changes.get(at) {
            Some(change) => anstream::println!(
                "  {word:5} {} -> {} ({}), incarnation {}",
                change.from,
                change.to,
                change.reason,
                change.incarnation
            ),
            None => anstream::println!("  {word:5} nothing more"),
        }
    }
}
