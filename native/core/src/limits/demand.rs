//! What a pod is asked for under a limit that pods share, on average.

/// Rates are averaged over about this time.
const AVERAGE_MS: f64 = 2000.0;
/// The largest cost of late is forgotten over about this time: a lease always holds one such request.
const LARGEST_MS: f64 = 60_000.0;

/// What was asked for since the last report, and its averages.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Demand {
    pub(crate) taken: f64,
    pub(crate) refused: f64,
    pub(crate) settled: f64,
    pub(crate) settled_used: f64,
    pub(crate) largest_new: f64,
    pub(crate) largest: f64,
    pub(crate) taken_rate: f64,
    pub(crate) refused_rate: f64,
    pub(crate) used_rate: f64,
    /// Used of what is reserved, on average.
    pub(crate) used_part: f64,
    /// How much of the averages is measured: they begin at 0.
    pub(crate) measured: f64,
    pub(crate) reported_ms: f64,
    pub(crate) asked_ms: f64,
}

impl Demand {
    /// Adds what was asked for since the last time to the averages.
    pub(crate) fn average(&mut self, now_ms: f64) {
        let demand = self;
        let passed_ms = now_ms - demand.reported_ms;
        if passed_ms < 1.0 {
            demand.largest = demand.largest.max(demand.largest_new);
            return;
        }
        let old = (-passed_ms / AVERAGE_MS).exp();
        let rate = |before: f64, sum: f64| before * old + sum / passed_ms * 1000.0 * (1.0 - old);
        demand.measured = demand.measured * old + (1.0 - old);
        demand.taken_rate = rate(demand.taken_rate, demand.taken);
        demand.refused_rate = rate(demand.refused_rate, demand.refused);
        demand.used_rate = rate(demand.used_rate, demand.settled_used);
        if demand.settled > 0.0 {
            let part = (demand.settled_used / demand.settled).min(1.0);
            demand.used_part = demand.used_part * old + part * (1.0 - old);
        }
        // The largest of late: what was larger is forgotten by and by.
        demand.largest = demand.largest_new.max(demand.largest * (-passed_ms / LARGEST_MS).exp());
        demand.largest_new = 0.0;
        (demand.taken, demand.refused, demand.settled, demand.settled_used) = (0.0, 0.0, 0.0, 0.0);
        demand.reported_ms = now_ms;
    }
}
