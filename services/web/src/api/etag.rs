//! Entity tags: a page asks again only for what changed.

use axum::http::{HeaderMap, HeaderValue, header};

use crate::shelf::Edition;

/// The tag of one edition of one resource. Weak: with and without gzip it is the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ETag(String);

impl ETag {
    /// Makes the tag of an edition within one start of the server.
    pub(crate) fn of(boot: &str, edition: Edition) -> Self {
        Self(format!(
            "W/\"{boot}-{}-{}\"",
            edition.version, edition.staleness
        ))
    }

    /// Makes the tag of fixed content from its digest.
    pub(crate) fn fixed(digest: &str) -> Self {
        Self(format!("W/\"{digest}\""))
    }

    /// Tells whether the asker has this edition.
    pub(crate) fn is_known(&self, headers: &HeaderMap) -> bool {
        let opaque = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
        let own = opaque(&self.0);
        headers
            .get_all(header::IF_NONE_MATCH)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .any(|tag| tag.trim() == "*" || opaque(tag) == own)
    }

    /// Returns the header value.
    pub(crate) fn value(&self) -> HeaderValue {
        HeaderValue::from_str(&self.0).unwrap_or(HeaderValue::from_static("\"\""))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_found_in_a_list_weak_or_not() {
        let edition = Edition {
            version: 7,
            staleness: 0,
        };
        let tag = ETag::of("b", edition);
        let ask = |text: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::IF_NONE_MATCH, HeaderValue::from_static(text));
            tag.is_known(&headers)
        };
        assert!(ask("W/\"b-7-0\""));
        assert!(ask("\"x\", \"b-7-0\""));
        assert!(ask("*"));
        assert!(!ask("\"b-8-0\""));
        assert!(!tag.is_known(&HeaderMap::new()));
    }
}
