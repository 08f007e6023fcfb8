//! `ctl addresses`: where services listen.

use clap::Args;

use super::CtlError;
use super::session::Session;

/// Arguments of `addresses`.
#[derive(Debug, Args)]
pub(super) struct Addresses {}

impl Addresses {
    pub(super) async fn run(self, session: &mut Session) -> Result<u8, CtlError> {
        let book = session.client.addresses().await?;
        if session.json {
            session.value(&book)?;
            return Ok(0);
        }
        for (name, address) in &book.addresses {
            session.line(&format!("{name:32} {address}"))?;
        }
        Ok(0)
    }
}
