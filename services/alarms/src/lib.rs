//! Alarms: the engine that makes alarms of conditions, and the ways they reach people.
//!
//! Monitors say *conditions* on the bus: what holds, and what does not any more. Kind `alarms` (one
//! per stack) makes alarms of them and of what it sees of the stack itself; each change of an alarm
//! is a [`fathom_kernel::Notice`] on the bus. The kinds `alarm_msg`, `alarm_mail`, `alarm_chat` and
//! `alarm_elog` pass notices on to people; `chatbot` takes people's orders from a chat, and
//! `fake_chat` is a chat to try them on.
//!
//! | Request to `alarms` | Details | Answer |
//! |---|---|---|
//! | `list` | | `alarms` (resolved ones for an hour), `mutes`, `refused` |
//! | `history` | `after`, `count` | `notices` behind a number, oldest first, and the number of the `last` |
//! | `acknowledge`, `resolve` | `id`, or `rule` and `subject` with wildcards; `by` | the numbers of the `alarms` meant, and the `mutes` |
//! | `mute` | `rule`, `subject`, `for` (`2h`) or `until` (`18:00 UTC`, `2026-11-21 18:00`, `2026-11-21T18:00:00Z`), `by`, `reason` | the same |
//! | `unmute` | `id` of the mute, or `rule` and `subject`; `by` | the same |
//! | `test` | `severity`, `by` | the same; a notice goes to all sinks |
//!
//! Sinks answer `queue` (what waits, was sent, was dropped, and why nothing is sent) and `retry`;
//! `chatbot` answers `audit`, `shifters` and `hearing` (by what the chat is heard, since when, and why
//! not by its websocket).
//!
//! The engine judges no data: that is what monitors are for. State sizes: an alarm takes about 400
//! bytes (at most 10,000 by default), a row of the history about 300 (2,000), a waiting notice of a
//! sink about 300 (10,000: one of every module of the largest detector, and more).
#![warn(missing_docs)]

mod alarm_chat;
mod alarm_elog;
mod alarm_mail;
mod alarm_msg;
mod alarms;
mod chat;
mod chatbot;
mod engine;
mod fake_chat;
mod find;
mod idle;
mod kept;
mod own_certificate;
mod retry;
mod sink;
mod small_http;
mod web;

use fathom_kernel::Kind;

pub(crate) use find::{ask, find, find_engine};
pub(crate) use idle::idle;

/// The kinds of this crate.
pub const KINDS: &[Kind] = &[
    Kind::service::<alarms::Options, alarms::Alarms>(
        "alarms",
        "alarms out of the conditions of all monitors and of the stack itself",
    )
    .reading_board(),
    Kind::service::<alarm_msg::Options, alarm_msg::AlarmMsg>(
        "alarm_msg",
        "alarms as lines of the detector's log (MSG)",
    ),
    Kind::service::<alarm_mail::Options, alarm_mail::AlarmMail>("alarm_mail", "alarms by e-mail"),
    Kind::service::<alarm_chat::Options, alarm_chat::AlarmChat>(
        "alarm_chat",
        "alarms in a channel of Rocket.Chat, Mattermost or Slack",
    )
    .in_section("Alerts"),
    Kind::service::<alarm_elog::Options, alarm_elog::AlarmElog>(
        "alarm_elog",
        "alarms as entries of an ELOG logbook, with pictures",
    )
    .in_section("ELOGService")
    // km3mon names the logbook where its events come from.
    .borrowing("ZTPlot", "logbook"),
    Kind::service::<chatbot::Options, chatbot::Chatbot>(
        "chatbot",
        "takes orders of shifters and operators from a chat",
    )
    .in_section("Alerts"),
    Kind::service::<fake_chat::Options, fake_chat::FakeChat>(
        "fake_chat",
        "a Rocket.Chat server that is not there",
    ),
];
