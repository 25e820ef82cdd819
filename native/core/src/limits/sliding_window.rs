//! A sliding window: never more than its capacity in any period of the window's length.

use crate::limits::decision::{BadRate, Decision, HELD_MS, good, later, sane, wait};

/// Parts into which a window is divided. Use counts for one window and at most one part longer, so the bound
/// holds for every period of the window's length, at any offset.
pub const PARTS: usize = 60;

const SLOTS: usize = PARTS + 1;

/// At most `capacity` in any period of the window's length. Memory is fixed, whatever the traffic.
#[derive(Clone, Debug, PartialEq)]
pub struct SlidingWindow {
    capacity: f64,
    part_ms: f64,
    /// Use in each part, indexed by the part's number modulo their count.
    slots: Box<[f64; SLOTS]>,
    /// Number of the part that contains `now_ms`.
    head: i64,
    sum: f64,
    reserved: f64,
    now_ms: f64,
}

impl SlidingWindow {
    /// An empty window of `window_ms`. Times are monotonic ms.
    ///
    /// # Errors
    /// [`BadRate`] if a setting is invalid.
    pub fn new(capacity: f64, window_ms: f64, now_ms: f64) -> Result<Self, BadRate> {
        if !good(capacity) || !good(window_ms) || !now_ms.is_finite() {
            return Err(BadRate);
        }
        let part_ms = window_ms / PARTS as f64;
        let head = (now_ms / part_ms).floor() as i64;
        let slots = Box::new([0.0; SLOTS]);
        Ok(SlidingWindow { capacity, part_ms, slots, head, sum: 0.0, reserved: 0.0, now_ms })
    }

    /// Changes the capacity; what was used stays.
    ///
    /// # Errors
    /// As for [`SlidingWindow::new`].
    pub fn set(&mut self, capacity: f64) -> Result<(), BadRate> {
        if !good(capacity) {
            return Err(BadRate);
        }
        self.capacity = capacity;
        Ok(())
    }

    /// Whether a cost fits.
    pub fn ask(&mut self, cost: f64, now_ms: f64) -> Decision {
        self.advance(now_ms);
        if cost > self.capacity {
            return Decision::Never;
        }
        let over = self.sum + self.reserved + cost - self.capacity;
        if over <= 0.0 {
            return Decision::Go(0.0);
        }
        let mut freed = 0.0;
        for part in self.head - PARTS as i64..=self.head {
            freed += self.slots[slot(part)];
            if freed >= over {
                return wait((part + SLOTS as i64) as f64 * self.part_ms - self.now_ms);
            }
        }
        Decision::Wait(HELD_MS)
    }

    /// Takes a cost. `keep`: it is only reserved, and will be settled.
    pub fn take(&mut self, cost: f64, keep: bool, now_ms: f64) {
        self.advance(now_ms);
        if keep {
            self.reserved += cost;
        } else {
            self.add(cost);
        }
    }

    /// Ends a reserve: what was used counts from now on.
    pub fn settle(&mut self, reserved: f64, used: f64, now_ms: f64) {
        self.advance(now_ms);
        let (reserved, used) = sane(reserved, used);
        self.reserved -= reserved.min(self.reserved);
        self.add(used);
    }

    /// Use in the window, without reserves.
    pub fn spent(&mut self, now_ms: f64) -> f64 {
        self.advance(now_ms);
        self.sum
    }

    /// What could be taken now.
    pub fn left(&mut self, now_ms: f64) -> f64 {
        self.capacity - self.spent(now_ms) - self.reserved
    }

    /// Leaves no more than `left` to be taken now, as if the rest had just been used.
    pub fn confine(&mut self, left: f64, now_ms: f64) {
        let over = self.left(now_ms) - left;
        if over > 0.0 {
            self.add(over);
        }
    }

    /// Whether nothing was used in the window and no settlement is outstanding.
    pub fn idle(&mut self, now_ms: f64) -> bool {
        self.spent(now_ms) <= 0.0 && self.reserved <= 0.0
    }

    /// The largest cost it can hold.
    pub fn capacity(&self) -> f64 {
        self.capacity
    }

    fn add(&mut self, used: f64) {
        let slot = &mut self.slots[slot(self.head)];
        *slot = (*slot + used).min(f64::MAX / SLOTS as f64);
        self.sum = (self.sum + used).min(f64::MAX / 4.0);
    }

    fn advance(&mut self, now_ms: f64) {
        self.now_ms = later(self.now_ms, now_ms);
        let head = (self.now_ms / self.part_ms).floor() as i64;
        if head <= self.head {
            return;
        }
        let first = (self.head + 1).max(head - PARTS as i64);
        for part in first..=head {
            self.slots[slot(part)] = 0.0;
        }
        self.head = head;
        // Summed anew, as rounding errors of differences would accumulate.
        self.sum = self.slots.iter().sum();
    }
}

fn slot(part: i64) -> usize {
    part.rem_euclid(SLOTS as i64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_used_counts_for_a_window_and_at_most_a_part_more() {
        let mut window = SlidingWindow::new(10.0, 60_000.0, 0.0).unwrap();
        window.take(10.0, false, 500.0);
        assert_eq!(window.ask(1.0, 500.0), Decision::Wait(60_500.0));
        assert_eq!(window.ask(1.0, 60_999.0), Decision::Wait(1.0));
        assert_eq!(window.ask(10.0, 61_000.0), Decision::Go(0.0));
        assert_eq!(window.ask(10.5, 61_000.0), Decision::Never);
    }

    #[test]
    fn a_reserve_holds_its_place_until_it_is_settled() {
        let mut window = SlidingWindow::new(10.0, 60_000.0, 0.0).unwrap();
        window.take(10.0, true, 0.0);
        assert_eq!(window.ask(1.0, 600_000.0), Decision::Wait(HELD_MS));
        window.settle(10.0, 4.0, 600_000.0);
        assert_eq!((window.left(600_000.0), window.spent(600_000.0)), (6.0, 4.0));
        assert!(!window.idle(660_999.0));
        assert!(window.idle(661_000.0));
    }

    #[test]
    fn odd_numbers_do_no_harm() {
        let mut window = SlidingWindow::new(1.0, 60_000.0, 1e6).unwrap();
        for now_ms in [0.0, f64::NAN, f64::INFINITY] {
            window.settle(0.0, f64::MAX, now_ms);
        }
        assert!(matches!(window.ask(1.0, 1e6), Decision::Wait(ms) if ms.is_finite()));
        assert!(window.idle(1e15));
    }
}
