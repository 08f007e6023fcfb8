//! Durations and sizes as people write them: `"300s"`, `"64MiB"`; a number without a unit is refused.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

const NANOS_PER_SECOND: u64 = 1_000_000_000;

/// Units of time with their nanoseconds, longest first.
const SPAN_UNITS: [(&str, u64); 7] = [
    ("d", 86_400 * NANOS_PER_SECOND),
    ("h", 3_600 * NANOS_PER_SECOND),
    ("m", 60 * NANOS_PER_SECOND),
    ("s", NANOS_PER_SECOND),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("ns", 1),
];

/// Units of size with their bytes: `k` or `K`, `M`, `G`, `T` count in thousands, with `i` in 1024s.
const SIZE_UNITS: [(&str, u64); 16] = [
    ("TiB", 1 << 40),
    ("TB", 1_000_000_000_000),
    ("T", 1_000_000_000_000),
    ("GiB", 1 << 30),
    ("GB", 1_000_000_000),
    ("G", 1_000_000_000),
    ("MiB", 1 << 20),
    ("MB", 1_000_000),
    ("M", 1_000_000),
    ("KiB", 1 << 10),
    ("kiB", 1 << 10),
    ("kB", 1_000),
    ("KB", 1_000),
    ("k", 1_000),
    ("K", 1_000),
    ("B", 1),
];

/// Units that [`Size`] is shown in, largest first.
const SIZE_SHOWN: [(&str, u64); 8] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1_000),
];

/// A length of time, up to 584 years: `"250ms"`, `"300s"`, `"1.5h"`, `"1h30m"`, `"7d"`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span(Duration);

impl Span {
    /// No time at all.
    pub const ZERO: Self = Self(Duration::ZERO);

    /// Makes a span of whole seconds.
    pub const fn from_secs(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    /// Makes a span of milliseconds.
    pub const fn from_millis(milliseconds: u64) -> Self {
        Self(Duration::from_millis(milliseconds))
    }

    /// Returns the same length for the clock.
    pub const fn duration(self) -> Duration {
        self.0
    }

    /// Returns the length in seconds.
    pub const fn seconds(self) -> f64 {
        self.0.as_secs_f64()
    }

    /// Tells whether it is no time at all.
    pub const fn is_zero(self) -> bool {
        self.0.is_zero()
    }
}

impl From<Duration> for Span {
    fn from(duration: Duration) -> Self {
        Self(duration)
    }
}

impl From<Span> for Duration {
    fn from(span: Span) -> Self {
        span.0
    }
}

/// A number of bytes: `"4kB"` is 4,000, `"64MiB"` is 67,108,864, `"2G"` is 2,000,000,000.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Size(u64);

impl Size {
    /// Makes a size from bytes.
    pub const fn from_bytes(bytes: u64) -> Self {
        Self(bytes)
    }

    /// Makes a size from units of 1,048,576 bytes.
    pub const fn from_mib(mebibytes: u64) -> Self {
        Self(mebibytes << 20)
    }

    /// Returns the number of bytes.
    pub const fn bytes(self) -> u64 {
        self.0
    }

    /// Returns the number of bytes as a length in memory; the largest length if it is more.
    pub fn len(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }

    /// Tells whether it is zero bytes.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

/// Why a text is not a duration or a size.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QuantityError {
    /// Nothing there.
    #[error("expected {expected}, found an empty text")]
    Empty {
        /// What would have been right.
        expected: &'static str,
    },
    /// A number alone.
    #[error("`{text}` has no unit; expected {expected}")]
    NoUnit {
        /// What was written.
        text: String,
        /// What would have been right.
        expected: &'static str,
    },
    /// A unit that does not exist.
    #[error("unknown unit `{unit}` in `{text}`; expected {expected}")]
    UnknownUnit {
        /// What was written.
        text: String,
        /// The unit in it.
        unit: String,
        /// What would have been right.
        expected: &'static str,
    },
    /// No number before the unit.
    #[error("`{text}` is not a number with a unit; expected {expected}")]
    NotANumber {
        /// What was written.
        text: String,
        /// What would have been right.
        expected: &'static str,
    },
    /// More than fits.
    #[error("`{text}` is too large")]
    TooLarge {
        /// What was written.
        text: String,
    },
}

const SPAN_EXPECTED: &str = "a duration with its unit (ms, s, m, h, d), such as \"300s\"";
const SIZE_EXPECTED: &str = "a size with its unit (B, kB, M, MiB, G, GiB), such as \"64MiB\"";

impl FromStr for Span {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Self, QuantityError> {
        let form = Form {
            text,
            units: &SPAN_UNITS,
            expected: SPAN_EXPECTED,
        };
        let mut rest = text.trim();
        let mut nanos: u64 = 0;
        loop {
            let (part, after) = form.first_part(rest)?;
            nanos = nanos.checked_add(part).ok_or_else(|| form.too_large())?;
            if after.is_empty() {
                return Ok(Self(Duration::from_nanos(nanos)));
            }
            rest = after;
        }
    }
}

impl FromStr for Size {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Self, QuantityError> {
        let form = Form {
            text,
            units: &SIZE_UNITS,
            expected: SIZE_EXPECTED,
        };
        match form.first_part(text.trim())? {
            (bytes, "") => Ok(Self(bytes)),
            _ => Err(form.not_a_number()),
        }
    }
}

/// A text being read, with the units it may have.
struct Form<'a> {
    text: &'a str,
    units: &'static [(&'static str, u64)],
    expected: &'static str,
}

impl Form<'_> {
    /// Splits the first number with its unit off and returns its value in the smallest unit.
    fn first_part<'r>(&self, rest: &'r str) -> Result<(u64, &'r str), QuantityError> {
        if rest.is_empty() {
            return Err(QuantityError::Empty {
                expected: self.expected,
            });
        }
        let (number, rest) = split(rest, |c| c.is_ascii_digit() || matches!(c, '.' | '_'));
        let (unit, rest) = split(rest.trim_start(), |c| c.is_alphabetic());
        if number.is_empty() {
            return Err(self.not_a_number());
        }
        if unit.is_empty() {
            return Err(match rest.is_empty() {
                true => QuantityError::NoUnit {
                    text: self.text.into(),
                    expected: self.expected,
                },
                false => self.not_a_number(),
            });
        }
        let Some((_, factor)) = self.units.iter().find(|(name, _)| *name == unit) else {
            return Err(QuantityError::UnknownUnit {
                text: self.text.into(),
                unit: unit.into(),
                expected: self.expected,
            });
        };
        Ok((
            self.value(&number.replace('_', ""), *factor)?,
            rest.trim_start(),
        ))
    }

    fn value(&self, number: &str, factor: u64) -> Result<u64, QuantityError> {
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if whole.is_empty() || fraction.contains('.') {
            return Err(self.not_a_number());
        }
        let whole: u64 = whole.parse().map_err(|_| self.too_large())?;
        let whole = whole.checked_mul(factor).ok_or_else(|| self.too_large())?;
        whole
            .checked_add(part_of(fraction, factor))
            .ok_or_else(|| self.too_large())
    }

    fn not_a_number(&self) -> QuantityError {
        QuantityError::NotANumber {
            text: self.text.into(),
            expected: self.expected,
        }
    }

    fn too_large(&self) -> QuantityError {
        QuantityError::TooLarge {
            text: self.text.into(),
        }
    }
}

fn split(text: &str, take: impl Fn(char) -> bool) -> (&str, &str) {
    let end = text.find(|c| !take(c)).unwrap_or(text.len());
    text.split_at(end)
}

/// Digits after the point that are read; they resolve every unit down to its nanoseconds or bytes.
const FRACTION_DIGITS_MAX: usize = 18;

/// Returns the digits after the point as a part of the unit, rounded down.
fn part_of(digits: &str, unit: u64) -> u64 {
    let read = digits.bytes().take(FRACTION_DIGITS_MAX);
    let (sum, scale) = read.fold((0_u128, 1_u128), |(sum, scale), digit| {
        (sum * 10 + u128::from(digit - b'0'), scale * 10)
    });
    // Below `unit` by construction, so it fits.
    u64::try_from(sum * u128::from(unit) / scale).unwrap_or(0)
}

impl fmt::Display for Span {
    /// Writes the longest unit that gives a whole number, so that reading it gives the same span.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = self.0.as_nanos();
        if nanos == 0 {
            return f.pad("0s");
        }
        let whole = SPAN_UNITS
            .iter()
            .find(|(_, unit)| nanos.is_multiple_of(u128::from(*unit)));
        let (name, unit) = whole.copied().unwrap_or(("ns", 1));
        f.pad(&format!("{}{name}", nanos / u128::from(unit)))
    }
}

impl fmt::Display for Size {
    /// Writes the largest unit that gives a whole number, so that reading it gives the same size.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut units = SIZE_SHOWN.iter();
        let whole = units.find(|(_, unit)| self.0 != 0 && self.0.is_multiple_of(*unit));
        let (name, unit) = whole.copied().unwrap_or(("B", 1));
        f.pad(&format!("{}{name}", self.0 / unit))
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Serialize for Size {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Text(SPAN_EXPECTED, Self::from_str))
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Text(SIZE_EXPECTED, Self::from_str))
    }
}

/// Reads a text by a function and says what was expected.
struct Text<T>(&'static str, fn(&str) -> Result<T, QuantityError>);

impl<T> serde::de::Visitor<'_> for Text<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<T, E> {
        (self.1)(text).map_err(E::custom)
    }
}

impl JsonSchema for Span {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Span".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "format": "span",
            "pattern": r"^\s*([0-9_]+(\.[0-9_]+)?\s*(d|h|m|s|ms|us|ns)\s*)+$",
        })
    }
}

impl JsonSchema for Size {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Size".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "format": "size",
            "pattern": r"^\s*[0-9_]+(\.[0-9_]+)?\s*([TGM](iB|B)?|[Kk]i?B|k|B)\s*$",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_with_their_units() {
        for (text, milliseconds) in [
            ("300s", 300_000),
            ("250ms", 250),
            ("5m", 300_000),
            ("1h", 3_600_000),
            ("7d", 604_800_000),
            ("1h30m", 5_400_000),
            ("1.5h", 5_400_000),
            (" 10 s ", 10_000),
            ("0s", 0),
            ("0.25s", 250),
        ] {
            assert_eq!(text.parse(), Ok(Span::from_millis(milliseconds)), "{text}");
        }
        assert_eq!("1.000000001s".parse(), Ok(Span(Duration::new(1, 1))));
    }

    #[test]
    fn sizes_are_read_with_their_units() {
        for (text, bytes) in [
            ("64MiB", 67_108_864),
            ("50M", 50_000_000),
            ("2G", 2_000_000_000),
            ("4kB", 4_000),
            ("4K", 4_000),
            ("4KiB", 4_096),
            ("0.5MiB", 524_288),
            ("512B", 512),
            ("1_000 B", 1_000),
        ] {
            assert_eq!(text.parse(), Ok(Size(bytes)), "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        let span = |text: &str| Span::from_str(text).unwrap_err().to_string();
        let size = |text: &str| Size::from_str(text).unwrap_err().to_string();
        assert_eq!(
            span("300"),
            format!("`300` has no unit; expected {SPAN_EXPECTED}")
        );
        assert_eq!(
            span("3 weeks"),
            format!("unknown unit `weeks` in `3 weeks`; expected {SPAN_EXPECTED}")
        );
        assert_eq!(
            span("s"),
            format!("`s` is not a number with a unit; expected {SPAN_EXPECTED}")
        );
        assert_eq!(
            span(""),
            format!("expected {SPAN_EXPECTED}, found an empty text")
        );
        assert_eq!(span("99999999999d"), "`99999999999d` is too large");
        assert_eq!(
            size("1MiB 2kB"),
            format!("`1MiB 2kB` is not a number with a unit; expected {SIZE_EXPECTED}")
        );
        for text in ["-5s", "5-s", "1..5s", ".5s", "5 5s", "5s-", "\u{665}s"] {
            assert!(Span::from_str(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_number_alone_is_refused_by_serde() {
        let error = serde_json::from_str::<Span>("300").unwrap_err().to_string();
        assert!(error.contains(SPAN_EXPECTED), "{error}");
    }

    proptest::proptest! {
        #[test]
        fn what_is_shown_reads_back(nanos: u64) {
            let span = Span(Duration::from_nanos(nanos));
            assert_eq!(span.to_string().parse(), Ok(span));
            assert_eq!(Size(nanos).to_string().parse(), Ok(Size(nanos)));
        }

        #[test]
        fn any_text_gives_a_value_or_an_error(text in "\\PC{0,12}") {
            let _read = (Span::from_str(&text), Size::from_str(&text));
        }
    }
}
