//! Takes the records of a piece of code, for tests.

use fathom_kernel::{LogLine, LogStream, Timestamp};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};

struct Recording<T>(T);

impl<S: Subscriber, T: Fn(&LogLine) + 'static> Layer<S> for Recording<T> {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        (self.0)(&LogLine {
            service: "a".to_owned(),
            incarnation: 1,
            stream: LogStream::Record,
            line: event.metadata().name().to_owned(),
            at: Timestamp::UNIX_EPOCH,
        });
    }
}

/// Runs a piece of code; each of its records is taken at once, as one of the service `a`.
pub(super) fn recorded<R>(
    take: impl Fn(&LogLine) + Send + Sync + 'static,
    code: impl FnOnce() -> R,
) -> R {
    let subscriber = tracing_subscriber::registry().with(Recording(take));
    tracing::subscriber::with_default(subscriber, code)
}
