//! Brings news from the supervisor and carries orders to it.

use std::sync::Arc;
use std::time::Duration;

use fathom_kernel::LogLine;
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::Instant;

use super::figures::Sample;
use super::orders::{Order, Verb};
use super::state::News;
use crate::control::{Client, ClientError, LAGGED_EVENT, LOG_EVENT, Lagged, Signal};

/// Time between two looks when nothing happens, and between two attempts to find the supervisor.
const EVERY: Duration = Duration::from_secs(1);

/// Least time between two looks.
const PAUSE: Duration = Duration::from_millis(200);

/// Lines from the end with which a log begins.
const LINES: usize = 200;

/// Looks at the supervisor again and again, at once when something happened there.
pub(super) async fn look(client: Client, wake: Arc<Notify>, to: mpsc::Sender<News>) {
    let begun = Instant::now();
    let mut changes = None;
    loop {
        let news = match sample(&client, begun).await {
            Ok(sample) => News::Sample(Box::new(sample)),
            Err(error) => {
                changes = None;
                News::Gone(error.to_string())
            }
        };
        let reached = matches!(news, News::Sample(_));
        if to.send(news).await.is_err() {
            return;
        }
        if reached && changes.is_none() {
            changes = client.events("life").await.ok();
        }
        tokio::time::sleep(PAUSE).await;
        let changed = async {
            match &mut changes {
                Some(signals) => signals.next().await.is_some(),
                None => std::future::pending().await,
            }
        };
        // Each branch may be given up: a change that is missed is seen a second later.
        let goes_on = tokio::select! {
            goes_on = changed => goes_on,
            () = wake.notified() => true,
            () = tokio::time::sleep(EVERY - PAUSE) => true,
        };
        if !goes_on {
            changes = None;
        }
    }
}

async fn sample(client: &Client, begun: Instant) -> Result<Sample, ClientError> {
    let status = client.status(&[]).await?;
    let usage = client.usage().await?;
    Ok(Sample {
        at: begun.elapsed(),
        status,
        usage,
    })
}

/// Follows the log of the service that is wanted; of another one as soon as that is wanted.
pub(super) async fn logs(
    client: Client,
    mut wanted: watch::Receiver<Option<String>>,
    to: mpsc::Sender<News>,
) {
    loop {
        let of = wanted.borrow_and_update().clone();
        let read = async {
            match of {
                Some(of) => follow(&client, of, &to).await,
                None => std::future::pending().await,
            }
        };
        // Reading may be given up at any line: the next log begins anew.
        tokio::select! {
            () = read => {}
            changed = wanted.changed() => if changed.is_err() { return },
        }
    }
}

/// Follows one log until it breaks off, and waits a moment then.
async fn follow(client: &Client, of: String, to: &mpsc::Sender<News>) {
    if let Ok(mut lines) = client.follow(&of, LINES).await {
        if to.send(News::LogBegins(of.clone())).await.is_err() {
            return;
        }
        while let Some(signal) = lines.next().await {
            let Some(text) = text(&signal) else { continue };
            let of = of.clone();
            if to.send(News::Line { of, text }).await.is_err() {
                return;
            }
        }
    }
    tokio::time::sleep(EVERY).await;
}

fn text(signal: &Signal) -> Option<String> {
    match signal.name.as_str() {
        LOG_EVENT => {
            let line: LogLine = serde_json::from_str(&signal.data).ok()?;
            Some(line.line)
        }
        LAGGED_EVENT => {
            let lagged: Lagged = serde_json::from_str(&signal.data).ok()?;
            Some(format!("... {} lines lost ...", lagged.missed))
        }
        _ => None,
    }
}

/// Carries out an order and says what became of it.
pub(super) async fn carry_out(client: Client, order: Order, to: mpsc::Sender<News>) {
    let targets = [order.target.clone()];
    let outcomes = match order.verb {
        Verb::Start => client.start(&targets, true, true).await,
        Verb::Stop => client.stop(&targets, true, false).await,
        Verb::Restart => client.restart(&targets, true).await,
        Verb::Hold => client.hold(&targets, None).await,
        Verb::Unhold => client.unhold(&targets).await,
    };
    let (text, well) = match outcomes {
        Ok(outcomes) => order.outcome(&outcomes),
        Err(error) => (
            format!("{} {}: {error}", order.verb.name(), order.target),
            false,
        ),
    };
    // Nobody listens any more when the program ends.
    to.send(News::Done { text, well }).await.ok();
}
