//! `ctl shutdown`: ends the whole stack.

use std::time::Duration;

use clap::Args;
use fathom_kernel::Span;

use super::CtlError;
use super::session::Session;

/// Time between two looks whether the supervisor has gone.
const LOOK: Duration = Duration::from_millis(50);

/// Arguments of `shutdown`.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit codes: 0 the supervisor has ended; 1 it still runs when the time is over."
)]
pub(super) struct Shutdown {
    /// Kill everything at once instead of stopping in order.
    #[arg(long)]
    now: bool,
    /// Return at once instead of when the supervisor has ended.
    #[arg(long)]
    no_wait: bool,
    /// Longest time to wait.
    #[arg(short, long, default_value = "60s")]
    timeout: Span,
}

impl Shutdown {
    pub(super) async fn run(self, session: &mut Session) -> Result<u8, CtlError> {
        match session
            .client
            .shutdown(self.now)
            .await
            .map_err(CtlError::from)
        {
            Ok(_) => {}
            // Killed before it could answer, as asked.
            Err(error) if self.now && error.is_unreachable() && error.exit_code() == 1 => {}
            Err(error) => return Err(error),
        }
        let gone = self.no_wait
            || tokio::time::timeout(self.timeout.duration(), gone(session))
                .await
                .is_ok();
        let word = match (gone, self.no_wait) {
            (true, false) => "Shut down",
            (true, true) => "Shutting down",
            (false, _) => "Still shutting down",
        };
        if session.json {
            session.value(&serde_json::json!({ "result": word }))?;
        } else {
            session.line(word)?;
        }
        Ok(u8::from(!gone))
    }
}

/// Waits until nobody answers.
async fn gone(session: &Session) {
    loop {
        match session.client.addresses().await.map_err(CtlError::from) {
            Err(error) if error.is_unreachable() => return,
            _ => tokio::time::sleep(LOOK).await,
        }
    }
}
