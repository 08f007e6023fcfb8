//! A service that is switched off by an option of its own: it runs, and does nothing.

use fathom_kernel::{ServiceCx, ServiceError};
use tracing::info;

/// Waits for the end.
pub(crate) async fn idle(mut cx: ServiceCx) -> Result<(), ServiceError> {
    info!("switched off by `enabled = false`");
    cx.ready();
    loop {
        tokio::select! {
            biased;
            () = cx.stop.cancelled() => return Ok(()),
            Some(request) = cx.inbox.recv() => {
                let refusal = Err("switched off by `enabled = false`".to_owned());
                // Whoever asked may have gone; then nobody needs the answer.
                request.reply.send(refusal).unwrap_or_default();
            }
            else => {
                cx.stop.cancelled().await;
                return Ok(());
            }
        }
    }
}
