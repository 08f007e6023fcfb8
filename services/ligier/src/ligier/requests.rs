//! Questions to the running broker: `clients`, `tags`, `memory`, `disconnect`.

use fathom_kernel::Request;
use serde_json::{Value, json};
use tokio::time::Instant;
use tracing::info;

use super::report::clients;
use super::session::Broker;
use crate::tables::{TagTable, as_objects};

/// Why a request is refused.
#[derive(Debug, thiserror::Error)]
enum RequestError {
    #[error("no request {0}, expected clients, tags, memory or disconnect")]
    UnknownVerb(String),
    #[error("no client given, expected {{\"client\": NUMBER}}")]
    NoClient,
    #[error("no client {0}")]
    NoSuchClient(u64),
}

impl Broker {
    /// Answers a request.
    pub(crate) fn answer(&self, request: Request) {
        let answer = self
            .answer_of(&request.verb, &request.args)
            .map_err(|error| error.to_string());
        // Who asked may have stopped waiting.
        let _unheard = request.reply.send(answer);
    }

    fn answer_of(&self, verb: &str, args: &Value) -> Result<Value, RequestError> {
        match verb {
            "clients" => Ok(as_objects(&clients(self, Instant::now()))),
            "tags" => Ok(as_objects(&TagTable::totals(&self.hub))),
            "memory" => Ok(json!({
                "queued_bytes": self.hub.budget.charged(),
                "limit_bytes": self.hub.budget.memory,
                "stopped_by_clients": self.hub.budget.gate.holders(),
            })),
            "disconnect" => self.disconnect(args),
            // Monitors are asked to forget; a broker has nothing to forget.
            "reset" => Ok(json!({})),
            other => Err(RequestError::UnknownVerb(other.to_owned())),
        }
    }

    fn disconnect(&self, args: &Value) -> Result<Value, RequestError> {
        let id = args.get("client").and_then(Value::as_u64);
        let id = id.ok_or(RequestError::NoClient)?;
        let clients = self.hub.clients();
        let client = clients.iter().find(|client| client.id == id);
        let client = client.ok_or(RequestError::NoSuchClient(id))?;
        info!(client = id, peer = %client.peer, "disconnecting on request");
        client.leave.cancel();
        Ok(json!({ "disconnected": client.peer }))
    }
}
