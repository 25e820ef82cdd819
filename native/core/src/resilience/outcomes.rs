//! Two counts over a sliding window, kept in slices so that old events drop out.

/// Slices of a window; counts are exact to one slice.
pub const SLICES: usize = 10;

/// Counts of two kinds of event over the last `SLICES` slices. Times are monotonic ms.
#[derive(Clone, Copy, Debug)]
pub struct Outcomes {
    slice_ms: f64,
    /// Number of the newest slice, counted from time 0.
    newest: f64,
    counts: [[u32; 2]; SLICES],
}

impl Outcomes {
    /// An empty window of `window_ms`, which must be finite and above 0.
    pub fn new(window_ms: f64) -> Self {
        Outcomes { slice_ms: window_ms / SLICES as f64, newest: f64::MIN, counts: [[0; 2]; SLICES] }
    }

    /// Counts one event: kind 0, or any other number for kind 1.
    pub fn add(&mut self, kind: usize, now_ms: f64) {
        self.roll(now_ms);
        let [first, ..] = &mut self.counts;
        let count = &mut first[kind.min(1)];
        *count = count.saturating_add(1);
    }

    /// The counts of both kinds, in the window that ends now.
    pub fn sums(&mut self, now_ms: f64) -> [u64; 2] {
        self.roll(now_ms);
        self.counts
            .iter()
            .fold([0, 0], |[a, b], &[first, second]| [a + u64::from(first), b + u64::from(second)])
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.counts = [[0; 2]; SLICES];
    }

    /// Makes the current slice the newest. A clock that runs backwards is treated as standing still.
    fn roll(&mut self, now_ms: f64) {
        let slice = (now_ms / self.slice_ms).floor();
        if !(slice.is_finite() && slice > self.newest) {
            return;
        }
        let passed = slice - self.newest;
        self.newest = slice;
        if passed >= SLICES as f64 {
            return self.clear();
        }
        let passed = passed as usize;
        self.counts.copy_within(..SLICES - passed, passed);
        self.counts[..passed].fill([0; 2]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_clock_that_makes_no_sense_is_no_time() {
        let mut window = Outcomes::new(100.0);
        window.add(0, 1000.0);
        for now_ms in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 0.0] {
            window.add(1, now_ms);
        }
        assert_eq!(window.sums(1000.0), [1, 4]);
        assert_eq!(window.sums(1_000_000.0), [0, 0]);
    }

    proptest! {
        /// It counts the events of the remaining slices, like a reference that remembers every event.
        #[test]
        fn counts_like_a_list(steps in prop::collection::vec((0u32..150, 0usize..2), 1..200)) {
            let mut window = Outcomes::new(1000.0);
            let mut events: Vec<(u32, usize)> = Vec::new();
            let mut now_ms = 0;
            for (wait_ms, kind) in steps {
                now_ms += wait_ms;
                events.push((now_ms / 100, kind));
                window.add(kind, f64::from(now_ms));
                let count = |kind| {
                    events.iter().filter(|&&(slice, of)| of == kind && slice + 10 > now_ms / 100).count() as u64
                };
                prop_assert_eq!(window.sums(f64::from(now_ms)), [count(0), count(1)]);
            }
        }
    }
}
