//! `chatbot`: takes the orders of shifters and operators from a chat.
//!
//! Orders go to the supervisor and the alarm engine through the control handle, in the name of who
//! gave them; no shell is started. Who may do what goes by exact user names; every order stands in
//! the audit trail, refused ones included.

mod audit;
mod carry_out;
mod hearing;
mod options;
mod order;
mod reply;
mod roles;
mod service;

pub(crate) use options::Options;
pub(crate) use service::Chatbot;
