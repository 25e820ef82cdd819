//! What a pod and Redis tell each other of a limit that pods share.

/// What a lease is for. Amounts are in the meter's measure.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Terms {
    /// The limit of all pods together.
    pub capacity: f64,
    /// What all pods get back per second: refill, or capacity over length of a window; 0: nothing.
    pub supply: f64,
    /// Part of the limit this pod goes on with when Redis is gone, above 0 and at most 1.
    pub share: f64,
    /// What an equal part of the limit comes to.
    pub fair: f64,
    /// What may be admitted before the first grant is here, and is debited with the next report.
    pub advance: f64,
    /// Whether it is decided at the pod's share without a lease: leaky buckets.
    pub paced: bool,
    /// Whether it counts what is in flight, so that nothing is used up.
    pub in_flight: bool,
}

/// What a pod tells Redis of a limit. Sums count from the lease's beginning, so that a report that is lost, or
/// arrives twice, changes nothing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Report {
    /// The window of the calendar it is about; 0: none.
    pub window: f64,
    /// All that was used.
    pub used: f64,
    /// The part of it that Redis has confirmed.
    pub acked: f64,
    /// Reserved by requests in flight.
    pub reserved: f64,
    /// What the pod keeps of its lease, with what is reserved; it has given up the rest.
    pub keep: f64,
    /// What it would like to hold.
    pub want: f64,
    /// Used per second, and what would be used by requests that were refused; of what counts what is in flight, that
    /// and what was refused in the time a lease should last.
    pub demand: f64,
    /// The largest cost asked for lately.
    pub largest: f64,
    /// What all pods had used, as far as this one knows: what Redis forgot is refilled from it. Below 0: so much has
    /// come back since that the limit could not hold.
    pub known: f64,
    /// What of `used` was used without Redis, since the last grant.
    pub outage: f64,
}

/// What Redis answers to a report.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Grant {
    /// The report's window and sum.
    pub window: f64,
    /// `used` of the report this answers.
    pub used: f64,
    /// What may be reserved and used beyond that.
    pub hold: f64,
    /// When it expires, in monotonic ms.
    pub until_ms: f64,
    /// What is neither used nor held by a pod.
    pub pool: f64,
    /// What all pods have used.
    pub shared_used: f64,
    /// What all pods hold.
    pub leased: f64,
    /// When more becomes free, in monotonic ms; 0: unknown.
    pub frees_ms: f64,
    /// As in [`Terms`].
    pub share: f64,
    /// As in [`Terms`].
    pub fair: f64,
    /// As in [`Terms`].
    pub advance: f64,
}
