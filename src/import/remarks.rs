//! Comments of the original, with options and programs that were switched off in it.

use super::context::{Context, key_of};
use super::groups::plain_name;
use super::note::{At, Notes};
use super::options::Options;
use super::outcome::{Field, Line};
use super::program::{Process, Program};
use super::reader::{Comment, Entry, Section, read};

/// Returns comments as lines: prose as it is, options and programs that were switched off in the
/// new form and still off.
pub(super) fn lines(
    comments: &[Comment],
    live: Option<Live<'_, '_>>,
    cx: &Context<'_>,
) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut rest = comments;
    while let Some((comment, behind)) = rest.split_first() {
        if comment.first && !lines.is_empty() {
            lines.push(Line::Gap);
        }
        let paragraph = 1 + behind.iter().take_while(|comment| !comment.first).count();
        if let Some(off) = program(rest.get(..paragraph).unwrap_or_default(), cx) {
            lines.extend(off);
            rest = rest.get(paragraph..).unwrap_or_default();
            continue;
        }
        match live.and_then(|live| live.option(comment)) {
            Some((fields, beside)) => {
                lines.extend(
                    beside
                        .into_iter()
                        .map(|comment| Line::Comment(comment.text)),
                );
                lines.extend(fields.into_iter().map(Line::Off));
            }
            None => lines.push(Line::Comment(comment.text.clone())),
        }
        rest = behind;
    }
    lines
}

/// A program that comments may be about.
#[derive(Debug, Clone, Copy)]
pub(super) struct Live<'a, 'b> {
    pub(super) program: Program<'a, 'b>,
    pub(super) process: &'b Process,
    pub(super) number: (i64, u64),
}

impl Live<'_, '_> {
    /// Returns what an option that is switched off would change; `None` when it is no option, or
    /// one that changes nothing.
    /// With it come the comments beside it.
    fn option(&self, comment: &Comment) -> Option<(Vec<Field>, Vec<Comment>)> {
        let entry = option(&comment.text, comment.at)?;
        key_of(&entry.key)?;
        let options = self.program.options.with(&entry);
        let program = Program {
            options: &options,
            ..self.program
        };
        let with = program.process(self.number, &mut Notes::default())?;
        let fields = with.fields.into_iter();
        let changed: Vec<Field> = fields
            .filter(|field| !self.process.fields.contains(field))
            .collect();
        (!changed.is_empty()).then(|| (changed, entry.comments.clone()))
    }
}

/// Reads `key=value`; prose with an equals sign in it has blanks in the key.
fn option(text: &str, at: At) -> Option<Entry> {
    let sections = read(
        &format!("[x]\n{}", text.trim()),
        at.file,
        &mut Notes::default(),
    );
    let entry = sections.into_iter().next()?.entries.into_iter().next()?;
    Some(Entry { at, ..entry })
}

/// Returns a program that is switched off as a whole.
fn program(paragraph: &[Comment], cx: &Context<'_>) -> Option<Vec<Line>> {
    let header = paragraph.first()?.text.trim_start();
    let name = header.strip_prefix("[program:")?.split(']').next()?;
    let text: Vec<&str> = paragraph.iter().map(|c| c.text.as_str()).collect();
    let at = paragraph.first()?.at;
    // The header stands at the left margin, what continues an option does not.
    let text = format!("{header}\n{}", text.get(1..)?.join("\n"));
    let sections: Vec<Section> = read(&text, at.file, &mut Notes::default());
    let [section] = sections.as_slice() else {
        return None;
    };
    let options = Options::of(section, cx.defaults);
    let name = plain_name(name);
    let program = Program {
        cx,
        options: &options,
        name: &name,
        group: &name,
    };
    let process = program
        .processes(&mut Notes::default())
        .into_iter()
        .next()?;
    let mut lines = vec![Line::OffHeader(vec!["service".to_owned(), name])];
    let inner = section.entries.iter().flat_map(|entry| &entry.comments);
    lines.extend(inner.map(|comment| Line::Comment(comment.text.clone())));
    lines.extend(process.fields.into_iter().map(Line::Off));
    Some(lines)
}
