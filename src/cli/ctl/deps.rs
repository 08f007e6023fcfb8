//! `ctl deps`: what a service depends on and what depends on it.

use clap::Args;

use super::CtlError;
use super::session::Session;

/// Arguments of `deps`.
#[derive(Debug, Args)]
pub(super) struct Deps {
    /// Service.
    name: String,
}

impl Deps {
    pub(super) async fn run(self, session: &mut Session) -> Result<u8, CtlError> {
        let one = session
            .client
            .status(std::slice::from_ref(&self.name))
            .await?;
        let Some(service) = one.services.first() else {
            return Err(CtlError::Usage(format!("{} has no services", self.name)));
        };
        let all = session.client.status(&[]).await?;
        let needed_by: Vec<&str> = all
            .services
            .iter()
            .filter(|other| other.after.contains(&service.name))
            .map(|other| other.name.as_str())
            .collect();
        if session.json {
            session.value(&serde_json::json!({
                "name": service.name,
                "after": service.after,
                "needed_by": needed_by,
            }))?;
            return Ok(0);
        }
        for name in &service.after {
            session.line(&format!("after      {name}"))?;
        }
        for name in needed_by {
            session.line(&format!("needed by  {name}"))?;
        }
        Ok(0)
    }
}
