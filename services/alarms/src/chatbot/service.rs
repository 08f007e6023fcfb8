//! The bot as a service: listens, heeds, answers, keeps its state.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use fathom_kernel::{
    BoxFuture, FromConfig, Request, Service, ServiceCx, ServiceError, Setup, Timestamp,
};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tracing::{Instrument as _, info, warn};

use super::audit::{Desk, Row};
use super::carry_out::carry_out;
use super::hearing::Heard;
use super::order::{HELP, Order, addressed};
use super::roles::{Role, names, needed, refusal};
use super::{Options, reply};
use crate::alarm_chat::channel;
use crate::chat::{Chat, ChatError, Ears, Said, Senses, Transport};
use crate::{idle, retry};

/// Time between two looks at what is to be done.
const TICK: Duration = Duration::from_millis(200);
/// An order that changes something is not carried out when it was given longer ago (s): what was
/// right then may be wrong now.
const LATE_AFTER_S: i64 = 120;
/// Orders carried out at a time; further ones are refused.
const BUSY_MAX: usize = 4;
/// Messages waiting for the chat; the oldest are dropped and counted.
const WAITING_MAX: usize = 100;
/// Wait after the first failure of the chat; it doubles with each further one.
const RETRY_FIRST: Duration = Duration::from_secs(2);
/// Longest wait between two attempts.
const RETRY_MOST: Duration = Duration::from_secs(300);
/// Time between two versions of the audit trail when nothing changes.
const SHOW_EVERY: Duration = Duration::from_secs(30);

/// The service.
pub(crate) struct Chatbot {
    options: Options,
}

impl FromConfig<Options> for Chatbot {
    fn check(options: &Options, _: &Setup) -> Result<(), String> {
        options.problem().map_or(Ok(()), Err)
    }

    fn from_config(options: &Options, _: &Setup) -> Self {
        Self {
            options: options.clone(),
        }
    }
}

impl Service for Chatbot {
    fn run(self: Box<Self>, cx: ServiceCx) -> BoxFuture<'static, Result<(), ServiceError>> {
        let options = self.options;
        if !options.enabled {
            return Box::pin(idle(cx));
        }
        Box::pin(async move {
            let (ears, bound) = open_ears(&options, &cx).await?.unzip();
            let (transport, account) = (options.transport, options.account());
            let (ca_file, checkpoint) = (options.ca_file.clone(), cx.checkpoint.clone());
            let senses = Senses {
                listening: Some(options.listening(cx.counters.clone())),
                ears,
            };
            let begun = tokio::task::spawn_blocking(move || {
                (
                    channel(transport, account, ca_file, senses),
                    checkpoint.load(),
                )
            });
            let (chat, saved) = begun.await.map_err(ServiceError::new)?;
            let snapshot = saved.unwrap_or_else(|error| {
                warn!(%error, "kept state cannot be read, starting without it");
                fathom_kernel::Saved::default()
            });
            let desk = snapshot
                .snapshot
                .map(|bytes| serde_json::from_slice(&bytes));
            let desk: Desk = desk.and_then(Result::ok).unwrap_or_default();
            let chat = chat.map_err(ServiceError::new)?;
            if let Some(bound) = bound {
                cx.addresses.announce(&cx.name, bound);
            }
            let bot = Bot {
                since: desk.newest.unwrap_or_else(|| cx.clock.now()),
                heard: Heard::new(chat.hearing(), cx.clock.now()),
                chat: Some(chat),
                desk,
                options,
                talking: JoinSet::new(),
                doing: JoinSet::new(),
                waiting: VecDeque::new(),
                trouble: Trouble::default(),
                is_kept: true,
                shown: None,
                cx,
            };
            bot.run().await
        })
    }
}

/// Why an outgoing webhook cannot be heard.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {listen}")]
struct ListenError {
    listen: SocketAddr,
    #[source]
    source: std::io::Error,
}

/// Listens to an outgoing webhook, where the options say so; returns where as well.
async fn open_ears(
    options: &Options,
    cx: &ServiceCx,
) -> Result<Option<(Ears, SocketAddr)>, ServiceError> {
    if options.transport != Transport::Webhook {
        return Ok(None);
    }
    let listen = options.listen;
    let opened = Ears::open(options.hook(), cx.clock.clone(), cx.counters.clone()).await;
    let opened = opened.map_err(|source| ServiceError::new(ListenError { listen, source }))?;
    Ok(Some(opened))
}

/// A running bot.
struct Bot {
    cx: ServiceCx,
    options: Options,
    desk: Desk,
    /// Messages from before this are not asked for.
    since: Timestamp,
    /// Absent only while it is being spoken to or heard.
    chat: Option<Box<dyn Chat>>,
    /// One call of the chat at a time.
    talking: JoinSet<(Box<dyn Chat>, Talk)>,
    /// Orders that are being carried out.
    doing: JoinSet<(Row, Result<String, String>)>,
    /// Messages for the chat, oldest first.
    waiting: VecDeque<String>,
    heard: Heard,
    trouble: Trouble,
    is_kept: bool,
    shown: Option<Instant>,
}

/// What a call of the chat gave.
enum Talk {
    Heard(Result<Vec<Said>, ChatError>),
    Posted(Result<(), ChatError>),
}

/// How the chat fails.
#[derive(Default)]
struct Trouble {
    failures: u32,
    until: Option<Instant>,
}

impl Bot {
    async fn run(mut self) -> Result<(), ServiceError> {
        self.cx.ready();
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let stop = self.cx.stop.clone();
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                Some(request) = self.cx.inbox.recv() => self.answer(request),
                Some(talk) = self.talking.join_next() => {
                    let (chat, talk) = talk.map_err(ServiceError::new)?;
                    if self.heard.follow(chat.hearing(), self.cx.clock.now()) {
                        self.shown = None;
                    }
                    self.chat = Some(chat);
                    self.talked(talk);
                }
                Some(done) = self.doing.join_next() => {
                    let (row, result) = done.map_err(ServiceError::new)?;
                    self.finish(row, result);
                }
                _ = ticks.tick() => self.tick(),
            }
            self.keep().await?;
        }
        self.talking.shutdown().await;
        self.doing.shutdown().await;
        self.cx.addresses.withdraw(&self.cx.name);
        Ok(())
    }

    fn tick(&mut self) {
        let is_old = |at: Instant| at.elapsed() >= SHOW_EVERY;
        if self.shown.is_none_or(is_old) {
            let now = self.cx.clock.now();
            self.cx.put(self.desk.output(now));
            self.cx.put(self.heard.output(now));
            self.shown = Some(Instant::now());
        }
        if self
            .trouble
            .until
            .is_some_and(|until| until > Instant::now())
        {
            return;
        }
        let Some(mut chat) = self.chat.take() else {
            return;
        };
        let (next, since) = (self.waiting.front().cloned(), self.since);
        let talking = async move {
            let talk = match next {
                Some(text) => Talk::Posted(chat.post(&text).await),
                None => Talk::Heard(chat.read(since).await),
            };
            (chat, talk)
        };
        // What the chat says goes into the log of this service.
        self.talking.spawn(talking.in_current_span());
    }

    fn talked(&mut self, talk: Talk) {
        let result = match talk {
            Talk::Heard(Ok(said)) => {
                for said in said {
                    self.hear(&said);
                }
                Ok(())
            }
            Talk::Posted(Ok(())) => {
                self.waiting.pop_front();
                self.cx.counters.sent(1, 0);
                Ok(())
            }
            Talk::Heard(Err(error)) | Talk::Posted(Err(error)) => Err(error),
        };
        match result {
            Ok(()) if self.trouble.failures > 0 => {
                info!("the chat answers again");
                self.trouble = Trouble::default();
            }
            Ok(()) => {}
            Err(error) => {
                self.cx.counters.bad("chat not reached");
                if self.trouble.failures == 0 {
                    warn!(%error, "the chat is not reached, trying again");
                }
                let wait = retry::wait(RETRY_FIRST, RETRY_MOST, self.trouble.failures);
                self.trouble = Trouble {
                    failures: self.trouble.failures.saturating_add(1),
                    until: Some(Instant::now() + wait),
                };
            }
        }
    }

    /// Hears what was said in the channel.
    fn hear(&mut self, said: &Said) {
        self.cx.counters.received(1, said.text.len() as u64);
        if !self.desk.is_new(&said.id, said.at) {
            return;
        }
        self.changed();
        if said.user != self.options.botname
            && let Some(text) = addressed(&said.text, &self.options.botname)
        {
            self.heed(&said.user, text, said.at);
        }
    }

    /// Heeds what was said to the bot.
    fn heed(&mut self, user: &str, text: &str, at: Timestamp) {
        let now = self.cx.clock.now();
        let order = Order::read(text);
        let role = Role::of(user, &self.shifters(), &self.options.operators);
        let row = Row {
            at: now,
            user: user.to_owned(),
            role,
            order: text.to_owned(),
            result: String::new(),
        };
        if !self.desk.admit(user, self.options.per_minute, now) {
            self.cx.counters.bad("too many orders");
            return self.finish(row, Err("too many orders in a minute".to_owned()));
        }
        let needed = needed(&order);
        if role < needed {
            return self.finish(row, Err(refusal(needed).to_owned()));
        }
        if order.changes() && now.duration_since(at).as_secs() > LATE_AFTER_S {
            let why = "that was said a while ago; say it again if it still holds";
            return self.finish(row, Err(why.to_owned()));
        }
        match order {
            Order::Hello => self.finish(row, Ok(format!("hello @{user}"))),
            Order::Help => self.finish(row, Ok(HELP.to_owned())),
            Order::Who => {
                let who = self.who();
                self.finish(row, Ok(who));
            }
            Order::Unclear(why) => self.finish(row, Err(why)),
            Order::Shifters(names) => {
                self.desk.shifters = Some(names);
                let who = self.who();
                self.finish(row, Ok(who));
            }
            _ if self.doing.len() >= BUSY_MAX => {
                self.finish(row, Err("busy with other orders, try again".to_owned()));
            }
            order => {
                let (control, user) = (self.cx.control.clone(), user.to_owned());
                self.doing
                    .spawn(async move { (row, carry_out(control, order, user).await) });
            }
        }
    }

    fn shifters(&self) -> Vec<String> {
        // The names were checked when the configuration was read.
        let named = || names(&self.options.shifters).unwrap_or_default();
        self.desk.shifters.clone().unwrap_or_else(named)
    }

    fn who(&self) -> String {
        match &*self.shifters() {
            [] => "nobody is on shift".to_owned(),
            shifters => format!("on shift: {}", shifters.join(" and ")),
        }
    }

    /// Writes an order down and answers it.
    fn finish(&mut self, mut row: Row, result: Result<String, String>) {
        let text = match &result {
            Ok(text) => text.clone(),
            Err(why) => format!("sorry, {why}"),
        };
        let first = text.lines().next().unwrap_or_default();
        row.result = match &result {
            Ok(_) => first.to_owned(),
            Err(why) => format!("refused: {why}"),
        };
        let Row {
            user, order, role, ..
        } = &row;
        let (role, result) = (role.word(), &row.result);
        info!(user, role, order, result, "order from the chat");
        for message in reply::messages(user, &text) {
            self.waiting.push_back(message);
        }
        while self.waiting.len() > WAITING_MAX {
            self.waiting.pop_front();
            self.cx.counters.dropped(1, 0);
        }
        self.desk.write(row);
        self.changed();
    }

    fn changed(&mut self) {
        (self.is_kept, self.shown) = (false, None);
    }

    /// Answers `audit` with the trail, `shifters` with their names and `hearing` with how the chat is
    /// heard; `say` is how the console hears.
    fn answer(&mut self, request: Request) {
        let Request { verb, args, reply } = request;
        let answer = match &*verb {
            "audit" => Ok(self.desk.rows().map(|row| json!(row)).collect()),
            "shifters" => Ok(json!(self.shifters())),
            "hearing" => Ok(json!(self.heard)),
            "say" if self.options.transport == Transport::Console => self.say(args),
            "say" => Err("only a console is spoken to by requests".to_owned()),
            verb => Err(format!(
                "unknown request {verb:?}, expected audit, shifters, hearing or say"
            )),
        };
        // Whoever asked may have gone; then nobody needs the answer.
        reply.send(answer).unwrap_or_default();
    }

    fn say(&mut self, args: Value) -> Result<Value, String> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct SayArgs {
            user: String,
            text: String,
        }
        let SayArgs { user, text } =
            serde_json::from_value(args).map_err(|error| error.to_string())?;
        let now = self.cx.clock.now();
        self.cx.counters.received(1, text.len() as u64);
        match addressed(&text, &self.options.botname) {
            Some(order) => self.heed(&user, order, now),
            None => return Err(format!("expected @{} first", self.options.botname)),
        }
        Ok(Value::Null)
    }

    async fn keep(&mut self) -> Result<(), ServiceError> {
        if std::mem::replace(&mut self.is_kept, true) {
            return Ok(());
        }
        let bytes = serde_json::to_vec(&self.desk).map_err(ServiceError::new)?;
        let checkpoint = self.cx.checkpoint.clone();
        let saved = tokio::task::spawn_blocking(move || checkpoint.save(&bytes));
        if let Err(error) = saved.await.map_err(ServiceError::new)? {
            self.cx.counters.bad("state not kept");
            warn!(%error, "state cannot be kept; tried again with the next order");
        }
        Ok(())
    }
}
