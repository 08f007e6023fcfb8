//! Names with wildcards: `*` stands for any characters, `?` for one, `[ab]` for one of several.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A name with wildcards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pattern(glob::Pattern);

impl Pattern {
    /// Reads a pattern.
    pub(crate) fn new(text: &str) -> Result<Self, String> {
        let pattern = glob::Pattern::new(text);
        let pattern = pattern.map_err(|error| format!("pattern {text:?}: {}", error.msg))?;
        Ok(Self(pattern))
    }

    /// Fits everything.
    pub(crate) fn any() -> Self {
        Self(glob::Pattern::new("*").expect("a star is a pattern"))
    }

    /// Tells whether a name fits.
    pub(crate) fn fits(&self, name: &str) -> bool {
        self.0.matches(name)
    }

    /// Returns the pattern as it was written.
    pub(crate) fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl Default for Pattern {
    fn default() -> Self {
        Self::any()
    }
}

impl std::fmt::Display for Pattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Pattern {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Pattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::new(&text).map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Pattern {
    fn schema_name() -> Cow<'static, str> {
        "Pattern".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        String::json_schema(generator)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_stand_for_characters_and_names_for_themselves() {
        let pattern = Pattern::new("DU 3 *").unwrap();
        assert!(pattern.fits("DU 3 floor 7") && !pattern.fits("DU 31 floor 7"));
        assert!(Pattern::any().fits("") && Pattern::any().fits("a/b"));
        assert!(Pattern::new("a[").unwrap_err().contains("\"a[\""));
    }
}
