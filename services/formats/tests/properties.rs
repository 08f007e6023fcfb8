//! What holds for every payload: round trip, and no input that panics or is trusted too far.
#![allow(
    clippy::unwrap_used,
    reason = "the helpers of these tests fail as tests do"
)]

mod properties {
    pub(crate) mod damage;
    pub(crate) mod round_trip;
    pub(crate) mod samples;
    pub(crate) mod stream;
}
