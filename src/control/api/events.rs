//! What happens in the stack: past and present, as server-sent events or over a web socket.

use std::collections::VecDeque;
use std::sync::Arc;

use axum::extract::State;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use axum::response::sse::Event as Sse;
use fathom_kernel::{Event, Filter, Limits, Subscription, Timestamp, Topic};
use futures_util::stream;
use serde::Serialize;
use tokio::sync::OwnedSemaphorePermit;

use super::Failure;
use super::extract::Query;
use super::streams::{place, sse};
use crate::chronicle::{Batch, Entry, Follow, Since, Subject, Subjects};
use crate::control::console::Console;
use crate::control::rights::is_own_page;
use crate::control::wire::{
    Announcement, EventQuery, LAGGED_EVENT, LOG_EVENT, Lagged, OUTPUT_EVENT, Problem,
};

/// Bounds of one follower's queue of outputs and log lines; the oldest are dropped, and the follower
/// is told.
const FLEETING: Limits = Limits {
    messages: 1024,
    bytes: 4 << 20,
};

/// Sends what happens as server-sent events, each with its number as its id: `life`, `command`,
/// `outcome`, `verdict`, `incident`, `alarm`, … and, without a number, `output` and `log`. A client
/// that comes back says by `Last-Event-ID` (or `since`) where it was. One that reads too slowly
/// misses the oldest events and gets a `lagged` event with their number.
#[utoipa::path(
    get,
    path = "/api/events",
    params(
        EventQuery,
        ("Last-Event-ID" = Option<String>, Header, description = "number of the last event received; weighs more than `since`"),
    ),
    responses(
        (status = 200, body = String, content_type = "text/event-stream"),
        (status = 503, body = Problem, description = "too many followers"),
    )
)]
pub(super) async fn events(
    State(console): State<Console>,
    Query(query): Query<EventQuery>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let follower = Follower::new(&console, &query, &headers)?;
    let events = stream::unfold(follower, async |mut follower| {
        let news = follower.next().await?;
        Some((news.sse(), follower))
    });
    Ok(sse(&console, events))
}

/// The same over a web socket: each message is one event as in the files of the event log.
#[utoipa::path(
    get,
    path = "/api/events/ws",
    params(EventQuery),
    responses(
        (status = 101, description = "messages are JSON: `{\"sequence\":17,\"event\":\"life\",\"data\":{…}}`"),
        (status = 403, body = Problem, description = "a page of another site asks"),
        (status = 503, body = Problem, description = "too many followers"),
    )
)]
pub(super) async fn socket(
    State(console): State<Console>,
    Query(query): Query<EventQuery>,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, axum::extract::ws::rejection::WebSocketUpgradeRejection>,
) -> Result<Response, Failure> {
    // Browsers let any page open a web socket to anywhere; only the header tells whose page it is.
    if !is_own_page(&headers) {
        let refused = "web sockets are for pages of this address";
        return Err(Failure::new(StatusCode::FORBIDDEN, "origin", refused));
    }
    let upgrade = upgrade.map_err(|error| Failure::bad_request(error.body_text()))?;
    let follower = Follower::new(&console, &query, &headers)?;
    let closing = console.closing().clone();
    Ok(upgrade.on_upgrade(async move |socket| {
        // The end of the server ends the stream like the end of the events.
        closing
            .run_until_cancelled_owned(converse(socket, follower))
            .await;
    }))
}

async fn converse(mut socket: WebSocket, mut follower: Follower) {
    loop {
        // Both are cancel-safe: nothing is taken before it is returned.
        let sent = tokio::select! {
            news = follower.next() => match news {
                Some(news) => socket.send(Message::text(news.line())).await,
                None => {
                    let frame = CloseFrame { code: close_code::NORMAL, reason: "the end".into() };
                    // Whoever does not hear it has gone.
                    socket.send(Message::Close(Some(frame))).await.ok();
                    return;
                }
            },
            // Pings are answered while reading; whatever else the client says has no meaning.
            said = socket.recv() => match said {
                Some(Ok(Message::Close(_)) | Err(_)) | None => return,
                Some(Ok(_)) => Ok(()),
            },
        };
        if sent.is_err() {
            return;
        }
    }
}

/// One client.
struct Follower {
    log: Follow,
    /// Outputs and log lines, which are not numbered and not kept.
    fleeting: Option<Subscription>,
    batch: VecDeque<Arc<Event>>,
    /// Losses of these already told of.
    missed: u64,
    ready: VecDeque<News>,
    /// Ends when the past is sent.
    only_past: bool,
    _place: OwnedSemaphorePermit,
}

/// What is sent to a client at once.
enum News {
    Entry(Arc<Entry>),
    Fleeting(&'static str, String),
}

impl Follower {
    fn new(console: &Console, query: &EventQuery, headers: &HeaderMap) -> Result<Self, Failure> {
        let (subjects, fleeting) = topics(&query.topics)?;
        let since = since(query, headers)?;
        let place = place(console)?;
        let parts = console.parts();
        let fleeting = (query.follow && fleeting != Filter::none())
            .then(|| parts.bus.subscribe("control/events", fleeting, FLEETING));
        Ok(Self {
            log: parts.chronicle.follow(since, subjects),
            fleeting,
            batch: VecDeque::new(),
            missed: 0,
            ready: VecDeque::new(),
            only_past: !query.follow,
            _place: place,
        })
    }

    /// Waits for news; cancel-safe.
    async fn next(&mut self) -> Option<News> {
        loop {
            if let Some(news) = self.ready.pop_front() {
                return Some(news);
            }
            if self.only_past && self.log.is_up_to_date() {
                return None;
            }
            let (missed, entries) = tokio::select! {
                biased;
                batch = past_or_next(&mut self.log, self.only_past) => (batch.missed, batch.entries),
                true = receive(&mut self.fleeting, &mut self.batch) => {
                    (self.take_fleeting(), Vec::new())
                }
            };
            // What was missed is older than all that comes now.
            if missed > 0 {
                let lagged = News::of(LAGGED_EVENT, &Lagged { missed });
                self.ready.push_front(lagged);
            }
            self.ready.extend(entries.into_iter().map(News::Entry));
        }
    }

    /// Makes news of a batch; returns what was lost before it.
    fn take_fleeting(&mut self) -> u64 {
        let news = self.batch.drain(..).filter_map(|event| match &*event {
            Event::Output(change) => Some(News::of(OUTPUT_EVENT, &Announcement::from(change))),
            Event::Log(line) => Some(News::of(LOG_EVENT, line)),
            Event::Frame(_) | Event::Alarm(_) | Event::Notice(_) | Event::Life(_) => None,
        });
        self.ready.extend(news);
        let lost = self.fleeting.as_ref().map_or(0, |s| s.lost().messages);
        lost - std::mem::replace(&mut self.missed, lost)
    }
}

impl News {
    fn of(name: &'static str, data: &impl Serialize) -> Self {
        Self::Fleeting(name, serde_json::to_string(data).unwrap_or_default())
    }

    fn sse(&self) -> Sse {
        match self {
            Self::Entry(entry) => Sse::default()
                .id(entry.sequence.to_string())
                .event(entry.what.subject().word())
                .data(entry.data()),
            // JSON has no line ends of its own, so it is one `data:` line.
            Self::Fleeting(name, data) => Sse::default().event(name).data(data),
        }
    }

    fn line(&self) -> String {
        match self {
            Self::Entry(entry) => serde_json::to_string(&**entry).unwrap_or_default(),
            Self::Fleeting(name, data) => format!("{{\"event\":\"{name}\",\"data\":{data}}}"),
        }
    }
}

/// Takes what there is of the past, or waits for what happens. Cancel-safe.
async fn past_or_next(log: &mut Follow, only_past: bool) -> Batch {
    match only_past {
        true => log.more().await,
        false => log.next().await,
    }
}

/// Receives a batch; waits for ever without a subscription.
async fn receive(from: &mut Option<Subscription>, batch: &mut VecDeque<Arc<Event>>) -> bool {
    match from {
        Some(subscription) => subscription.recv_batch(batch).await,
        None => std::future::pending().await,
    }
}

/// Reads the topics a follower wants: numbered events, and outputs and log lines.
fn topics(topics: &str) -> Result<(Subjects, Filter), Failure> {
    if topics.is_empty() {
        return Ok((Subject::ALL.into(), Filter::none().and(Topic::Output)));
    }
    let (mut subjects, mut fleeting) = (Subjects::new(), Filter::none());
    for topic in topics.split(',').map(str::trim) {
        match topic {
            OUTPUT_EVENT => fleeting = fleeting.and(Topic::Output),
            LOG_EVENT => fleeting = fleeting.and(Topic::Log),
            word => {
                let subject = word.parse::<Subject>().map_err(|_| {
                    let known = Subject::ALL.map(Subject::word).join(", ");
                    Failure::bad_request(format!(
                        "no topic {word:?}; there are {known}, {OUTPUT_EVENT}, {LOG_EVENT}"
                    ))
                })?;
                subjects.insert(subject);
            }
        }
    }
    Ok((subjects, fleeting))
}

/// Finds out where a follower begins.
fn since(query: &EventQuery, headers: &HeaderMap) -> Result<Since, Failure> {
    let header = headers.get("last-event-id").map(|value| value.to_str());
    let text = match header {
        Some(Ok(text)) => text,
        Some(Err(_)) => return Err(Failure::bad_request("Last-Event-ID is not a number")),
        None => query.since.as_str(),
    };
    if text.is_empty() {
        return Ok(match query.last {
            0 => Since::Now,
            count => Since::Last(count),
        });
    }
    if let Ok(number) = text.parse() {
        return Ok(Since::Number(number));
    }
    let time: Result<Timestamp, _> = text.parse();
    time.map(Since::Time).map_err(|_| {
        Failure::bad_request(format!(
            "since {text:?} is neither a number nor a time such as 2026-11-21T05:00:00Z"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_follower_begins_where_it_was() {
        let query = |since: &str, last| EventQuery {
            topics: String::new(),
            last,
            follow: true,
            since: since.to_owned(),
        };
        let mut headers = HeaderMap::new();
        let begin = |query: &EventQuery, headers: &HeaderMap| since(query, headers).unwrap();
        assert_eq!(begin(&query("", 0), &headers), Since::Now);
        assert_eq!(begin(&query("", 5), &headers), Since::Last(5));
        assert_eq!(begin(&query("17", 5), &headers), Since::Number(17));
        let time = Since::Time(Timestamp::from_second(1).unwrap());
        assert_eq!(begin(&query("1970-01-01T00:00:01Z", 0), &headers), time);
        headers.insert("last-event-id", "20".parse().unwrap());
        assert_eq!(begin(&query("17", 5), &headers), Since::Number(20));
        headers.insert("last-event-id", "x".parse().unwrap());
        assert!(since(&query("", 0), &headers).is_err());
    }
}
