//! The `tracing` layer: finds out which service wrote a record and sends it where it belongs.

use std::cell::Cell;
use std::sync::{Arc, Weak};

use fathom_kernel::{LogLine, LogStream, Timestamp};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::registry::LookupSpan;

use super::records::Inner;
use super::rendering::Record;
use super::setup::Sink;

/// Target of the spans that mark a service.
pub(super) const TARGET: &str = "fathom::service";

/// Sends each record to the sinks and to the records of its service.
pub(super) struct Tagging {
    pub(super) sinks: Vec<Sink>,
}

/// The mark of a service on its span.
#[derive(Clone)]
struct Mark {
    service: Arc<str>,
    incarnation: u64,
    stack: Weak<Inner>,
}

thread_local! {
    /// Set while a record is handed on: what that writes itself is not handed on again.
    static BUSY: Cell<bool> = const { Cell::new(false) };
}

impl<S: Subscriber + for<'l> LookupSpan<'l>> Layer<S> for Tagging {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if attributes.metadata().target() != TARGET {
            return;
        }
        let mut values = MarkValues::default();
        attributes.record(&mut values);
        let (Some(span), Some(stack)) = (context.span(id), Inner::of(values.stack)) else {
            return;
        };
        span.extensions_mut().insert(Mark {
            service: values.service.into(),
            incarnation: values.incarnation,
            stack: Arc::downgrade(&stack),
        });
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        if BUSY.replace(true) {
            return;
        }
        let mark = owner(event, &context);
        let (writer, incarnation, stacks): (_, _, Vec<_>) = match mark {
            Some(mark) => {
                let stack = mark.stack.upgrade();
                (mark.service, mark.incarnation, stack.into_iter().collect())
            }
            None => ("".into(), 0, Inner::all()),
        };
        let record = Record::new(event, &writer, Timestamp::now());
        for sink in &self.sinks {
            sink.write(&record);
        }
        for stack in stacks {
            stack.push(&LogLine {
                service: (*writer).to_owned(),
                incarnation,
                stream: LogStream::Record,
                line: record.text(&writer),
                at: record.at,
            });
        }
        BUSY.set(false);
    }
}

/// Finds the innermost mark around an event; without one it belongs to every stack's supervisor.
fn owner<S: Subscriber + for<'l> LookupSpan<'l>>(
    event: &Event<'_>,
    context: &Context<'_, S>,
) -> Option<Mark> {
    let mut scope = context.event_scope(event)?;
    scope.find_map(|span| span.extensions().get::<Mark>().cloned())
}

#[derive(Default)]
struct MarkValues {
    service: String,
    incarnation: u64,
    stack: u64,
}

impl Visit for MarkValues {
    fn record_debug(&mut self, _: &Field, _: &dyn std::fmt::Debug) {}

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "service" {
            value.clone_into(&mut self.service);
        }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        match field.name() {
            "stack" => self.stack = value,
            "incarnation" => self.incarnation = value,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use fathom_kernel::{Bus, Event as BusEvent, Filter, Limits, Topic};
    use tracing::{Instrument, info, warn};
    use tracing_subscriber::prelude::*;

    use super::super::{Records, shown};
    use super::*;

    fn texts(records: &Records, service: &str) -> Vec<String> {
        let tail = records.tail(service, 10).unwrap_or_default();
        tail.iter().map(|line| line.line.clone()).collect()
    }

    #[tokio::test]
    async fn a_record_belongs_to_the_service_whose_future_wrote_it() {
        let subscriber = tracing_subscriber::registry().with(Tagging { sinks: Vec::new() });
        let _guard = tracing::subscriber::set_default(subscriber);
        let (one, other) = (Records::new(Bus::new()), Records::new(Bus::new()));
        async { warn!(dropped = 3, "fell behind") }
            .instrument(one.span("monitoring:dom_rates", 3))
            .await;
        info!(service = "web", from = "STOPPED", "changed its state");
        assert_eq!(
            texts(&one, "monitoring:dom_rates"),
            ["WARN fell behind dropped=3"]
        );
        assert!(texts(&other, "monitoring:dom_rates").is_empty());
        assert_eq!(
            texts(&other, ""),
            ["INFO web: changed its state from=STOPPED"]
        );
        let tail = one.tail("", 1).expect("it wrote");
        assert!(shown(&tail[0]).ends_with("Z INFO web: changed its state from=STOPPED"));
    }

    #[test]
    fn a_record_is_an_event_of_the_bus() {
        let subscriber = tracing_subscriber::registry().with(Tagging { sinks: Vec::new() });
        let _guard = tracing::subscriber::set_default(subscriber);
        let bus = Bus::new();
        let mut events = bus.subscribe("t", Filter::none().and(Topic::Log), Limits::default());
        let records = Records::new(bus);
        records.span("a", 3).in_scope(|| info!("hello"));
        let mut batch = Default::default();
        assert!(events.try_batch(&mut batch));
        assert!(
            matches!(&*batch[0], BusEvent::Log(l) if l.service == "a" && l.incarnation == 3 && l.line == "INFO hello")
        );
    }
}
