//! `ctl avail`: all services of the configuration that was read last.

use clap::Args;

use super::CtlError;
use super::session::Session;

/// Arguments of `avail`.
#[derive(Debug, Args)]
pub(super) struct Avail {}

impl Avail {
    pub(super) async fn run(self, session: &mut Session) -> Result<u8, CtlError> {
        let services = session.client.available().await?;
        if session.json {
            session.value(&services)?;
            return Ok(0);
        }
        for service in services {
            let use_word = if service.in_use { "in use" } else { "avail" };
            let start = if service.autostart { "auto" } else { "manual" };
            session.line(&format!(
                "{:<32} {use_word:<9} {start:<9} level {}",
                service.name, service.depth
            ))?;
        }
        Ok(0)
    }
}
