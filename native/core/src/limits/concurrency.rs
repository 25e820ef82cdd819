//! Concurrency: how much is in flight at once.

use crate::limits::decision::{BadRate, Decision, HELD_MS, good, sane};

/// At most `capacity` at once.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Concurrency {
    capacity: f64,
    held: f64,
}

impl Concurrency {
    /// A limit of which nothing is held.
    ///
    /// # Errors
    /// [`BadRate`] if a setting is invalid.
    pub fn new(capacity: f64) -> Result<Self, BadRate> {
        if good(capacity) { Ok(Concurrency { capacity, held: 0.0 }) } else { Err(BadRate) }
    }

    /// Changes the capacity; what is held stays.
    ///
    /// # Errors
    /// As for [`Concurrency::new`].
    pub fn set(&mut self, capacity: f64) -> Result<(), BadRate> {
        self.capacity = Concurrency::new(capacity)?.capacity;
        Ok(())
    }

    /// Whether a cost fits now.
    pub fn ask(&self, cost: f64) -> Decision {
        if cost > self.capacity {
            Decision::Never
        } else if self.held + cost <= self.capacity {
            Decision::Go(0.0)
        } else {
            Decision::Wait(HELD_MS)
        }
    }

    /// Holds a cost until it is settled.
    pub fn take(&mut self, cost: f64) {
        self.held += cost;
    }

    /// Releases what was held.
    pub fn settle(&mut self, held: f64) {
        let (held, _) = sane(held, 0.0);
        self.held -= held.min(self.held);
    }

    /// What is held.
    pub fn held(&self) -> f64 {
        self.held
    }

    /// The largest cost it can hold.
    pub fn capacity(&self) -> f64 {
        self.capacity
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_much_at_once() {
        let mut concurrency = Concurrency::new(2.0).unwrap();
        concurrency.take(1.0);
        concurrency.take(1.0);
        assert_eq!(concurrency.ask(1.0), Decision::Wait(HELD_MS));
        assert_eq!(concurrency.ask(3.0), Decision::Never);
        concurrency.settle(1.0);
        assert_eq!(concurrency.ask(1.0), Decision::Go(0.0));
        for odd in [5.0, f64::NAN, -1.0] {
            concurrency.settle(odd);
        }
        assert_eq!(concurrency.held(), 0.0);
    }
}
