//! Reads numbers from the core's assets and files.

/// A place in an asset, which moves on with what is read.
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Begins at the asset's start.
    pub fn new(asset: &'a [u8]) -> Reader<'a> {
        Reader { rest: asset }
    }

    /// The next bytes; `None` if there aren't so many.
    pub fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(count)?;
        self.rest = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    /// A number from 0.
    pub fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    /// A small number from 0.
    pub fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    /// A small number that may be below 0.
    pub fn i16(&mut self) -> Option<i16> {
        self.array().map(i16::from_le_bytes)
    }

    /// A finite number.
    pub fn f32(&mut self) -> Option<f32> {
        self.array().map(f32::from_le_bytes).filter(|number| number.is_finite())
    }

    /// Finite numbers.
    pub fn f32s(&mut self, count: usize) -> Option<Vec<f32>> {
        (0..count).map(|_| self.f32()).collect()
    }

    /// Finite numbers of two bytes (IEEE 754 binary16).
    pub fn f16s(&mut self, count: usize) -> Option<Vec<f32>> {
        (0..count).map(|_| self.u16().map(f16).filter(|number| number.is_finite())).collect()
    }

    /// Whether all has been read.
    pub fn is_done(&self) -> bool {
        self.rest.is_empty()
    }
}

/// The number that two bytes stand for: a sign, 5 bits of exponent, 10 of fraction.
fn f16(bits: u16) -> f32 {
    let fraction = f32::from(bits & 0x3ff) / 1024.0;
    let size = match i32::from(bits >> 10 & 0x1f) {
        0 => fraction * 2f32.powi(-14),
        31 => return f32::NAN,
        exponent => (1.0 + fraction) * 2f32.powi(exponent - 15),
    };
    if bits >> 15 == 1 { -size } else { size }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_bytes_make_a_number() {
        for (bits, number) in [
            (0, 0.0),
            (1, 2f32.powi(-24)),
            (0x3c00, 1.0),
            (0x3555, 0.333_251_95),
            (0xc000, -2.0),
            (0x7bff, 65504.0),
        ] {
            assert_eq!(f16(bits), number);
        }
        assert!(Reader::new(&[0, 0x7c]).f16s(1).is_none() && Reader::new(&[0]).f16s(1).is_none());
    }
}
