//! Records one after the other, as snapshots have them: each with its length in front, numbers in little-endian order.

/// Appends a record, whose content `write` appends.
pub fn push(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    write(out);
    let length = (out.len() - start - 4) as u32;
    out[start..start + 4].copy_from_slice(&length.to_le_bytes());
}

/// What is left to read of some bytes.
#[derive(Debug)]
pub struct Rest<'a>(pub &'a [u8]);

impl<'a> Rest<'a> {
    /// The next bytes; `None` if there aren't so many.
    pub fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    /// As many bytes as the array has.
    pub fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    /// A number of four bytes.
    pub fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    /// The content of the next record.
    pub fn record(&mut self) -> Option<Rest<'a>> {
        let length = self.u32()?;
        self.take(length as usize).map(Rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gives_back_what_was_pushed() {
        let mut bytes = Vec::new();
        push(&mut bytes, |out| out.extend_from_slice(b"one"));
        push(&mut bytes, |_| {});
        let mut rest = Rest(&bytes);
        assert_eq!(rest.record().map(|record| record.0), Some(&b"one"[..]));
        assert_eq!(rest.record().map(|record| record.0), Some(&b""[..]));
        assert!(rest.record().is_none() && Rest(&bytes[..6]).record().is_none());
        assert!(Rest(&[255; 4]).record().is_none());
    }
}
