//! `ctl reread`: reads the configuration anew and says what differs, in the words of supervisorctl.

use clap::Args;

use super::CtlError;
use super::plan;
use super::session::Session;

/// Arguments of `reread`.
#[derive(Debug, Args)]
#[command(after_help = "Exit codes: 0 done; 1 the configuration has errors.")]
pub(super) struct Reread {}

impl Reread {
    pub(super) async fn run(self, session: &mut Session) -> Result<u8, CtlError> {
        let Some(changes) = plan::ask(session).await? else {
            return Ok(plan::INVALID);
        };
        if session.json {
            session.value(&changes)?;
            return Ok(0);
        }
        let groups = changes.by_group();
        let mut lines: Vec<String> = Vec::new();
        for (names, word) in [
            (&groups.added, "available"),
            (&groups.changed, "changed"),
            (&groups.removed, "disappeared"),
        ] {
            lines.extend(names.iter().map(|name| format!("{name}: {word}")));
        }
        lines.sort();
        if lines.is_empty() {
            lines.push("No config updates to processes".to_owned());
        }
        for line in lines {
            session.line(&line)?;
        }
        Ok(0)
    }
}
