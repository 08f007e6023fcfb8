//! What is said of a service: the texts that supervisord's users know.

use std::time::{Duration, Instant};

use fathom_kernel::{Exit, State, Timestamp};
use jiff::Zoned;

use super::observed::Observed;
use super::phase::{Block, Phase};

/// Returns the text beside the state; `now` is in the time zone of who reads it.
pub(super) fn description(observed: &Observed, now: &Zoned, moment: Instant) -> String {
    match &observed.phase {
        Phase::Idle if observed.incarnation == 0 => "Not started".to_owned(),
        Phase::Idle | Phase::Done => {
            let at = observed.ended.unwrap_or(observed.since);
            date(&at.to_zoned(now.time_zone().clone()))
        }
        Phase::Waiting(Some(Block { on, fatal: false })) => format!("waiting for {on}"),
        Phase::Waiting(Some(Block { on, fatal: true })) => {
            format!("waiting for {on}, which is FATAL")
        }
        Phase::Waiting(None) | Phase::Spawning { .. } | Phase::Warming { .. } => String::new(),
        Phase::Up { pid, .. } => {
            let uptime = uptime(now.timestamp(), observed.since);
            match pid {
                0 => format!("actor, uptime {uptime}"),
                pid => format!("pid {pid}, uptime {uptime}"),
            }
        }
        Phase::Delay { retry_at } => {
            let wait = retry_at.saturating_duration_since(moment);
            let trouble = trouble(observed);
            let attempt = u64::from(observed.streak) + 1;
            format!("{trouble}, retry in {} (attempt {attempt})", rounded(wait))
        }
        Phase::Term { .. } | Phase::Kill { .. } => String::new(),
        Phase::Lost { pid: 0, .. } => "aborted and still running".to_owned(),
        Phase::Lost { pid, .. } => format!("pid {pid} killed and still exists"),
        Phase::Fatal { retry_at: None } => trouble(observed),
        Phase::Fatal { retry_at: Some(at) } => {
            let wait = at.saturating_duration_since(moment);
            format!("{}, retry in {}", trouble(observed), rounded(wait))
        }
    }
}

fn trouble(observed: &Observed) -> String {
    let text = observed.trouble.as_deref().unwrap_or("Failed");
    // The first line says what happened; the rest is in the log.
    text.lines().next().unwrap_or_default().to_owned()
}

fn rounded(wait: Duration) -> String {
    format!("{}s", wait.as_millis().div_ceil(1000))
}

fn uptime(now: Timestamp, since: Timestamp) -> String {
    let seconds = now.duration_since(since).as_secs().max(0);
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    let clock = format!("{}:{:02}:{:02}", rest / 3600, rest / 60 % 60, rest % 60);
    match days {
        0 => clock,
        1 => format!("1 day, {clock}"),
        days => format!("{days} days, {clock}"),
    }
}

/// Returns a time as in `Nov 21 12:19 AM`, by the local clock as supervisorctl prints it.
fn date(at: &Zoned) -> String {
    at.strftime("%b %d %I:%M %p").to_string()
}

/// Says what follows a failure, by the phase that followed it.
pub(super) fn next(phase: &Phase, streak: u32, moment: Instant) -> String {
    let attempt = u64::from(streak) + 1;
    match phase {
        Phase::Waiting(_) | Phase::Spawning { .. } => format!("started again (attempt {attempt})"),
        Phase::Delay { retry_at } => {
            let wait = retry_at.saturating_duration_since(moment).as_secs_f64();
            format!("next attempt in {wait:.2} s (attempt {attempt})")
        }
        Phase::Fatal { retry_at: None } => "given up, waits for an operator".to_owned(),
        Phase::Fatal { retry_at: Some(at) } => {
            let wait = rounded(at.saturating_duration_since(moment));
            format!("given up, fresh attempts in {wait}")
        }
        Phase::Idle => "stopped, as ordered".to_owned(),
        Phase::Done => "not started again".to_owned(),
        Phase::Lost { .. } => "waits until it ends, nothing is started beside it".to_owned(),
        Phase::Term { .. } | Phase::Kill { .. } => "being ended".to_owned(),
        Phase::Warming { .. } | Phase::Up { .. } => "runs on".to_owned(),
    }
}

/// Tells whether a service has ended with a code that counts as success.
pub(super) fn is_finished(observed: &Observed, exit_ok: &[i32]) -> bool {
    observed.phase.state() == State::Exited
        && matches!(&observed.last_exit, Some(Exit::Code(code)) if exit_ok.contains(code))
}

#[cfg(test)]
mod tests {
    use fathom_kernel::Want;
    use jiff::tz::TimeZone;

    use super::*;

    fn observed(phase: Phase) -> Observed {
        Observed {
            phase,
            want: Want::Up,
            incarnation: 3,
            restarts: 2,
            streak: 2,
            since: "2026-11-21T00:19:05Z".parse().unwrap(),
            started: None,
            ended: None,
            last_exit: Some(Exit::Code(3)),
            autopsy: crate::body::Autopsy::default(),
            incident: None,
            incident_reason: None,
            trouble: Some("Exited too quickly (process log may have details)".to_owned()),
            order: 0,
            alias: None,
            flowing: false,
            idle: false,
            ends_stack: false,
        }
    }

    /// An hour east of Greenwich.
    fn local(at: &str) -> Zoned {
        let at: Timestamp = at.parse().unwrap();
        at.to_zoned(TimeZone::fixed(jiff::tz::offset(1)))
    }

    fn text(phase: Phase, now: &str) -> String {
        description(&observed(phase), &local(now), Instant::now())
    }

    #[test]
    fn texts_are_those_of_supervisorctl() {
        let up = |pid| Phase::Up {
            pid,
            stable_at: None,
        };
        let cases = [
            (
                up(611),
                "2026-11-22T08:14:14Z",
                "pid 611, uptime 1 day, 7:55:09",
            ),
            (
                up(9),
                "2026-11-23T00:19:05Z",
                "pid 9, uptime 2 days, 0:00:00",
            ),
            (up(0), "2026-11-21T00:22:17Z", "actor, uptime 0:03:12"),
            (Phase::Idle, "2026-11-23T00:19:05Z", "Nov 21 01:19 AM"),
            (
                Phase::Fatal { retry_at: None },
                "2026-11-23T00:19:05Z",
                "Exited too quickly (process log may have details)",
            ),
            (
                Phase::Waiting(Some(Block {
                    on: "ligiers:ligier".to_owned(),
                    fatal: false,
                })),
                "2026-11-23T00:19:05Z",
                "waiting for ligiers:ligier",
            ),
        ];
        for (phase, now, expected) in cases {
            assert_eq!(text(phase, now), expected);
        }
    }

    #[test]
    fn a_delay_says_when_it_ends() {
        let moment = Instant::now();
        let retry_at = moment + Duration::from_millis(3_200);
        let text = description(
            &observed(Phase::Delay { retry_at }),
            &local("2026-11-21T00:19:05Z"),
            moment,
        );
        let expected = "Exited too quickly (process log may have details), retry in 4s (attempt 3)";
        assert_eq!(text, expected);
    }
}
