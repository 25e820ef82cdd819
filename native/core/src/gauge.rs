//! Concurrency: how much is at work at once.

use crate::answer::{Answer, BadRate, HELD_MS, good, sane};

/// At most `capacity` at once.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Gauge {
    capacity: f64,
    held: f64,
}

impl Gauge {
    /// A gauge that holds nothing.
    ///
    /// # Errors
    /// As [`BadRate`] says.
    pub fn new(capacity: f64) -> Result<Self, BadRate> {
        if good(capacity) { Ok(Gauge { capacity, held: 0.0 }) } else { Err(BadRate) }
    }

    /// Changes the capacity; what is held stays.
    ///
    /// # Errors
    /// As for [`Gauge::new`].
    pub fn set(&mut self, capacity: f64) -> Result<(), BadRate> {
        self.capacity = Gauge::new(capacity)?.capacity;
        Ok(())
    }

    /// Whether a cost fits now.
    pub fn ask(&self, cost: f64) -> Answer {
        if cost > self.capacity {
            Answer::Never
        } else if self.held + cost <= self.capacity {
            Answer::Go(0.0)
        } else {
            Answer::Wait(HELD_MS)
        }
    }

    /// Holds a cost until it is settled.
    pub fn take(&mut self, cost: f64) {
        self.held += cost;
    }

    /// Lets go of what was held.
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
        let mut gauge = Gauge::new(2.0).unwrap();
        gauge.take(1.0);
        gauge.take(1.0);
        assert_eq!(gauge.ask(1.0), Answer::Wait(HELD_MS));
        assert_eq!(gauge.ask(3.0), Answer::Never);
        gauge.settle(1.0);
        assert_eq!(gauge.ask(1.0), Answer::Go(0.0));
        for odd in [5.0, f64::NAN, -1.0] {
            gauge.settle(odd);
        }
        assert_eq!(gauge.held(), 0.0);
    }
}
