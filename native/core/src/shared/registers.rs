//! Writes results into the `Uint32Array` that JavaScript reads.

/// Writes the values, starting at the first register.
pub(crate) fn put(registers: &mut [u32], values: &[u32]) {
    for (register, value) in registers.iter_mut().zip(values) {
        *register = *value;
    }
}

/// A count or an offset, clamped to 32 bits.
pub(crate) fn clamp(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
