//! A list in a configuration: one text with blanks or commas between the words, or a list of texts.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// Words that were each read as `T`; `"IO_EVT IO_SUM"`, `"IO_EVT, IO_SUM"` and
/// `["IO_EVT", "IO_SUM"]` are the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Words<T>(pub(crate) Vec<T>);

impl<T> Default for Words<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

struct WordsVisitor<T>(PhantomData<T>);

impl<'de, T: FromStr<Err: fmt::Display>> Visitor<'de> for WordsVisitor<T> {
    type Value = Words<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text with blanks or commas between the words, or a list of texts")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Words<T>, E> {
        let mut words = Vec::new();
        read(text, &mut words)?;
        Ok(Words(words))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Words<T>, A::Error> {
        let mut words = Vec::new();
        while let Some(text) = list.next_element::<Cow<'de, str>>()? {
            read(&text, &mut words)?;
        }
        Ok(Words(words))
    }
}

fn read<T: FromStr<Err: fmt::Display>, E: Error>(text: &str, into: &mut Vec<T>) -> Result<(), E> {
    let words = text.split(|c: char| c.is_whitespace() || c == ',');
    for word in words.filter(|word| !word.is_empty()) {
        let read = word.parse();
        into.push(read.map_err(|error| E::custom(format_args!("`{word}`: {error}")))?);
    }
    Ok(())
}

impl<'de, T: FromStr<Err: fmt::Display>> Deserialize<'de> for Words<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(WordsVisitor(PhantomData))
    }
}

impl<T> JsonSchema for Words<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Words".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "anyOf": [
                { "type": "string" },
                { "type": "array", "items": { "type": "string" } },
            ],
        })
    }
}

impl<T: fmt::Display> serde::Serialize for Words<T> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(ToString::to_string))
    }
}

#[cfg(test)]
mod tests {
    use fathom_formats::controlhost::{Tag, tags};

    use super::*;

    #[test]
    fn blanks_commas_and_lists_mean_the_same() {
        let expected = Ok(Words(vec![tags::IO_EVT, tags::IO_SUM]));
        for text in [
            r#""IO_EVT IO_SUM""#,
            r#"" IO_EVT,IO_SUM""#,
            r#""IO_EVT, IO_SUM ""#,
            r#"["IO_EVT", "IO_SUM"]"#,
            r#"["IO_EVT,IO_SUM"]"#,
        ] {
            let words = serde_json::from_str::<Words<Tag>>(text);
            assert_eq!(words.map_err(|e| e.to_string()), expected, "{text}");
        }
    }

    #[test]
    fn a_word_that_is_no_tag_is_named() {
        let error = serde_json::from_str::<Words<Tag>>(r#""IO_EVT TOO_LONG_TAG""#);
        let text = error.unwrap_err().to_string();
        assert!(text.contains("TOO_LONG_TAG"), "{text}");
    }
}
