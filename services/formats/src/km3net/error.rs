//! Why a payload could not be decoded or encoded.

/// Why a body is not the payload it should be; offsets count from the start of the body.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PayloadError {
    /// The body ends before a field that every body of this kind has.
    #[error("body ends at {got} bytes, expected {need} bytes up to {what}")]
    Truncated {
        /// The record that did not fit.
        what: &'static str,
        /// Bytes needed up to the end of that record.
        need: usize,
        /// Bytes there are.
        got: usize,
    },
    /// The length in the preamble differs from the length of the body.
    #[error("preamble announces {declared} bytes, body has {got}")]
    LengthMismatch {
        /// Length in the preamble.
        declared: i32,
        /// Length of the body.
        got: usize,
    },
    /// The data type in the preamble belongs to another payload.
    #[error("data type {got} at offset 4, expected {expected}")]
    WrongType {
        /// Data type of this payload.
        expected: i32,
        /// Data type found.
        got: i32,
    },
    /// The version is none that this decoder knows.
    #[error("version {got} at offset 8, expected {expected}")]
    UnknownVersion {
        /// The version in use today.
        expected: i16,
        /// Version found.
        got: i16,
    },
    /// A count is negative.
    #[error("negative number of {what} ({count}) at offset {offset}")]
    NegativeCount {
        /// What is counted.
        what: &'static str,
        /// The count found.
        count: i32,
        /// Where the count stands.
        offset: usize,
    },
    /// A count asks for more bytes than are left.
    #[error("{count} {what} at offset {offset} need {need} bytes, {left} are left")]
    CountBeyondBody {
        /// What is counted.
        what: &'static str,
        /// The count found.
        count: i32,
        /// Where the counted records start.
        offset: usize,
        /// Bytes the records would need.
        need: u64,
        /// Bytes left in the body.
        left: usize,
    },
    /// Bytes follow the last record.
    #[error("{left} bytes left over at offset {offset}")]
    LeftOver {
        /// Where the last record ends.
        offset: usize,
        /// Bytes behind it.
        left: usize,
    },
    /// A super frame's length does not fit its hits.
    #[error("super frame at offset {offset} announces {length} bytes, its {hits} hits need {need}")]
    FrameLength {
        /// Where the super frame starts.
        offset: usize,
        /// Length found.
        length: i32,
        /// Hits the frame announces.
        hits: i32,
        /// Length that fits the hits.
        need: u64,
    },
    /// A super frame has another data type.
    #[error("super frame at offset {offset} has data type {got}, expected 101")]
    FrameType {
        /// Where the super frame starts.
        offset: usize,
        /// Data type found.
        got: i32,
    },
    /// The ticks of a time are a second or more.
    #[error("{ticks} ticks of 16 ns within the second, expected fewer than 62500000")]
    TicksBeyondSecond {
        /// The ticks found.
        ticks: u32,
    },
    /// A monitoring packet does not start with `TMCH`.
    #[error("packet starts with {got:02x?}, expected \"TMCH\"")]
    WrongMagic {
        /// The first four bytes.
        got: [u8; 4],
    },
    /// A line of a text payload is not what it should be.
    #[error("line {line} is wrong, expected {expected}")]
    WrongLine {
        /// Number of the line, from 1.
        line: usize,
        /// What should have stood there.
        expected: &'static str,
    },
}

impl PayloadError {
    /// Returns a short name of the reason, the label under which it is counted.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Truncated { .. } => "truncated",
            Self::LengthMismatch { .. } => "length_mismatch",
            Self::WrongType { .. } => "wrong_type",
            Self::UnknownVersion { .. } => "unknown_version",
            Self::NegativeCount { .. } => "negative_count",
            Self::CountBeyondBody { .. } => "count_beyond_body",
            Self::LeftOver { .. } => "left_over",
            Self::FrameLength { .. } => "frame_length",
            Self::FrameType { .. } => "frame_type",
            Self::TicksBeyondSecond { .. } => "ticks_beyond_second",
            Self::WrongMagic { .. } => "wrong_magic",
            Self::WrongLine { .. } => "wrong_line",
        }
    }
}

/// Why values do not fit the wire format.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// The body would be longer than a signed 32 bit length can say.
    #[error("payload of {bytes} bytes exceeds limit 2147483647")]
    TooLong {
        /// Bytes of the payload.
        bytes: u64,
    },
}
