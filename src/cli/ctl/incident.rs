//! `ctl incident`: all that is known of one failure.

use clap::Args;

use super::CtlError;
use super::session::Session;
use crate::incidents;

/// Nothing is known of it.
const NO_SUCH: u8 = 1;

/// Arguments of `incident`.
#[derive(Debug, Args)]
pub(super) struct Incident {
    /// Number of the report, or a service for its last one.
    #[arg(value_name = "NUMBER|NAME")]
    which: String,
}

impl Incident {
    pub(super) async fn run(self, session: &mut Session) -> Result<u8, CtlError> {
        let id = match self.which.parse() {
            Ok(id) => id,
            Err(_) => match session.client.incidents(&self.which, 1).await?.first() {
                Some(last) => last.id,
                None => {
                    anstream::eprintln!("{}: no incident", self.which);
                    return Ok(NO_SUCH);
                }
            },
        };
        let incident = session.client.incident(id).await?;
        if session.json {
            session.value(&incident)?;
            return Ok(0);
        }
        for line in incidents::lines(&incident) {
            session.line(&line)?;
        }
        Ok(0)
    }
}
