//! The options of a kind, one by one, for people who write a file.

use fathom_kernel::Kind;
use serde::Serialize;
use serde_json::Value;

use super::shape::Shape;

/// One option of a kind. Options of tables within are named `table.option`, those of lists of tables
/// `list[].option`.
#[derive(Debug, Clone, Serialize)]
pub struct KindOption {
    /// Name of the key.
    pub name: String,
    /// Type for people.
    pub type_name: String,
    /// Default, as TOML.
    pub default: Option<String>,
    /// Unit.
    pub unit: Option<String>,
    /// It must be given.
    pub required: bool,
    /// What it means.
    pub text: String,
}

/// Returns all options of a kind, sorted by name.
pub fn kind_options(kind: &Kind) -> Vec<KindOption> {
    let mut options = Vec::new();
    collect(&Shape::of((kind.schema)()), "", None, &mut options);
    options
}

fn collect(shape: &Shape, prefix: &str, defaults: Option<&Value>, options: &mut Vec<KindOption>) {
    for key in shape.keys() {
        let Some(inner) = shape.key(&key) else {
            continue;
        };
        let name = format!("{prefix}{key}");
        let default = inner.default().or_else(|| defaults?.get(&key));
        if !inner.keys().is_empty() {
            collect(&inner, &format!("{name}."), default, options);
            continue;
        }
        let items = inner.items().filter(|items| !items.keys().is_empty());
        options.push(KindOption {
            type_name: inner.type_name(),
            default: default.filter(|value| !value.is_null()).map(to_toml),
            unit: inner.text("unit").map(str::to_owned),
            required: shape.requires(&key),
            text: inner.text("description").unwrap_or_default().to_owned(),
            name: name.clone(),
        });
        if let Some(items) = items {
            collect(&items, &format!("{name}[]."), None, options);
        }
    }
}

/// Writes a value of JSON as one of TOML.
fn to_toml(value: &Value) -> String {
    match value {
        Value::Object(entries) if entries.is_empty() => "{}".to_owned(),
        Value::Object(entries) => {
            let entries = entries
                .iter()
                .map(|(key, value)| format!("{key} = {}", to_toml(value)));
            format!("{{ {} }}", entries.collect::<Vec<_>>().join(", "))
        }
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(to_toml).collect();
            format!("[{}]", items.join(", "))
        }
        other => other.to_string(),
    }
}
