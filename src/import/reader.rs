//! Reads supervisord's dialect of INI as Python's `configparser` does, keeping lines and comments.
//!
//! No crate is used for it: those that read this dialect (continued values, comments behind values
//! after a blank, `=` and `:`) throw away the comments and the line numbers that this is about.

use super::note::{At, Gravity, Notes, Subject};

/// A section as it stands in one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Section {
    /// Name, without its brackets.
    pub(super) name: String,
    /// Line of its header.
    pub(super) at: At,
    /// What stands directly above the header.
    pub(super) comments: Vec<Comment>,
    /// Options in their order.
    pub(super) entries: Vec<Entry>,
    /// Comments behind the last option.
    pub(super) tail: Vec<Comment>,
}

/// An option.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    /// Name in small letters.
    pub(super) key: String,
    /// Value; its lines are joined by line breaks.
    pub(super) value: String,
    /// Line where it begins.
    pub(super) at: At,
    /// Comments above it and beside it.
    pub(super) comments: Vec<Comment>,
}

/// A comment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Comment {
    /// Text behind the mark.
    pub(super) text: String,
    /// Line of it.
    pub(super) at: At,
    /// Stands after an empty line, an option or a header: begins a paragraph.
    pub(super) first: bool,
}

/// Reads a text; lines that cannot be understood are reported and skipped.
pub(super) fn read(text: &str, file: usize, notes: &mut Notes) -> Vec<Section> {
    let mut reader = Reader {
        at: At { file, line: 0 },
        notes,
        sections: Vec::new(),
        pending: Vec::new(),
        indent: 0,
        open: false,
        first: true,
    };
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    for line in text.lines() {
        reader.at.line += 1;
        reader.line(line);
    }
    reader.end()
}

struct Reader<'a> {
    at: At,
    notes: &'a mut Notes,
    sections: Vec<Section>,
    /// Comments whose owner has not come yet.
    pending: Vec<Comment>,
    /// Indentation of the option or header that lines are compared with.
    indent: usize,
    /// An option may be continued.
    open: bool,
    /// The next comment begins a paragraph.
    first: bool,
}

impl Reader<'_> {
    fn line(&mut self, line: &str) {
        let cut = comment_start(line).unwrap_or(line.len());
        let (value, comment) = line.split_at_checked(cut).unwrap_or((line, ""));
        let value = value.trim();
        let indent = line.chars().take_while(|c| c.is_whitespace()).count();
        let continues = self.open && indent > self.indent;
        let comment = comment.strip_prefix([';', '#']).map(|text| Comment {
            text: text.trim_end().to_owned(),
            at: self.at,
            first: self.first || !value.is_empty(),
        });
        if value.is_empty() {
            self.first = comment.is_none();
            match comment {
                Some(comment) if continues => self.beside(comment),
                Some(comment) => self.pending.push(comment),
                None => self.append(""),
            }
            return;
        }
        self.first = true;
        if continues {
            self.append(value);
        } else {
            self.indent = indent;
            match header(value) {
                Some(name) => self.section(name),
                None => self.option(value),
            }
        }
        if let Some(comment) = comment {
            self.beside(comment);
        }
    }

    /// Keeps a comment with the option or header it stands beside.
    fn beside(&mut self, comment: Comment) {
        let Some(section) = self.sections.last_mut() else {
            return self.pending.push(comment);
        };
        match section.entries.last_mut() {
            Some(entry) if self.open => entry.comments.push(comment),
            _ => section.comments.push(comment),
        }
    }

    /// Continues the value of an option.
    fn append(&mut self, line: &str) {
        let entry = self.sections.last_mut().and_then(|s| s.entries.last_mut());
        if let Some(entry) = entry.filter(|_| self.open) {
            entry.value.push('\n');
            entry.value.push_str(line);
        }
    }

    fn section(&mut self, name: &str) {
        self.open = false;
        let mut comments = std::mem::take(&mut self.pending);
        if let Some(previous) = self.sections.last_mut() {
            // What stands apart belongs to what came before.
            let own = comments.iter().rposition(|comment| comment.first);
            let touches = comments
                .last()
                .is_some_and(|comment| comment.at.line + 1 == self.at.line);
            let own = own.filter(|_| touches).unwrap_or(comments.len());
            let rest = comments.split_off(own);
            previous.tail.append(&mut comments);
            comments = rest;
        }
        self.sections.push(Section {
            name: name.to_owned(),
            at: self.at,
            comments,
            entries: Vec::new(),
            tail: Vec::new(),
        });
    }

    fn option(&mut self, line: &str) {
        let name = self.sections.last().map(|section| section.name.clone());
        let wrong = Subject {
            at: self.at,
            section: name.as_deref().unwrap_or_default(),
            option: None,
        };
        let Some(section) = self.sections.last_mut() else {
            let message = "stands before the first section";
            return self.notes.add(Gravity::Wrong, wrong, message);
        };
        let Some((key, value)) = line.split_once(['=', ':']) else {
            self.open = false;
            let message = "neither a section nor an option with a value";
            return self.notes.add(Gravity::Wrong, wrong, message);
        };
        if key.trim().is_empty() {
            self.open = false;
            let message = "a value without the name of an option";
            return self.notes.add(Gravity::Wrong, wrong, message);
        }
        self.open = true;
        section.entries.push(Entry {
            key: key.trim_end().to_lowercase(),
            value: value.trim().to_owned(),
            at: self.at,
            comments: std::mem::take(&mut self.pending),
        });
    }

    fn end(mut self) -> Vec<Section> {
        if let Some(section) = self.sections.last_mut() {
            section.tail.append(&mut self.pending);
        }
        for entry in self.sections.iter_mut().flat_map(|s| &mut s.entries) {
            entry.value.truncate(entry.value.trim_end().len());
        }
        self.sections
    }
}

/// Returns the name in a header; what stands behind the last bracket is of no account.
fn header(line: &str) -> Option<&str> {
    let (name, _) = line.strip_prefix('[')?.rsplit_once(']')?;
    (!name.is_empty()).then_some(name)
}

/// Returns where the comment of a line begins: at a mark that begins the line or follows a blank.
///
/// In each round the next place of each mark is looked at, and the first round that finds one ends
/// the search, even if the other mark stands further left: so does `configparser`.
fn comment_start(line: &str) -> Option<usize> {
    let blanks = line.len() - line.trim_start().len();
    if line.trim_start().starts_with(['#', ';']) {
        return Some(blanks);
    }
    let mut places = [line.match_indices('#'), line.match_indices(';')];
    loop {
        let round = places.each_mut().map(Iterator::next);
        let follows_blank = |at: &usize| {
            let before = line.split_at_checked(*at).map(|(before, _)| before);
            before.is_some_and(|before| before.ends_with(char::is_whitespace))
        };
        let marks = round.iter().flatten().map(|(at, _)| *at);
        if let Some(at) = marks.filter(follows_blank).min() {
            return Some(at);
        }
        if round.iter().all(Option::is_none) {
            return None;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn sections(text: &str) -> (Vec<Section>, Vec<String>) {
        let mut notes = Notes::default();
        let sections = read(text, 0, &mut notes);
        let notes = notes.finish(&[PathBuf::from("f")]);
        (sections, notes.iter().map(ToString::to_string).collect())
    }

    fn values(text: &str) -> Vec<(String, String)> {
        let (sections, notes) = sections(&format!("[s]\n{text}"));
        assert_eq!(notes, Vec::<String>::new());
        let entries = sections.into_iter().flat_map(|s| s.entries);
        entries.map(|e| (e.key, e.value)).collect()
    }

    /// The expected values are those of Python 3's `RawConfigParser` with both inline marks.
    #[test]
    fn values_are_read_as_by_configparser() {
        for (text, key, value) in [
            ("a=b", "a", "b"),
            ("A : b=c", "a", "b=c"),
            ("a = b ; c", "a", "b"),
            ("a=b;c", "a", "b;c"),
            ("a=b #c", "a", "b"),
            ("a=b#c", "a", "b#c"),
            ("a=b;c ;d #e", "a", "b;c ;d"),
            ("a=\n  b,\n  c", "a", "\nb,\nc"),
            ("a=b\n\n  c\n\n", "a", "b\n\nc"),
            ("a=b\n ; no\n  c ; no", "a", "b\nc"),
            ("  a=b\n   c", "a", "b\nc"),
            ("a=", "a", ""),
            ("a b = c", "a b", "c"),
        ] {
            assert_eq!(values(text), [(key.to_owned(), value.to_owned())], "{text}");
        }
    }

    #[test]
    fn comments_stay_with_what_they_are_about() {
        let (found, _) = sections(
            "; file\n\n; of s\n[s] ; beside\n;of a\na=1 ; behind\n; end\n\n;of t\n[t]\n; last\n",
        );
        let texts = |comments: &[Comment]| -> Vec<String> {
            comments
                .iter()
                .map(|comment| comment.text.clone())
                .collect()
        };
        assert_eq!(texts(&found[0].comments), [" file", " of s", " beside"]);
        assert_eq!(texts(&found[0].entries[0].comments), ["of a", " behind"]);
        assert_eq!(texts(&found[0].tail), [" end"]);
        assert_eq!(texts(&found[1].comments), ["of t"]);
        assert_eq!(texts(&found[1].tail), [" last"]);
        assert_eq!(found[1].at.line, 10);
    }

    #[test]
    fn what_is_neither_section_nor_option_is_reported_with_its_line() {
        let (found, notes) = sections("x=1\n[s]\nword\n=v\na=1\n[]\n");
        assert_eq!(found[0].entries.len(), 1);
        assert_eq!(notes.len(), 4, "{notes:?}");
        assert!(notes[0].starts_with("f:1: wrong"), "{notes:?}");
        assert!(notes[1].starts_with("f:3: [s] wrong"), "{notes:?}");
    }
}
