//! Reads numbers from the core's assets.

/// A place in an asset, which moves on with what is read.
pub struct Reader {
    rest: &'static [u8],
}

impl Reader {
    /// Begins at the asset's start.
    pub fn new(asset: &'static [u8]) -> Reader {
        Reader { rest: asset }
    }

    /// The next bytes; `None` if there aren't so many.
    pub fn take(&mut self, count: usize) -> Option<&'static [u8]> {
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

    /// Whether all has been read.
    pub fn is_done(&self) -> bool {
        self.rest.is_empty()
    }
}
