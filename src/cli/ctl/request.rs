//! `ctl request`: asks a running service itself.

use clap::Args;
use serde_json::Value;

use super::CtlError;
use super::session::Session;

/// Arguments of `request`.
#[derive(Debug, Args)]
pub(super) struct Request {
    /// Service.
    name: String,
    /// What to do, such as `reset`; each kind has its own.
    verb: String,
    /// Details as JSON.
    #[arg(value_parser = parse, default_value = "null")]
    args: Value,
}

impl Request {
    pub(super) async fn run(self, session: &mut Session) -> Result<u8, CtlError> {
        let answer = session
            .client
            .request(&self.name, &self.verb, self.args)
            .await?;
        match answer {
            Value::Null if !session.json => {}
            Value::String(text) if !session.json => session.line(&text)?,
            answer => session.value(&answer)?,
        }
        Ok(0)
    }
}

fn parse(text: &str) -> Result<Value, serde_json::Error> {
    serde_json::from_str(text)
}
