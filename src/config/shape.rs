//! What the schemas say of a key: which types it takes, its default, unit and text.

use schemars::{JsonSchema, Schema, schema_for};
use serde_json::Value;

use super::control::ControlDoc;
use super::document::{DetectorDoc, OwnLogDoc, ServiceDoc, StackDoc};
use super::groups::GroupDoc;
use super::plan::HealthPlan;
use crate::registry;

/// One place in a schema.
#[derive(Debug, Clone)]
pub(crate) struct Shape {
    root: Value,
    here: Value,
}

/// How a text given for a key must be understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Takes {
    /// The key takes texts only.
    Text,
    /// The key takes no texts.
    NoText,
    /// Both, or nothing is known.
    Either,
}

impl Shape {
    /// Looks at a schema from its root.
    pub(crate) fn of(schema: Schema) -> Self {
        let root = Value::from(schema);
        let here = root.clone();
        Self { root, here }.resolved()
    }

    /// Looks at the schema of a struct.
    pub(crate) fn of_type<T: JsonSchema>() -> Self {
        Self::of(schema_for!(T))
    }

    /// Looks at a key of a table.
    pub(crate) fn key(&self, name: &str) -> Option<Self> {
        let here = self
            .here
            .get("properties")
            .and_then(|keys| keys.get(name))
            .or_else(|| {
                self.here
                    .get("additionalProperties")
                    .filter(|v| v.is_object())
            })?;
        Some(self.at(here))
    }

    /// Returns the keys of a table, sorted.
    pub(crate) fn keys(&self) -> Vec<String> {
        let keys = self.here.get("properties").and_then(Value::as_object);
        keys.map(|keys| keys.keys().cloned().collect())
            .unwrap_or_default()
    }

    /// Returns a text that the schema holds here, such as its `description` or `unit`.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.here.get(name)?.as_str()
    }

    /// Returns the default.
    pub(crate) fn default(&self) -> Option<&Value> {
        self.here.get("default").filter(|value| !value.is_null())
    }

    /// Tells whether a table must have this key.
    pub(crate) fn requires(&self, name: &str) -> bool {
        let required = self.here.get("required").and_then(Value::as_array);
        required.is_some_and(|names| names.iter().any(|n| n == name))
    }

    /// Tells whether a text fits.
    pub(crate) fn takes(&self) -> Takes {
        let mut types = Vec::new();
        self.types(&self.here, &mut types);
        types.retain(|name| name != "null");
        let texts = types.iter().filter(|name| *name == "string").count();
        match (texts, types.len()) {
            (_, 0) => Takes::Either,
            (0, _) => Takes::NoText,
            (some, all) if some == all => Takes::Text,
            _ => Takes::Either,
        }
    }

    /// Returns all types that fit, for people: `number`, `duration`, `list of text`.
    pub(crate) fn type_name(&self) -> String {
        if let Some(words) = self.words() {
            return words.join(" | ");
        }
        match self.text("format") {
            Some("span") => return "duration".into(),
            Some("size") => return "size".into(),
            _ => {}
        }
        let variants = self.here.get("anyOf").or_else(|| self.here.get("oneOf"));
        if let Some(variants) = variants.and_then(Value::as_array) {
            let named = variants.iter().map(|here| self.at(here).type_name());
            let mut named: Vec<String> = named.filter(|name| name != "null").collect();
            named.dedup();
            return named.join(" | ");
        }
        let mut types = Vec::new();
        self.types(&self.here, &mut types);
        if types.len() > 1 {
            types.retain(|name| name != "null");
        }
        let named = types.iter().map(|name| match name.as_str() {
            "string" => "text".to_owned(),
            "boolean" => "true | false".to_owned(),
            "array" => match self.items() {
                Some(item) => format!("list of {}", item.type_name()),
                None => "list".to_owned(),
            },
            "object" => "table".to_owned(),
            other => other.to_owned(),
        });
        named.collect::<Vec<_>>().join(" | ")
    }

    /// Looks at another part of the same schema.
    fn at(&self, here: &Value) -> Self {
        let (root, here) = (self.root.clone(), here.clone());
        Self { root, here }.resolved()
    }

    /// Looks at the elements of a list.
    pub(crate) fn items(&self) -> Option<Self> {
        self.here.get("items").map(|here| self.at(here))
    }

    /// Returns the words of an enum of texts.
    fn words(&self) -> Option<Vec<String>> {
        if let Some(words) = self.here.get("enum").and_then(Value::as_array) {
            return words.iter().map(|w| w.as_str().map(quoted)).collect();
        }
        let variants = self.here.get("oneOf")?.as_array()?;
        variants
            .iter()
            .map(|v| v.get("const")?.as_str().map(quoted))
            .collect()
    }

    fn types(&self, schema: &Value, found: &mut Vec<String>) {
        if let Some(target) = self.target(schema) {
            return self.types(target, found);
        }
        match schema.get("type") {
            Some(Value::String(name)) => found.push(name.clone()),
            Some(Value::Array(names)) => {
                found.extend(names.iter().filter_map(|n| n.as_str().map(str::to_owned)));
            }
            _ => {}
        }
        if schema.get("const").is_some_and(Value::is_string) && schema.get("type").is_none() {
            found.push("string".into());
        }
        for word in ["anyOf", "oneOf"] {
            let variants = schema.get(word).and_then(Value::as_array);
            variants
                .into_iter()
                .flatten()
                .for_each(|v| self.types(v, found));
        }
    }

    fn target<'a>(&'a self, schema: &Value) -> Option<&'a Value> {
        let pointer = schema.get("$ref")?.as_str()?.strip_prefix('#')?;
        self.root.pointer(pointer)
    }

    /// Follows a reference or an optional value to what it stands for, keeping what is said here.
    fn resolved(mut self) -> Self {
        let optional = self
            .here
            .get("anyOf")
            .and_then(Value::as_array)
            .and_then(|variants| {
                let mut some = variants
                    .iter()
                    .filter(|v| v.get("type") != Some(&"null".into()));
                some.next().filter(|_| some.next().is_none()).cloned()
            });
        let target = self.target(&self.here).cloned().or(optional);
        let Some(Value::Object(mut target)) = target else {
            return self;
        };
        if let Value::Object(said) = &self.here {
            let kept = said
                .iter()
                .filter(|(k, _)| !matches!(k.as_str(), "$ref" | "anyOf"));
            target.extend(kept.map(|(k, v)| (k.clone(), v.clone())));
        }
        self.here = Value::Object(target);
        self.resolved()
    }
}

fn quoted(word: &str) -> String {
    format!("\"{word}\"")
}

/// Returns the shape at a path of keys in the file; `kind_of` gives the kind of a service.
pub(crate) fn at<'a>(path: &[&str], kind_of: impl Fn(&str) -> Option<&'a str>) -> Option<Shape> {
    let (start, rest) = match path {
        ["stack", rest @ ..] => (Shape::of_type::<StackDoc>(), rest),
        ["detector", rest @ ..] => (Shape::of_type::<DetectorDoc>(), rest),
        ["control", rest @ ..] => (Shape::of_type::<ControlDoc>(), rest),
        ["log", rest @ ..] => (Shape::of_type::<OwnLogDoc>(), rest),
        ["health", rest @ ..] => (Shape::of_type::<HealthPlan>(), rest),
        ["group", _, rest @ ..] => (Shape::of_type::<GroupDoc>(), rest),
        ["service", name, rest @ ..] => {
            let common = Shape::of_type::<ServiceDoc>();
            match rest.first().and_then(|key| common.key(key)) {
                Some(_) => (common, rest),
                None => (options(kind_of(name)?)?, rest),
            }
        }
        _ => return None,
    };
    rest.iter().try_fold(start, |shape, key| shape.key(key))
}

/// Returns the shape of a kind's options.
pub(crate) fn options(kind: &str) -> Option<Shape> {
    registry::find(kind).map(|kind| Shape::of((kind.schema)()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_knows_what_a_text_means() {
        let takes = |path: &[&str]| at(path, |_| None).map(|shape| shape.takes());
        assert_eq!(takes(&["stack", "name"]), Some(Takes::Text));
        assert_eq!(takes(&["log", "backups"]), Some(Takes::NoText));
        assert_eq!(takes(&["service", "x", "command"]), Some(Takes::Either));
        assert_eq!(takes(&["service", "x", "run"]), Some(Takes::Text));
        assert_eq!(
            takes(&["service", "x", "backoff", "factor"]),
            Some(Takes::NoText)
        );
        assert_eq!(
            takes(&["service", "x", "backoff", "max"]),
            Some(Takes::Text)
        );
        assert_eq!(takes(&["detector", "dus"]), Some(Takes::NoText));
        assert_eq!(takes(&["nowhere"]), None);
    }

    #[test]
    fn types_are_named_for_people() {
        let name = |path: &[&str]| at(path, |_| None).unwrap().type_name();
        assert_eq!(name(&["stack", "shutdown_limit"]), "duration");
        assert_eq!(name(&["log", "max"]), "size");
        assert_eq!(name(&["log", "format"]), "\"text\" | \"json\"");
        assert_eq!(name(&["service", "x", "exit_ok"]), "list of integer");
        assert_eq!(name(&["service", "x", "autostart"]), "true | false");
    }
}
