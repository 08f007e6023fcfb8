//! Reads fixed records off the front of a body, every step checked against what is left.

use zerocopy::{FromBytes, Immutable, KnownLayout, Unaligned};

use super::error::PayloadError;

/// A position in a body.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a> {
    left: &'a [u8],
    offset: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(body: &'a [u8]) -> Self {
        Self {
            left: body,
            offset: 0,
        }
    }

    /// A reader of `left`, which starts at `offset` of the body.
    pub(super) fn at(left: &'a [u8], offset: usize) -> Self {
        Self { left, offset }
    }

    pub(super) fn offset(&self) -> usize {
        self.offset
    }

    pub(super) fn left(&self) -> &'a [u8] {
        self.left
    }

    /// Takes one fixed record.
    pub(super) fn record<T>(&mut self, what: &'static str) -> Result<&'a T, PayloadError>
    where
        T: FromBytes + Immutable + KnownLayout + Unaligned,
    {
        let (record, rest) =
            T::ref_from_prefix(self.left).map_err(|_| PayloadError::Truncated {
                what,
                need: self.offset.saturating_add(size_of::<T>()),
                got: self.offset.saturating_add(self.left.len()),
            })?;
        self.left = rest;
        self.offset += size_of::<T>();
        Ok(record)
    }

    /// Takes `count` fixed records; checks the count against the bytes left and allocates nothing.
    pub(super) fn records<T>(
        &mut self,
        what: &'static str,
        count: i32,
    ) -> Result<&'a [T], PayloadError>
    where
        T: FromBytes + Immutable + KnownLayout + Unaligned,
    {
        let number = usize::try_from(count).map_err(|_| PayloadError::NegativeCount {
            what,
            count,
            offset: self.offset.saturating_sub(size_of::<i32>()),
        })?;
        let Ok((records, rest)) = <[T]>::ref_from_prefix_with_elems(self.left, number) else {
            return Err(PayloadError::CountBeyondBody {
                what,
                count,
                offset: self.offset,
                need: (number as u64).saturating_mul(size_of::<T>() as u64),
                left: self.left.len(),
            });
        };
        self.left = rest;
        self.offset += size_of_val(records);
        Ok(records)
    }

    /// Ends the reading; anything left over is an error.
    pub(super) fn finish(self) -> Result<(), PayloadError> {
        if self.left.is_empty() {
            return Ok(());
        }
        Err(PayloadError::LeftOver {
            offset: self.offset,
            left: self.left.len(),
        })
    }
}
