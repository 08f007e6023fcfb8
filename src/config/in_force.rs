//! Which configuration is in force, and how it is read again.

use std::sync::Arc;

use fathom_kernel::ConfigFault;

use super::fileset::FileSet;
use super::load::Loaded;
use super::report::Report;

/// Reads the configuration of a stack again, with the files, variables and arguments of the first
/// time.
pub type Reread = Arc<dyn Fn() -> Result<Loaded, Report> + Send + Sync>;

/// The configuration in force.
#[derive(Debug, Clone, Default)]
pub struct InForce {
    /// Counts the configurations that were put in force, from 1.
    pub generation: u64,
    /// The files it was read from; none when it was made by hand.
    pub files: Option<Arc<FileSet>>,
}

impl InForce {
    /// Returns the SHA-256 of the files; empty without files.
    pub fn sha256(&self) -> String {
        self.files.as_ref().map(|f| f.sha256()).unwrap_or_default()
    }
}

impl Report {
    /// Returns all problems with their places in short.
    pub fn faults(&self) -> Vec<ConfigFault> {
        let findings = self.findings().into_iter();
        let faults = findings.map(|finding| ConfigFault {
            gravity: finding.gravity.word().to_owned(),
            at: finding
                .at
                .as_ref()
                .map(|spot| format!("{}:{}:{}", spot.file, spot.line, spot.column)),
            help: finding.at.and_then(|spot| spot.label).or(finding.help),
            message: finding.message,
        });
        faults.collect()
    }
}
