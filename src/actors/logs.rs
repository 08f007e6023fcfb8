//! Commands about the logs of services and their standard input.

use actix::{AsyncContext, Context, WrapFuture};
use fathom_kernel::{Answer, ControlError, Outcome, Reply, Verdict};
use tokio::sync::oneshot;

use super::messages::{Feed, Refusal};
use super::supervisor::{Supervisor, answer};
use super::target;
use crate::logs::{LogFile, Past, Question};
use crate::telemetry::shown;

/// Most lines of a log returned at once.
const TAIL_LINES_MAX: usize = 100_000;

type To = oneshot::Sender<Answer>;

/// What is done with log files.
#[derive(Debug, Clone, Copy)]
pub(super) enum Chore {
    /// Empty them.
    Clear,
    /// Begin new ones.
    Rotate,
}

impl Supervisor {
    /// Returns the last lines of a log; the supervisor's own for the empty name.
    pub(super) fn tail(&self, name: &str, lines: usize, reply: To) {
        let records = &self.world.records;
        let lines = lines.min(TAIL_LINES_MAX);
        let name = match target::resolve(&self.plan, &[name.to_owned()]) {
            _ if name.is_empty() => String::new(),
            Ok(chosen) => match chosen.as_slice() {
                [index] => self.plan.services[*index].name.to_string(),
                _ => return answer(Some(reply), Err(ControlError::NoLog(name.to_owned()))),
            },
            Err(error) => return answer(Some(reply), Err(error)),
        };
        let question = Question { since: None, lines };
        let texts = |past: Past| Reply::Lines(past.lines.iter().map(shown).collect());
        if let Some(past) = records.recall(&name, question) {
            return answer(Some(reply), Ok(texts(past)));
        }
        let records = records.clone();
        tokio::task::spawn_blocking(move || {
            let past = records.look_back(&name, question);
            let said = past
                .map(texts)
                .map_err(|error| ControlError::Refused(format!("its log cannot be read: {error}")));
            answer(Some(reply), said);
        });
    }

    /// Clears or rotates logs; the supervisor's own without targets.
    pub(super) fn tend_logs(
        &self,
        chore: Chore,
        targets: &[String],
        reply: To,
        ctx: &mut Context<Self>,
    ) {
        let names: Vec<String> = match targets {
            [] => vec![String::new()],
            targets => match target::resolve(&self.plan, targets) {
                Ok(chosen) => {
                    let named = chosen
                        .iter()
                        .map(|&i| self.plan.services[i].name.to_string());
                    named.collect()
                }
                Err(error) => return answer(Some(reply), Err(error)),
            },
        };
        let (logs, records) = (self.world.logs.clone(), self.world.records.clone());
        let tend = move || {
            let one = |name: String| {
                let files = match name.as_str() {
                    "" => logs.own().cloned().into_iter().collect(),
                    name => logs.of(name).map(|logs| logs.files()).unwrap_or_default(),
                };
                let done = files.iter().try_for_each(|file| chore.on(file));
                if matches!((chore, &done), (Chore::Clear, Ok(()))) {
                    records.clear(&name);
                }
                let (result, message) = match (chore, done) {
                    (_, Err(error)) => (Verdict::Failed, error.to_string()),
                    (Chore::Clear, Ok(())) => (Verdict::Cleared, String::new()),
                    (Chore::Rotate, Ok(())) => (Verdict::Rotated, String::new()),
                };
                Outcome {
                    name,
                    result,
                    message,
                }
            };
            Reply::Done(names.into_iter().map(one).collect())
        };
        let tended = async {
            // The disk may be slow.
            let done = tokio::task::spawn_blocking(tend).await;
            answer(Some(reply), done.map_err(|_| ControlError::Deaf));
        };
        ctx.spawn(tended.into_actor(self));
    }

    /// Writes to the standard input of a service.
    pub(super) fn input(&self, name: String, text: String, reply: To, ctx: &mut Context<Self>) {
        let chosen = target::resolve(&self.plan, std::slice::from_ref(&name));
        let keeper = match chosen.as_deref() {
            Ok([index]) => self.rows[*index].keeper.clone(),
            _ => return answer(Some(reply), Err(ControlError::NoSuchName(name))),
        };
        let deliver = async move {
            let said = match keeper.send(Feed(text.into_bytes())).await {
                Ok(Ok(())) => Ok(Reply::Done(Vec::new())),
                Ok(Err(Refusal::NotRunning)) => Err(ControlError::NotRunning(name)),
                Ok(Err(Refusal::Busy)) => Err(ControlError::Refused(format!(
                    "{name} does not read its standard input"
                ))),
                Err(_) => Err(ControlError::Deaf),
            };
            answer(Some(reply), said);
        };
        ctx.spawn(deliver.into_actor(self));
    }
}

impl Chore {
    fn on(self, file: &std::sync::Arc<LogFile>) -> std::io::Result<()> {
        match self {
            Self::Clear => file.clear(),
            Self::Rotate => file.rotate_now(),
        }
    }
}
