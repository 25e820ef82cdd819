//! A budget: a capacity per calendar window. Window ids rise; the caller knows the calendar.

use crate::limits::decision::{BadRate, Decision, HELD_MS, good, sane, wait};

/// At most `capacity` in each window. A window that was left is never entered again, so that setting a clock
/// back grants nothing twice.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Budget {
    capacity: f64,
    window: f64,
    spent: f64,
    reserved: f64,
}

impl Budget {
    /// A budget before its first window.
    ///
    /// # Errors
    /// [`BadRate`] if a setting is invalid.
    pub fn new(capacity: f64) -> Result<Self, BadRate> {
        if !good(capacity) {
            return Err(BadRate);
        }
        Ok(Budget { capacity, window: f64::MIN, spent: 0.0, reserved: 0.0 })
    }

    /// Changes the capacity; what was spent stays.
    ///
    /// # Errors
    /// As for [`Budget::new`].
    pub fn set(&mut self, capacity: f64) -> Result<(), BadRate> {
        self.capacity = Budget::new(capacity)?.capacity;
        Ok(())
    }

    /// Enters a window if it is a later one. Open reserves stay with the window they were taken in.
    pub fn enter(&mut self, window: f64) {
        if window > self.window {
            *self = Budget { capacity: self.capacity, window, spent: 0.0, reserved: 0.0 };
        }
    }

    /// Adds known spending to a window, unless that is over.
    pub fn restore(&mut self, window: f64, spent: f64) {
        self.enter(window);
        if window == self.window {
            let (_, spent) = sane(0.0, spent);
            self.spent = (self.spent + spent).min(f64::MAX / 4.0);
        }
    }

    /// Leaves `left` to be taken in the window it is in.
    pub fn confine(&mut self, left: f64) {
        self.spent = (self.capacity - self.reserved - left).max(0.0);
    }

    /// Whether a cost fits a window, which ends in `left_ms`. A window that is over costs nothing. If only
    /// reserves stand in the way, there may be room long before the window ends.
    pub fn ask(&self, cost: f64, window: f64, left_ms: f64) -> Decision {
        if window < self.window {
            Decision::Go(0.0)
        } else if cost > self.capacity {
            Decision::Never
        } else if self.committed() + cost <= self.capacity {
            Decision::Go(0.0)
        } else if self.spent + cost <= self.capacity {
            wait(left_ms.min(HELD_MS))
        } else {
            wait(left_ms)
        }
    }

    /// Takes a cost in a window. `keep`: it is only reserved, and will be settled.
    pub fn take(&mut self, cost: f64, keep: bool, window: f64) {
        if window != self.window {
            return;
        }
        if keep {
            self.reserved += cost;
        } else {
            self.spent += cost;
        }
    }

    /// Ends a reserve taken in `window`. If that window is over, nothing changes.
    pub fn settle(&mut self, reserved: f64, used: f64, window: f64) {
        if window != self.window {
            return;
        }
        let (reserved, used) = sane(reserved, used);
        self.reserved -= reserved.min(self.reserved);
        self.spent = (self.spent + used).min(f64::MAX / 4.0);
    }

    /// Spending in the window, without reserves.
    pub fn spent(&self) -> f64 {
        self.spent
    }

    /// Spending plus reserves: everything that may turn out to be spent.
    pub fn committed(&self) -> f64 {
        self.spent + self.reserved
    }

    /// The current window.
    pub fn window(&self) -> f64 {
        self.window
    }

    /// Whether it has entered a window.
    pub fn entered(&self) -> bool {
        self.window > f64::MIN
    }

    /// The capacity of a window.
    pub fn capacity(&self) -> f64 {
        self.capacity
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_entered_once() {
        let mut budget = Budget::new(10.0).unwrap();
        budget.enter(5.0);
        budget.take(10.0, false, 5.0);
        assert_eq!(budget.ask(1.0, 5.0, 300.0), Decision::Wait(300.0));
        budget.enter(4.0);
        assert_eq!((budget.window(), budget.spent()), (5.0, 10.0));
        budget.enter(6.0);
        assert_eq!(budget.ask(10.0, 6.0, 300.0), Decision::Go(0.0));
        budget.enter(5.0);
        assert_eq!(budget.ask(11.0, 6.0, 300.0), Decision::Never);
    }

    #[test]
    fn a_reserve_is_settled_in_its_own_window() {
        let mut budget = Budget::new(10.0).unwrap();
        budget.enter(1.0);
        budget.take(6.0, true, 1.0);
        budget.take(2.0, true, 1.0);
        budget.settle(6.0, 7.0, 1.0);
        assert_eq!((budget.spent(), budget.committed()), (7.0, 9.0));
        budget.enter(2.0);
        budget.settle(2.0, 2.0, 1.0);
        assert_eq!(budget.ask(99.0, 1.0, 300.0), Decision::Go(0.0));
        budget.take(99.0, true, 1.0);
        assert_eq!(budget.committed(), 0.0);
    }

    #[test]
    fn room_that_is_only_reserved_is_no_matter_of_the_window() {
        let mut budget = Budget::new(10.0).unwrap();
        budget.enter(1.0);
        budget.take(9.0, true, 1.0);
        budget.take(1.0, false, 1.0);
        assert_eq!(budget.ask(9.0, 1.0, 3e6), Decision::Wait(HELD_MS));
        assert_eq!(budget.ask(9.0, 1.0, 300.0), Decision::Wait(300.0));
        assert_eq!(budget.ask(9.5, 1.0, 3e6), Decision::Wait(3e6));
        budget.settle(9.0, 0.5, 1.0);
        assert_eq!(budget.ask(8.5, 1.0, 3e6), Decision::Go(0.0));
    }

    #[test]
    fn what_was_kept_is_added_if_its_window_is_not_over() {
        let mut budget = Budget::new(10.0).unwrap();
        budget.restore(3.0, 4.0);
        budget.restore(2.0, 100.0);
        budget.restore(3.0, f64::NAN);
        assert_eq!((budget.window(), budget.spent()), (3.0, 4.0));
    }
}
