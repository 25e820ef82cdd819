//! The decision of a meter about one request.

/// A meter's decision about a cost. Asking takes nothing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Decision {
    /// The cost fits; the request may start after this many ms (0 except for a leaky bucket).
    Go(f64),
    /// It doesn't fit now, but would in this many ms (above 0) if nobody else takes from the meter.
    Wait(f64),
    /// The cost is above the meter's capacity.
    Never,
}

/// A setting that must be finite and above zero isn't.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadRate;

/// Wait reported if only reserves stand in the way, in ms: nobody knows when they are settled, so clients
/// retry after this.
pub const HELD_MS: f64 = 1000.0;

/// Bounds a wait: at least a microsecond, as rounding must not make it look over, and never NaN.
pub(crate) fn wait(ms: f64) -> Decision {
    Decision::Wait(ms.clamp(0.001, f64::MAX))
}

pub(crate) fn good(value: f64) -> bool {
    value.is_finite() && value > 0.0
}

/// An invalid amount used (not finite, or below 0) counts as if all of the reserve had been used.
pub(crate) fn sane(reserved: f64, used: f64) -> (f64, f64) {
    let amount = |value: f64| value.is_finite() && value >= 0.0;
    let reserved = if amount(reserved) { reserved } else { 0.0 };
    (reserved, if amount(used) { used } else { reserved })
}

/// The later of two times; a clock that runs backwards or returns NaN is treated as standing still.
pub(crate) fn later(before_ms: f64, now_ms: f64) -> f64 {
    if now_ms.is_finite() { before_ms.max(now_ms) } else { before_ms }
}
