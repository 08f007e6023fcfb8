//! Lines to TOML text.

use toml::Value;

use super::outcome::{Field, Line};

/// Keys of inner tables in the order of the documentation.
const ORDER: [&str; 9] = [
    "signal", "wait", "group", "restarts", "period", "target", "max", "backups", "stderr",
];

/// Writes lines; runs of empty ones become one.
pub(super) fn write(lines: &[Line]) -> String {
    let mut text = String::new();
    for line in lines {
        match line {
            Line::Gap if text.is_empty() || text.ends_with("\n\n") => continue,
            Line::Gap => {}
            Line::Comment(comment) => text.push_str(&remark(comment)),
            Line::Header(parts) => text.push_str(&header(parts)),
            Line::OffHeader(parts) => text.push_str(&off(&header(parts))),
            Line::Field(line) => text.push_str(&field(line)),
            Line::Off(line) => text.push_str(&off(&field(line))),
        }
        text.push('\n');
    }
    text.truncate(text.trim_end().len());
    text.push('\n');
    text
}

fn header(parts: &[String]) -> String {
    let parts: Vec<String> = parts.iter().map(|part| key(part)).collect();
    format!("[{}]", parts.join("."))
}

/// Writes a comment; TOML allows no control characters in one.
fn remark(text: &str) -> String {
    let allowed = |c: char| if c.is_control() && c != '\t' { ' ' } else { c };
    let text: String = text.chars().map(allowed).collect();
    let space = if text.is_empty() || text.starts_with([' ', '\t', '#']) {
        ""
    } else {
        " "
    };
    format!("#{space}{text}").trim_end().to_owned()
}

/// Makes a comment of something that may have several lines.
fn off(text: &str) -> String {
    let lines: Vec<String> = text.lines().map(|line| format!("#{line}")).collect();
    lines.join("\n")
}

fn field(field: &Field) -> String {
    format!("{} = {}", field.key, value(&field.value))
}

/// Writes a value on one line, tables in braces.
fn value(of: &Value) -> String {
    match of {
        Value::Table(table) => {
            let mut entries: Vec<_> = table.iter().collect();
            entries.sort_by_key(|(name, _)| ORDER.iter().position(|known| known == name));
            let entries = entries.into_iter();
            let entries = entries.map(|(name, of)| format!("{} = {}", key(name), value(of)));
            format!("{{ {} }}", entries.collect::<Vec<_>>().join(", "))
        }
        Value::Array(list) => {
            let items: Vec<String> = list.iter().map(value).collect();
            format!("[{}]", items.join(", "))
        }
        Value::String(text) => quoted(text),
        other => other.to_string(),
    }
}

/// Writes a text on one line: as it is where quotes allow, else with the escapes that JSON and TOML
/// have in common.
fn quoted(text: &str) -> String {
    let is_odd = |c: char| c.is_control();
    if text.contains(['"', '\\']) && !text.contains('\'') && !text.contains(is_odd) {
        return format!("'{text}'");
    }
    match serde_json::to_string(text) {
        // JSON lets this one stand.
        Ok(json) if !json.contains('\u{7f}') => json,
        _ => Value::String(text.to_owned()).to_string(),
    }
}

/// Writes a key, in quotes where it must be.
fn key(name: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    match !name.is_empty() && name.chars().all(bare) {
        true => name.to_owned(),
        false => quoted(name),
    }
}
