//! `IO_TOA`: times of arrival of acoustic pings, as the acoustic data filters find them.
//!
//! This payload is fathom's own. Text in UTF-8, one line per ping behind a first line that names the
//! format and its version; lines end with a newline, the last one may do without:
//!
//! ```text
//! TOA 1
//! <DOM id>,<emitter>,<quality>,<time base (s)>,<time of arrival (s)>
//! 808969857,11,9050,1699999851,0.408303
//! ```
//! Time base is UTC in seconds since 1970; the time of arrival counts from it.

use bytes::BufMut;

use super::error::PayloadError;
use super::ids::DomId;

/// First line of the body.
pub const TOA_HEAD: &str = "TOA 1";

/// A ping that arrived at a module.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Arrival {
    /// The module; base modules hear as well.
    pub dom_id: DomId,
    /// Which beacon the wave form fits.
    pub emitter: i32,
    /// How well it fits, and how loud it is.
    pub quality: f64,
    /// UTC seconds since 1970 from which the time of arrival counts.
    pub time_base_s: f64,
    /// Time of arrival, in s.
    pub toa_s: f64,
}

impl Arrival {
    /// Reads the five fields of a line.
    fn parse(line: &str) -> Option<Self> {
        let mut fields = line.split(',').map(str::trim);
        let mut number = || fields.next()?.parse::<f64>().ok().filter(|n| n.is_finite());
        // Ids are whole numbers far below 2^53.
        let (dom_id, emitter) = (number()?, number()?);
        let arrival = Self {
            dom_id: DomId(whole(dom_id)?.try_into().ok()?),
            emitter: whole(emitter)?.try_into().ok()?,
            quality: number()?,
            time_base_s: number()?,
            toa_s: number()?,
        };
        fields.next().is_none().then_some(arrival)
    }

    /// Decodes the body of an `IO_TOA` message: all lines, or the first one that is wrong.
    pub fn decode(body: &[u8]) -> Result<Vec<Self>, PayloadError> {
        let wrong = |line| PayloadError::WrongLine {
            line,
            expected: "DOM id, emitter, quality, time base, time of arrival",
        };
        let text = std::str::from_utf8(body).map_err(|_| wrong(1))?;
        let mut lines = text.lines();
        if lines.next() != Some(TOA_HEAD) {
            return Err(PayloadError::WrongLine {
                line: 1,
                expected: TOA_HEAD,
            });
        }
        lines
            .enumerate()
            .map(|(n, line)| Self::parse(line).ok_or(wrong(n + 2)))
            .collect()
    }
}

/// Appends the body of an `IO_TOA` message.
pub fn encode_arrivals(arrivals: &[Arrival], out: &mut impl BufMut) {
    out.put_slice(TOA_HEAD.as_bytes());
    for arrival in arrivals {
        let Arrival {
            dom_id,
            emitter,
            quality,
            time_base_s,
            toa_s,
        } = arrival;
        let line = format!("\n{dom_id},{emitter},{quality},{time_base_s},{toa_s}");
        out.put_slice(line.as_bytes());
    }
    out.put_slice(b"\n");
}

/// Returns a number that has no fraction.
#[expect(
    clippy::cast_possible_truncation,
    reason = "a float too large saturates, and no id is that large"
)]
fn whole(number: f64) -> Option<i64> {
    (number.fract() == 0.0).then_some(number as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pings_come_back_and_damage_is_refused_with_its_line() {
        let pings = [(808_969_857, 11), (808_969_858, -12)].map(|(dom, emitter)| Arrival {
            dom_id: DomId(dom),
            emitter,
            quality: 9050.5,
            time_base_s: 1_699_999_856.048_73,
            toa_s: 0.408_303,
        });
        let mut body = Vec::new();
        encode_arrivals(&pings, &mut body);
        assert_eq!(Arrival::decode(&body).unwrap(), pings);
        assert_eq!(Arrival::decode(b"TOA 1").unwrap(), []);
        for (body, line) in [
            (&b""[..], 1),
            (b"TOA 2\n", 1),
            (b"\xff", 1),
            (b"TOA 1\n1,2,3,4,5\n1,2,3,4\n", 3),
            (b"TOA 1\n1,2,3,4,5,6\n", 2),
            (b"TOA 1\n1.5,2,3,4,5\n", 2),
            (b"TOA 1\n-1,2,3,4,5\n", 2),
            (b"TOA 1\n1,2,nan,4,5\n", 2),
            (b"TOA 1\n\n", 2),
        ] {
            let error = Arrival::decode(body).unwrap_err();
            assert_eq!(error.reason(), "wrong_line");
            assert!(
                error.to_string().contains(&format!("line {line} ")),
                "{error}"
            );
        }
    }
}
