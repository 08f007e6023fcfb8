//! A message as the log services read it: its text, class and level, and what is wrong with it.

use fathom_formats::km3net::{LogMessage, LogSource};
use fathom_kernel::Frame;

use crate::index::Level;

/// Reason by which messages count whose bytes are no UTF-8: they are shown all the same, with a sign in
/// the place of what cannot be read.
const NOT_UTF8: &str = "not_utf8";

/// A message that was read.
pub(crate) struct Reading<'a> {
    message: LogMessage<'a>,
    is_text: bool,
}

impl<'a> Reading<'a> {
    pub(crate) fn of(frame: &'a Frame) -> Self {
        Self {
            message: LogMessage::decode(&frame.body),
            is_text: std::str::from_utf8(&frame.body).is_ok(),
        }
    }

    /// Returns the reason why it cannot be read as it should.
    pub(crate) fn fault(&self) -> Option<&'static str> {
        (!self.is_text).then_some(NOT_UTF8)
    }

    pub(crate) fn about(&self) -> (LogSource, Level) {
        (self.message.source(), Level::of(&self.message))
    }

    pub(crate) fn text(&self) -> &str {
        self.message.text()
    }
}
