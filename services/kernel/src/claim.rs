//! What a service writes under a fixed name, so that two of one stack would get in each other's way.

use std::path::PathBuf;

/// A name that only one service of a stack can have to itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// What is written.
    pub claimed: Claimed,
    /// How to give another service of the kind a name of its own, as a hint for people; empty when its
    /// options offer none.
    pub way_out: &'static str,
}

/// What is written under the name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Claimed {
    /// An output: of two services that put it up, each covers what the other shows.
    Output(String),
    /// A file or folder, relative to the stack's data folder: two services that write it spoil it.
    File(PathBuf),
}

impl Claim {
    /// Claims an output.
    pub fn output(name: impl Into<String>, way_out: &'static str) -> Self {
        Self {
            claimed: Claimed::Output(name.into()),
            way_out,
        }
    }

    /// Claims a file or folder, relative to the stack's data folder.
    pub fn file(path: impl Into<PathBuf>, way_out: &'static str) -> Self {
        Self {
            claimed: Claimed::File(path.into()),
            way_out,
        }
    }
}
