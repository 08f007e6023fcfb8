//! Alarms: the engine that makes alarms of conditions, and the ways they reach people.
//!
//! Monitors say *conditions* on the bus: what holds, and what does not any more. Kind `alarms` (one
//! per stack) makes alarms of them and of what it sees of the stack itself; each change of an alarm
//! is a [`fathom_kernel::Notice`] on the bus. The kinds `alarm_*` pass notices on to people.
//!
//! The engine judges no data: that is what monitors are for. It is called by the supervisor through
//! [`KINDS`], and answers `list`, `history`, `acknowledge`, `resolve`, `mute`, `unmute` and `test`.

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
mod sink;
mod web;

use fathom_kernel::Kind;

pub(crate) use find::find_engine;
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
    .in_section("ELOGService"),
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
