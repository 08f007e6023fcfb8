//! `msg_dumper`: the detector's log as one text file per UTC day.
//!
//! Every message becomes `MSG.log [CLASS]: <message>` in `MSG.log`, which is renamed to
//! `MSG_<day>.log` at midnight UTC, whether messages come or not. On a full disk messages wait in
//! memory, up to an option; what does not fit is counted and said in the file later.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use fathom_formats::km3net::LogMessage;
use fathom_kernel::{
    Alarm, BoxFuture, Claim, Event, Filter, FromConfig, Limits, Request, Service, ServiceCx,
    ServiceError, Setup, Severity, Size, Span, Timestamp, blocking, tags,
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tracing::warn;

use crate::archive::{Archive, ArchiveError, Names};
use crate::recent::Recent;
use crate::search::Wanted;
use crate::upkeep::{Ages, tidy};

/// Time between two looks at the date, and between two tries on a full disk.
const TICK: Duration = Duration::from_secs(1);
/// Searches at a time; further ones are refused.
const SEARCHES_MAX: usize = 2;

/// Options of `msg_dumper`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Folder of the files, relative to the stack's data folder.
    pub directory: PathBuf,
    /// First part of the file names.
    pub prefix: String,
    /// Days are compressed when older than this; `0s` is never.
    pub gzip_after: Span,
    /// Days are deleted when older than this; `0s` is never.
    pub keep: Span,
    /// Messages that wait in memory while the disk is full.
    pub waiting: Size,
    /// Messages shown on the page.
    #[schemars(range(min = 1, max = 10000))]
    pub shown: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            directory: PathBuf::from("."),
            prefix: "MSG".into(),
            gzip_after: Span::from_secs(7 * 86_400),
            keep: Span::ZERO,
            waiting: Size::from_mib(64),
            shown: 200,
        }
    }
}

/// The service.
pub struct MsgDumper {
    config: Config,
}

impl FromConfig<Config> for MsgDumper {
    fn check(config: &Config, _: &Setup) -> Result<(), String> {
        let fits = |c: char| c.is_ascii_alphanumeric() || c == '-';
        if config.prefix.is_empty() || !config.prefix.chars().all(fits) {
            return Err("prefix must be made of letters, digits and -".into());
        }
        if !(1..=10_000).contains(&config.shown) {
            return Err(format!("shown is {}, expected 1 to 10000", config.shown));
        }
        Ok(())
    }

    fn claims(config: &Config) -> Vec<Claim> {
        let path = config.directory.join(format!("{}.log", config.prefix));
        vec![
            Claim::output("messages", ""),
            Claim::file(path, "give one of them another prefix"),
        ]
    }

    fn from_config(config: &Config, _: &Setup) -> Self {
        Self {
            config: config.clone(),
        }
    }
}

impl Service for MsgDumper {
    fn run(self: Box<Self>, cx: ServiceCx) -> BoxFuture<'static, Result<(), ServiceError>> {
        Box::pin(async move {
            let folder = cx.data_dir.join(&self.config.directory);
            let names = Names::new(folder, self.config.prefix.clone());
            let (now, waiting) = (cx.clock.now(), self.config.waiting.len());
            // Subscribed first, so that nothing is missed while files are moved.
            let events = cx.subscribe(Filter::frames([tags::MSG]), Limits::default());
            let shown = self.config.shown;
            let opened = blocking(move || {
                let archive = Archive::open(names, now, waiting)?;
                Wanted::newest(shown)
                    .search(archive.names(), archive.day())
                    .map(|found| (archive, found))
            });
            let (archive, found) = opened.await?.map_err(ServiceError::new)?;
            for file in &found.unread {
                cx.counters.bad("file cannot be read");
                warn!(file, "a file of messages cannot be read to its end");
            }
            let mut recent = Recent::new(shown);
            for hit in found.messages {
                recent.show(hit.at, (hit.level, hit.class), &hit.text);
            }
            let dumper = Dumper {
                recent,
                archive: Some(archive),
                standing: None,
                is_told: false,
                tidied: None,
                work: JoinSet::new(),
                searches: Arc::new(Semaphore::new(SEARCHES_MAX)),
                config: self.config,
                cx,
            };
            dumper.run(events).await
        })
    }
}

/// A running service.
struct Dumper {
    config: Config,
    cx: ServiceCx,
    /// Absent only while a blocking task has it.
    archive: Option<Archive>,
    recent: Recent,
    /// What was said of the disk, as long as it does not take what is waiting.
    standing: Option<Alarm>,
    /// This start has said how the disk is. What the one before said of a full disk stands on the bus
    /// until then, and could not be kept on that disk.
    is_told: bool,
    /// Day of the last upkeep.
    tidied: Option<jiff::civil::Date>,
    work: JoinSet<Done>,
    searches: Arc<Semaphore>,
}

/// A piece of work beside the loop.
enum Done {
    Search,
    Upkeep(Result<(), ArchiveError>),
}

impl Dumper {
    async fn run(mut self, mut events: fathom_kernel::Subscription) -> Result<(), ServiceError> {
        self.cx.ready();
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        let stop = self.cx.stop.clone();
        let mut batch = VecDeque::new();
        loop {
            // All branches are cancel-safe: a batch is taken only when its branch completes.
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                Some(request) = self.cx.inbox.recv() => {
                    // What came before the question is part of the answer.
                    events.try_batch(&mut batch);
                    self.take(&mut batch).await?;
                    self.answer(request).await?;
                }
                Some(done) = self.work.join_next() => self.finished(done),
                _ = ticks.tick() => self.tick().await?,
                open = events.recv_batch(&mut batch) => {
                    if !open { break }
                    self.take(&mut batch).await?;
                }
            }
        }
        // What is still queued is written as well.
        batch.clear();
        while events.try_batch(&mut batch) {
            self.take(&mut batch).await?;
        }
        self.work.shutdown().await;
        let waiting = self.archive.as_ref().map_or(0, Archive::waiting_bytes);
        if waiting > 0 {
            warn!(
                bytes = waiting,
                "messages could not be written before the end"
            );
        }
        Ok(())
    }

    async fn take(&mut self, batch: &mut VecDeque<Arc<Event>>) -> Result<(), ServiceError> {
        let mut bytes = 0;
        let count = batch.len() as u64;
        for event in batch.drain(..) {
            bytes += event.cost_bytes() as u64;
            if let Event::Frame(frame) = &*event {
                self.record(&frame.body, frame.received);
            }
            if self.is_filling() {
                self.flush().await?;
            }
        }
        self.cx.counters.received(count, bytes);
        self.flush().await
    }

    /// Tells whether much is waiting although the disk takes it: in the middle of a large batch.
    fn is_filling(&self) -> bool {
        let half = self.config.waiting.len() / 2;
        let waiting = self.archive.as_ref().map_or(0, Archive::waiting_bytes);
        self.standing.is_none() && waiting > half
    }

    fn record(&mut self, body: &[u8], received: Timestamp) {
        let message = LogMessage::decode(body);
        let Some(archive) = &mut self.archive else {
            return;
        };
        match archive.take(&message, received) {
            Some(entry) => {
                let about = (entry.level, entry.class);
                self.recent.saw(received, about, message.text());
            }
            None => self.cx.counters.bad("lost on a full disk"),
        }
    }

    /// Hands the archive to a blocking thread for some work.
    async fn with_archive<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&mut Archive) -> T + Send + 'static,
    ) -> Result<Option<T>, ServiceError> {
        let Some(mut archive) = self.archive.take() else {
            return Ok(None);
        };
        let (archive, done) = blocking(move || {
            let done = work(&mut archive);
            (archive, done)
        })
        .await?;
        self.archive = Some(archive);
        Ok(Some(done))
    }

    async fn flush(&mut self) -> Result<(), ServiceError> {
        let now = self.cx.clock.now();
        let result = self
            .with_archive(move |archive| archive.turn(now).and_then(|_| archive.flush()))
            .await?;
        let error = result.and_then(Result::err);
        let firing = error.is_some();
        let was_told = std::mem::replace(&mut self.is_told, true);
        if firing != self.standing.is_some() || !was_told {
            let text = match error {
                Some(error) => ServiceError::new(error).chain(),
                None if was_told => "messages are written again".to_owned(),
                None => "messages are written since the start".to_owned(),
            };
            if was_told || firing {
                warn!(blocked = firing, text, "message file");
            }
            let alarm = Alarm {
                service: self.cx.name.to_string(),
                rule: "messages_not_written".into(),
                subject: self.config.prefix.clone(),
                severity: Severity::Alert,
                firing,
                text,
                at: now,
            };
            self.standing = Some(alarm.clone()).filter(|_| firing);
            self.cx.bus.publish(Event::Alarm(alarm));
        }
        Ok(())
    }

    async fn tick(&mut self) -> Result<(), ServiceError> {
        self.flush().await?;
        let Some(archive) = &self.archive else {
            return Ok(());
        };
        for output in self
            .recent
            .outputs_if_changed(archive.waiting_bytes(), archive.lost)
        {
            self.cx.put(output);
        }
        let day = archive.day();
        if self.tidied != Some(day) {
            self.tidied = Some(day);
            let (names, now) = (archive.names().clone(), self.cx.clock.now());
            let ages = Ages {
                gzip_days: days(self.config.gzip_after),
                delete_days: days(self.config.keep),
            };
            self.work
                .spawn_blocking(move || Done::Upkeep(tidy(&names, now, ages)));
        }
        Ok(())
    }

    fn finished(&mut self, done: Result<Done, tokio::task::JoinError>) {
        match done {
            Ok(Done::Search | Done::Upkeep(Ok(()))) => {}
            Ok(Done::Upkeep(Err(error))) => {
                self.cx.counters.bad("upkeep of past days");
                warn!(%error, cause = ?std::error::Error::source(&error), "upkeep of past days");
            }
            Err(error) => warn!(%error, "a piece of work did not end well"),
        }
    }

    async fn answer(&mut self, request: Request) -> Result<(), ServiceError> {
        let Request { verb, args, reply } = request;
        if verb == "conditions" {
            reply
                .send(Ok(json!(self.standing.as_slice())))
                .unwrap_or_default();
            return Ok(());
        }
        let permit = self.searches.clone().try_acquire_owned();
        let wanted = match (&*verb, serde_json::from_value::<Wanted>(args), permit) {
            ("search", Ok(wanted), Ok(permit)) => Ok((wanted, permit)),
            ("search", Ok(_), Err(_)) => Err("too many searches at a time, try again".to_owned()),
            ("search", Err(error), _) => Err(error.to_string()),
            _ => Err(format!(
                "unknown request {verb:?}, expected search or conditions"
            )),
        };
        self.flush().await?;
        let Some(archive) = &self.archive else {
            return Ok(());
        };
        let (names, today) = (archive.names().clone(), archive.day());
        match wanted {
            Ok((wanted, permit)) => {
                self.work.spawn_blocking(move || {
                    let answer = wanted.search(&names, today).map_err(|e| e.to_string());
                    let answer = answer
                        .and_then(|found| serde_json::to_value(found).map_err(|e| e.to_string()));
                    drop(permit);
                    // Whoever asked may have gone; then nobody needs the answer.
                    reply.send(answer).unwrap_or_default();
                    Done::Search
                });
            }
            Err(reason) => reply.send(Err(reason)).unwrap_or_default(),
        }
        Ok(())
    }
}

/// Returns whole days of a span; none for no span.
fn days(span: Span) -> Option<i64> {
    let days = span.duration().as_secs() / 86_400;
    (!span.is_zero()).then(|| i64::try_from(days).unwrap_or(i64::MAX))
}
