//! A message as the log services read it: its text, class and level, and what is wrong with it.

use fathom_formats::km3net::{LogMessage, LogSource};
use fathom_kernel::Frame;

use crate::index::Level;
use crate::line::read_line;

/// Reason by which messages count whose bytes are no UTF-8: they are shown all the same, with a sign in
/// the place of what cannot be read.
const NOT_UTF8: &str = "not_utf8";

/// A message that was read.
pub(crate) struct Reading<'a> {
    message: LogMessage<'a>,
    /// The class in front, where the message is a line of a log file.
    class: Option<LogSource>,
    is_text: bool,
}

impl<'a> Reading<'a> {
    pub(crate) fn of(frame: &'a Frame) -> Self {
        let text = std::str::from_utf8(&frame.body).ok();
        let line = text.and_then(read_line);
        Self {
            message: LogMessage::decode(line.map_or(&frame.body, |(_, text)| text.as_bytes())),
            class: line.map(|(class, _)| class),
            is_text: text.is_some(),
        }
    }

    /// Returns the reason why it cannot be read as it should.
    pub(crate) fn fault(&self) -> Option<&'static str> {
        (!self.is_text).then_some(NOT_UTF8)
    }

    pub(crate) fn about(&self) -> (LogSource, Level) {
        let class = self.class.unwrap_or_else(|| self.message.source());
        (class, Level::of(&self.message))
    }

    pub(crate) fn text(&self) -> &str {
        self.message.text()
    }
}

#[cfg(test)]
mod tests {
    use fathom_kernel::{Timestamp, tags};

    use super::*;

    #[test]
    fn the_class_of_a_line_of_a_log_file_is_the_one_in_brackets() {
        let about = |text: &'static str| {
            let frame = Frame {
                source: "test".into(),
                tag: tags::MSG,
                received: Timestamp::UNIX_EPOCH,
                body: text.into(),
            };
            let reading = Reading::of(&frame);
            (reading.about().0, reading.text().to_owned())
        };
        let line = about("MSG.log [DataWriter]: 1 10.0.0.1 F001 ERROR x");
        let text = "1 10.0.0.1 F001 ERROR x".to_owned();
        assert_eq!(line, (LogSource::DataWriter, text.clone()));
        assert_eq!(
            about("1 10.0.0.1 F001 ERROR x"),
            (LogSource::DataFilter, text)
        );
        let other = "MSG.log [New]: x";
        assert_eq!(about(other), (LogSource::Other, other.to_owned()));
    }
}
