//! What an operator orders by key, and what became of it in one line.

use fathom_kernel::{Outcome, Verdict};

/// What is done with services.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verb {
    Start,
    Stop,
    Restart,
    Hold,
    Unhold,
}

impl Verb {
    /// Returns its word.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Restart => "restart",
            Self::Hold => "hold",
            Self::Unhold => "unhold",
        }
    }
}

/// An order for one service or one group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Order {
    pub(super) verb: Verb,
    pub(super) target: String,
}

impl Order {
    /// Returns the question before it is carried out.
    pub(super) fn question(&self) -> String {
        let Self { verb, target } = self;
        match verb {
            Verb::Hold => format!("hold {target}: leave its health alone until it is released?"),
            Verb::Unhold => format!("unhold {target}: let its health count again?"),
            _ => format!("{} {target}?", verb.name()),
        }
    }

    /// Returns what became of it, and whether it went well.
    pub(super) fn outcome(&self, outcomes: &[Outcome]) -> (String, bool) {
        let Self { verb, target } = self;
        let (good, bad): (Vec<_>, Vec<_>) = outcomes.iter().partition(|outcome| is_good(outcome));
        let text = match (good.as_slice(), bad.as_slice()) {
            ([], []) => format!("{} {target}: nothing to do", verb.name()),
            ([one], []) => line(one),
            (many, []) => format!("{} {target}: {} services done", verb.name(), many.len()),
            (good, [first, ..]) => {
                let (failed, all) = (bad.len(), bad.len() + good.len());
                let of_how_many = if all > 1 {
                    format!(" ({failed} of {all})")
                } else {
                    String::new()
                };
                format!("{}{of_how_many}", line(first))
            }
        };
        (text, bad.is_empty())
    }
}

fn line(outcome: &Outcome) -> String {
    let text = format!(
        "{}: {}",
        outcome.name,
        outcome.result.word().replace('_', " ")
    );
    match outcome.message.is_empty() {
        true => text,
        false => format!("{text}, {}", outcome.message),
    }
}

fn is_good(outcome: &Outcome) -> bool {
    !matches!(
        outcome.result,
        Verdict::SpawnError
            | Verdict::AbnormalTermination
            | Verdict::TimedOut
            | Verdict::BadSignal
            | Verdict::Failed
    )
}
