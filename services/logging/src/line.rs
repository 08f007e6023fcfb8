//! A line of a log file: `<file> [<class>]: <message>`.

use fathom_formats::km3net::LogSource;

use crate::index::CLASSES;

/// Splits a line into its class, if it is one that we know, and the message; `None` when it does not
/// begin as one.
pub(crate) fn split_line(line: &str) -> Option<(Option<LogSource>, &str)> {
    let (file, rest) = line.split_once(" [")?;
    let is_file = file.contains('.') && !file.contains(' ');
    let (name, text) = rest.split_once("]: ").filter(|_| is_file)?;
    let class = CLASSES.into_iter().find(|class| class.as_str() == name);
    Some((class, text))
}

/// Splits a line into its class and the message; `None` when it is of no class that we know.
pub(crate) fn read_line(line: &str) -> Option<(LogSource, &str)> {
    let (class, text) = split_line(line)?;
    Some((class?, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_class_is_the_one_in_brackets_whatever_the_text_says() {
        let (class, text) = read_line("MSG.log [DataQueue]: of W01").unwrap();
        assert_eq!((class, text), (LogSource::DataQueue, "of W01"));
        for line in [
            "garbage",
            "x [DataQueue]: 1",
            "MSG.log: no class",
            "MSG.log [New]: x",
            "",
        ] {
            assert_eq!(read_line(line), None, "{line}");
        }
    }
}
