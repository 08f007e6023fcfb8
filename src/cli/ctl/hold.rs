//! `ctl hold`: nothing is done about the health of services for some time.

use clap::Args;
use fathom_kernel::Span;

use super::CtlError;
use super::outcomes::{Action, carry_out};
use super::session::Session;

/// Arguments of `hold`.
#[derive(Debug, Args)]
#[command(after_help = "\
`hold NAME for 1h` is understood as well. Health is still judged and shown; only what would follow from
it does not. Restarts after a crash go on as ever. Exit codes: 0 held; 1 unknown name.")]
pub(super) struct Hold {
    /// Services; a time may follow as `for 1h`.
    #[arg(required = true)]
    targets: Vec<String>,
    /// How long; until `unhold` without it.
    #[arg(long = "for", value_name = "TIME")]
    time: Option<Span>,
}

impl Hold {
    pub(super) async fn run(mut self, session: &mut Session) -> Result<u8, CtlError> {
        // Not the first word: a service may have that name.
        if let Some(at) = self.targets.iter().skip(1).position(|word| word == "for") {
            let time = self.targets.split_off(at + 1);
            self.time = match (&self.time, time.as_slice()) {
                (None, [_, time]) => Some(time.parse().map_err(|_| not_a_time())?),
                (Some(_), _) | (None, _) => return Err(not_a_time()),
            };
        }
        let time = self.time;
        carry_out(session, Action::Hold { time }, self.targets).await
    }
}

fn not_a_time() -> CtlError {
    CtlError::Usage("expected one time behind `for`, such as 1h or 90s".to_owned())
}
