//! The bucket against a slow one that counts every millisecond.

use proptest::collection::vec;
use proptest::prelude::*;
use sidegate_core::limits::decision::{Decision, HELD_MS};
use sidegate_core::limits::token_bucket::TokenBucket;

/// Equal but for rounding.
fn near(a: f64, b: f64) -> bool {
    (a - b).abs() < 1e-6
}

/// In whole tokens and milliseconds, so that it is exact.
struct Slow {
    capacity: i64,
    per_ms: i64,
    level: i64,
    held: Vec<i64>,
}

impl Slow {
    fn room(&self) -> i64 {
        (self.capacity - self.held.iter().sum::<i64>()).max(0)
    }

    fn pass(&mut self, ms: u32) {
        for _ in 0..ms {
            for _ in 0..self.per_ms {
                if self.level < self.room() {
                    self.level += 1;
                }
            }
        }
    }

    fn take(&mut self, cost: i64) -> Decision {
        if cost > self.capacity {
            Decision::Never
        } else if cost <= self.level {
            self.level -= cost;
            self.held.push(cost);
            Decision::Go(0.0)
        } else {
            let least_ms = if cost > self.room() { HELD_MS } else { 0.0 };
            Decision::Wait(least_ms.max((cost - self.level) as f64 / self.per_ms as f64))
        }
    }

    fn settle(&mut self, cost: i64, used: i64) {
        let at = self.held.iter().position(|&held| held == cost).expect("it is held");
        self.held.remove(at);
        self.level = (self.level + cost - used).min(self.room());
    }

    fn set(&mut self, capacity: i64, per_ms: i64) {
        self.capacity = capacity;
        self.per_ms = per_ms;
        self.level = self.level.min(self.room());
    }
}

#[derive(Clone, Debug)]
enum Step {
    Pass(u32),
    Back(u32),
    Take(i64),
    Settle(usize, i64),
    Set(i64, i64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0u32..60).prop_map(Step::Pass),
        1 => (0u32..1000).prop_map(Step::Back),
        4 => (0i64..110).prop_map(Step::Take),
        3 => (0usize..8, 0i64..150).prop_map(|(which, used)| Step::Settle(which, used)),
        1 => (1i64..150, 1i64..5).prop_map(|(capacity, per_ms)| Step::Set(capacity, per_ms)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn it_agrees_with_the_slow_one(steps in vec(step(), 1..80)) {
        let mut bucket = TokenBucket::new(100.0, 2000.0, 0.0).unwrap();
        let mut slow = Slow { capacity: 100, per_ms: 2, level: 100, held: Vec::new() };
        let mut now_ms = 0.0;
        for step in steps {
            match step {
                Step::Pass(ms) => {
                    now_ms += f64::from(ms);
                    slow.pass(ms);
                }
                // No time passes, and none is made up for later.
                Step::Back(ms) => prop_assert!(near(bucket.level(now_ms - f64::from(ms)), slow.level as f64)),
                Step::Take(cost) => match (bucket.ask(cost as f64, now_ms), slow.take(cost)) {
                    (Decision::Wait(wait_ms), Decision::Wait(slow_ms)) => prop_assert!(near(wait_ms, slow_ms)),
                    (answer, slow) => {
                        prop_assert_eq!(answer, slow);
                        if answer == Decision::Go(0.0) {
                            bucket.take(cost as f64, true, now_ms);
                        }
                    }
                },
                Step::Settle(which, used) => {
                    if let Some(&cost) = slow.held.get(which) {
                        slow.settle(cost, used);
                        bucket.settle(cost as f64, used as f64, now_ms);
                    }
                }
                Step::Set(capacity, per_ms) => {
                    slow.set(capacity, per_ms);
                    bucket.set(capacity as f64, per_ms as f64 * 1000.0, now_ms).unwrap();
                }
            }
            prop_assert!(near(bucket.level(now_ms), slow.level as f64));
            prop_assert!(slow.level <= slow.capacity);
        }
    }
}
