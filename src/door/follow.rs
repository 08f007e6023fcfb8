//! The bus as server-sent events.

use std::collections::VecDeque;
use std::sync::Arc;

use axum::response::sse::Event as Sse;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use fathom_formats::controlhost::Tag;
use fathom_kernel::{Event, Filter, Limits, Subscription, Topic};
use futures_util::{Stream, StreamExt as _, stream};
use serde_json::{Value, json};
use tokio::sync::OwnedSemaphorePermit;

use super::guests::Guest;

/// Bounds of what waits for one stream; the oldest events are dropped and counted.
const LIMITS: Limits = Limits {
    messages: 65_536,
    bytes: 64 << 20,
};

/// Reads what a guest wants: tags of frames, and topics, both separated by commas.
pub(super) fn filter_of(tags: &str, topics: &str) -> Result<Filter, String> {
    let words = |text: &str| -> Vec<String> {
        let words = text.split(',').map(str::trim);
        words
            .filter(|word| !word.is_empty())
            .map(str::to_owned)
            .collect()
    };
    let tags = words(tags).into_iter().map(|word| {
        let tag: Result<Tag, _> = word.parse();
        tag.map_err(|error| format!("tag `{word}`: {error}"))
    });
    let mut filter = Filter::frames(tags.collect::<Result<Vec<_>, _>>()?);
    for word in words(topics) {
        let topic: Topic = serde_json::from_value(Value::from(word.as_str())).map_err(|_| {
            format!("topic `{word}`, expected frame, output, alarm, notice, life or log")
        })?;
        // Without tags, all frames.
        filter = match topic {
            Topic::Frame => Filter::all_frames().union(&filter),
            Topic::Output | Topic::Alarm | Topic::Notice | Topic::Life | Topic::Log => {
                filter.and(topic)
            }
        };
    }
    if filter == Filter::frames([]) {
        return Err("nothing to follow, expected `tags` or `topics`".to_owned());
    }
    Ok(filter)
}

/// Follows the bus until the guest is gone.
pub(super) fn follow(
    guest: &Guest,
    filter: Filter,
    place: OwnedSemaphorePermit,
) -> impl Stream<Item = Sse> + Send + 'static {
    // Under the name of the service, so that its queue and its drops stand in the status.
    let stream = Following {
        subscription: guest.cx.subscribe(filter, LIMITS),
        batch: VecDeque::new(),
        lost: 0,
        counters: guest.cx.counters.clone(),
        _place: place,
    };
    stream::unfold(stream, Following::next)
        .flat_map(stream::iter)
        .take_until(guest.gone.clone().cancelled_owned())
}

struct Following {
    subscription: Subscription,
    batch: VecDeque<Arc<Event>>,
    /// Drops that the guest was told of.
    lost: u64,
    counters: Arc<fathom_kernel::Counters>,
    _place: OwnedSemaphorePermit,
}

impl Following {
    async fn next(mut self) -> Option<(Vec<Sse>, Self)> {
        if !self.subscription.recv_batch(&mut self.batch).await {
            return None;
        }
        let mut messages = Vec::with_capacity(self.batch.len() + 1);
        let lost = self.subscription.lost().messages;
        if lost > self.lost {
            messages.push(message("lagged", &json!({ "missed": lost - self.lost })));
            self.lost = lost;
        }
        let bytes: usize = self.batch.iter().map(|event| event.cost_bytes()).sum();
        self.counters
            .received(self.batch.len() as u64, bytes as u64);
        messages.extend(self.batch.drain(..).map(|event| told(&event)));
        Some((messages, self))
    }
}

fn told(event: &Event) -> Sse {
    match event {
        Event::Frame(frame) => {
            let frame = json!({
                "source": &*frame.source,
                "tag": frame.tag.to_string(),
                "received": frame.received.to_string(),
                "body": BASE64_STANDARD.encode(&frame.body),
            });
            message("frame", &frame)
        }
        Event::Output(change) => {
            let output = json!({
                "service": &*change.service,
                "version": change.version,
                "updated": change.updated.to_string(),
                "output": &*change.output,
            });
            message("output", &output)
        }
        Event::Alarm(alarm) => message("alarm", &json!(alarm)),
        Event::Notice(notice) => message("notice", &json!(notice)),
        Event::Life(life) => message("life", &json!(life)),
        Event::Log(line) => message("log", &json!(line)),
    }
}

fn message(name: &str, data: &Value) -> Sse {
    Sse::default().event(name).data(data.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wanted_is_read_or_named() {
        let filter = filter_of("IO_SUM, IO_EVT", "alarm,life").expect("right");
        assert!(filter.wants_topic(Topic::Alarm) && !filter.wants_topic(Topic::Log));
        let all = filter_of("", "frame").expect("right");
        assert_eq!(all, Filter::all_frames());
        for (tags, topics) in [("", ""), ("TOO_LONG_A_TAG", ""), ("", "nonsense")] {
            assert!(filter_of(tags, topics).is_err(), "{tags} {topics}");
        }
    }
}
