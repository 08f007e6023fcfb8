//! Owns the terminal and turns the loop: news and keys in, pictures out.

use std::io::IsTerminal as _;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::Args;
use crossterm::event::{Event, EventStream};
use fathom_kernel::Timestamp;
use futures_util::StreamExt as _;
use ratatui::DefaultTerminal;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinSet;

use super::draw::draw;
use super::fetch::{carry_out, logs, look};
use super::keys::Wish;
use super::orders::Order;
use super::state::{News, Said, State};
use crate::cli::ctl::Door;
use crate::control::Client;

/// News that wait to be shown; who brings more waits.
const NEWS_MAX: usize = 256;

/// News taken before the next picture.
const AT_ONCE: usize = 256;

/// Least time between two pictures, so that a slow line carries what it can.
const PICTURE: Duration = Duration::from_millis(50);

/// Time between two pictures when nothing happens: ages go on.
const IDLE: Duration = Duration::from_secs(1);

/// Orders under way at a time; further ones are refused.
const ORDERS_MAX: usize = 8;

/// Arguments of `fathom top`.
#[derive(Debug, Args)]
#[command(after_help = "\
The arrow keys choose a service or a group; `?` shows all keys. Commands are asked for before they are
carried out. NO_COLOR takes the colours away.")]
pub(crate) struct Top {
    #[command(flatten)]
    door: Door,
}

impl Top {
    /// Shows the stack until it is told to quit.
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        if !std::io::stdout().is_terminal() || !std::io::stdin().is_terminal() {
            bail!("top needs a terminal; elsewhere: fathom ctl status -l");
        }
        let client = self.door.client()?;
        let colours = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        let state = State::new(self.door.place().to_string(), colours);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("cannot start the runtime")?;
        let mut screen = Screen::open()?;
        runtime.block_on(watch_stack(&mut screen, client, state))?;
        Ok(ExitCode::SUCCESS)
    }
}

/// The terminal; given back as it was, also when the program fails or panics.
struct Screen {
    terminal: DefaultTerminal,
}

impl Screen {
    fn open() -> anyhow::Result<Self> {
        let terminal = ratatui::try_init().context("cannot use the terminal")?;
        Ok(Self { terminal })
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        ratatui::restore();
    }
}

async fn watch_stack(screen: &mut Screen, client: Client, mut state: State) -> anyhow::Result<()> {
    let (to, mut news) = mpsc::channel(NEWS_MAX);
    let (want_log, wanted_log) = watch::channel(None);
    let wake = Arc::new(Notify::new());
    // All end with this function.
    let mut tasks = JoinSet::new();
    tasks.spawn(look(client.clone(), wake.clone(), to.clone()));
    tasks.spawn(logs(client.clone(), wanted_log, to.clone()));
    let hands = Hands { client, to, wake };
    let mut keys = EventStream::new();
    let mut ends = [
        signal(SignalKind::terminate())?,
        signal(SignalKind::hangup())?,
        signal(SignalKind::interrupt())?,
    ];
    loop {
        state.now = Timestamp::now();
        screen.terminal.draw(|frame| draw(frame, &state))?;
        let [terminate, hangup, interrupt] = &mut ends;
        let mut wish = None;
        // Every branch may be given up: nothing is taken from a queue before it is chosen.
        tokio::select! {
            biased;
            _ = terminate.recv() => return Ok(()),
            _ = hangup.recv() => return Ok(()),
            _ = interrupt.recv() => return Ok(()),
            event = keys.next() => match event {
                Some(Ok(Event::Key(key))) => wish = state.key(key),
                // A new size is seen by the next picture.
                Some(Ok(_)) => {}
                // The terminal is gone.
                Some(Err(_)) | None => return Ok(()),
            },
            some = news.recv() => {
                take(&mut state, some, &mut news);
                tokio::time::sleep(PICTURE).await;
            }
            () = tokio::time::sleep(IDLE) => {}
        }
        match wish {
            Some(Wish::Quit) => return Ok(()),
            Some(Wish::Do(order)) => hands.carry_out(order, &mut state, &mut tasks),
            None => {}
        }
        let wanted = state.wanted_log();
        want_log.send_if_modified(|now| {
            let other = *now != wanted;
            now.clone_from(&wanted);
            other
        });
        while tasks.try_join_next().is_some() {}
    }
}

/// What orders are carried out with.
struct Hands {
    client: Client,
    to: mpsc::Sender<News>,
    wake: Arc<Notify>,
}

impl Hands {
    /// Begins with an order, unless too many are under way.
    fn carry_out(&self, order: Order, state: &mut State, tasks: &mut JoinSet<()>) {
        if state.busy > ORDERS_MAX {
            return state.hear(News::Done {
                text: "too much under way; wait for it".to_owned(),
                well: false,
            });
        }
        let (client, to, wake) = (self.client.clone(), self.to.clone(), self.wake.clone());
        state.said = Some(Said {
            text: format!("{} {} ...", order.verb.name(), order.target),
            well: true,
        });
        tasks.spawn(async move {
            carry_out(client, order, to).await;
            wake.notify_one();
        });
    }
}

/// Takes news, with all others that have come meanwhile.
fn take(state: &mut State, first: Option<News>, news: &mut mpsc::Receiver<News>) {
    let more = std::iter::from_fn(|| news.try_recv().ok());
    for news in first.into_iter().chain(more).take(AT_ONCE) {
        state.hear(news);
    }
}
