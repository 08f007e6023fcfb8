//! The contract between the supervisor and its services.
//!
//! A service is anything that implements [`Service`]; a monitor is a pure state machine that
//! implements [`Monitor`] and is turned into a service by [`Driver`]. Both see the world through
//! [`ServiceCx`]: the [`Bus`] of events, the [`Board`] of latest outputs, counters, a clock, a stop
//! signal. This crate knows no actors, no HTTP and no file formats; the supervisor builds contexts,
//! every other crate only uses them.
#![warn(missing_docs)]

mod address;
mod alarm;
mod board;
mod bus;
mod by_hand;
mod changes;
mod checkpoint;
mod claim;
mod clock;
mod conditions;
pub mod contract;
mod control;
mod counters;
mod detector;
mod driver;
mod event;
mod fetch;
mod file;
mod filter;
mod kind;
mod monitor;
mod notice;
mod output;
mod passwords;
mod quantity;
mod service;
mod standing;
mod status;
mod sync;
pub mod view;

pub use address::Addresses;
pub use alarm::{Alarm, Severity};
pub use board::{Board, Entry};
pub use bus::{Bus, Limits, Lost, SubscriberStatus, Subscription, Uplink};
pub use by_hand::ByHand;
pub use changes::{
    Available, Changes, ConfigFault, ConfigStatus, Consequence, Expected, FieldChange, GroupChange,
    GroupSummary, ServiceChange,
};
pub use checkpoint::{Checkpoint, CheckpointError, CheckpointStore, Saved};
pub use claim::{Claim, Claimed};
pub use clock::Clock;
pub use conditions::Conditions;
pub use control::{
    Answer, Ask, Caller, Command, ControlError, ControlHandle, Outcome, Reply, Verdict,
};
pub use counters::{Counters, CountersSnapshot};
pub use detector::DetectorFeed;
pub use driver::Driver;
pub use event::{Event, Frame, LifeChange, LogLine, LogStream, OutputChange};
pub use fathom_formats::controlhost::{Tag, TagError, tags};
pub use fetch::{Content, Fetch, FetchError, Fetched, Fetcher, Location, World};
pub use file::{FileEdit, write_files};
pub use filter::{Filter, Topic, Topics};
pub use jiff::Timestamp;
pub use kind::{Factory, FromConfig, Kind, MakeByHand, Options, OptionsError, Setup};
pub use monitor::{FileLine, Monitor, Outputs, Persist, Recalled};
pub use notice::{Notice, Stage};
pub use output::{Losses, Output};
pub use passwords::{with_passwords_starred, without_passwords};
pub use quantity::{QuantityError, Size, Span};
pub use service::{
    BoxFuture, Exit, Outside, Request, Service, ServiceCx, ServiceError, blocking, chain,
};
pub use status::{
    BudgetStatus, GroupStatus, Health, Hold, RuleStatus, ServiceStatus, StackStatus, State, Want,
    WatchStatus,
};
