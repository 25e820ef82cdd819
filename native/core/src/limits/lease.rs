//! A pod's half of a limit that pods share: what it may admit on its lease, and what it reports to Redis.
//!
//! The other half is `src/sync/lease-script.ts`. `docs/internals/leases.md` has the algorithm and its bound.

use crate::limits::decision::{Decision, HELD_MS, sane, wait};
use crate::limits::demand::Demand;
use crate::limits::refused::Refused;
use crate::limits::terms::{Grant, Report, Terms};

/// A limit can be sliced for requests of which a pod's fair part holds at least this many.
const FEW: f64 = 4.0;
/// A pod that asked for nothing in this time gives its lease back.
const IDLE_MS: f64 = 3000.0;
/// A lease of which more is left is hardly used.
const UNUSED: f64 = 0.75;
/// A lease that lasts for longer than this part of what a lease should need not be renewed yet, though the next tick
/// may come late.
const AGE: f64 = 0.75;
/// Where the limit has room, the next grant should be here by then.
const SOON_MS: f64 = 100.0;
/// Part of what comes back to a pod's equal part that it may count on without a lease.
const UNTOLD: f64 = 0.5;

/// A pod's lease of one limit.
#[derive(Clone, Debug, PartialEq)]
pub struct Lease {
    terms: Terms,
    window: f64,
    hold: f64,
    until_ms: f64,
    reserved: f64,
    used: f64,
    acked: f64,
    pool: f64,
    shared_used: f64,
    leased: f64,
    told_ms: f64,
    frees_ms: f64,
    demand: Demand,
    /// What was used when it began to go on without Redis; `None`: the last grant holds.
    alone: Option<f64>,
    /// Redis has something else under its key, so that it goes on at its share.
    pub detached: bool,
    /// Is in the list of leases to report.
    pub listed: bool,
    /// Asked for a report ahead of time.
    pub urgent: bool,
    /// The last grant was less than wanted: asking again soon is of no use.
    dry: bool,
    /// Its last report wanted no more than is reserved; and so did the one that the last grant answers.
    content: bool,
    resting: bool,
    refused: Refused,
}

impl Lease {
    /// A lease that nothing was granted to.
    pub fn new(terms: Terms, now_ms: f64) -> Self {
        let demand = Demand { used_part: 1.0, reported_ms: now_ms, asked_ms: f64::MIN, ..Demand::default() };
        Lease {
            terms,
            window: 0.0,
            hold: 0.0,
            until_ms: f64::MIN,
            reserved: 0.0,
            used: 0.0,
            acked: 0.0,
            pool: terms.capacity,
            shared_used: 0.0,
            leased: 0.0,
            told_ms: now_ms,
            frees_ms: 0.0,
            demand,
            alone: None,
            detached: false,
            listed: false,
            urgent: false,
            dry: false,
            content: true,
            resting: true,
            refused: Refused::default(),
        }
    }

    /// The terms it has now.
    pub fn terms(&self) -> Terms {
        self.terms
    }

    /// Changes the limit; what is held stays.
    pub fn set(&mut self, capacity: f64, supply: f64) {
        self.pool += capacity - self.terms.capacity;
        self.terms.fair *= capacity / self.terms.capacity;
        self.terms.advance *= capacity / self.terms.capacity;
        self.terms.capacity = capacity;
        self.terms.supply = supply;
    }

    /// Enters a window of the calendar if it is a later one: what is held was of the one before.
    pub fn enter(&mut self, window: f64) {
        if window > self.window {
            let before = self.clone();
            *self = Lease::new(self.terms, before.demand.reported_ms);
            self.window = window;
            self.demand = Demand { settled: 0.0, settled_used: 0.0, ..before.demand };
            (self.listed, self.urgent, self.detached) = (before.listed, before.urgent, before.detached);
        }
    }

    /// The window it is in; 0: none.
    pub fn window(&self) -> f64 {
        self.window
    }

    /// Whether a cost is there; what is refused counts as demand. `left_ms`: until the window ends, of a budget.
    pub fn ask(&mut self, cost: f64, left_ms: Option<f64>, now_ms: f64) -> Decision {
        self.asked(cost, now_ms);
        if cost > self.terms.capacity {
            return Decision::Never;
        }
        let credit = self.credit(now_ms).max(self.ahead(cost, now_ms));
        if cost <= credit + self.terms.capacity * 1e-9 {
            return Decision::Go(0.0);
        }
        self.demand.refused += cost;
        // Where it is too small to slice, each request asks.
        let sliced = self.sliced(cost);
        self.urgent |= sliced && !self.dry;
        if !sliced && self.refused.covers(cost, now_ms) && self.frees_ms > now_ms {
            return wait(self.frees_ms - now_ms);
        }
        let missing = cost - credit.max(0.0) - self.pool.max(0.0);
        if missing <= 0.0 {
            return Decision::Wait(SOON_MS);
        }
        if let Some(left_ms) = left_ms {
            let spent = self.shared_used + self.unreported();
            return if spent + cost <= self.terms.capacity { Decision::Wait(HELD_MS) } else { wait(left_ms) };
        }
        if self.frees_ms > now_ms {
            return wait(self.frees_ms - now_ms);
        }
        if self.terms.supply > 0.0 {
            return wait((missing / self.terms.supply * 1000.0).max(SOON_MS));
        }
        Decision::Wait(HELD_MS)
    }

    /// Notes a cost that somebody else decides on.
    pub fn asked(&mut self, cost: f64, now_ms: f64) {
        if self.demand.measured == 0.0 && !self.listed {
            // Nothing was asked for lately: averages begin here.
            self.demand = Demand {
                used_part: self.demand.used_part,
                largest: self.demand.largest,
                reported_ms: now_ms,
                ..Demand::default()
            };
        }
        self.demand.asked_ms = now_ms;
        if cost.is_finite() {
            self.demand.largest_new = self.demand.largest_new.max(cost);
        }
    }

    /// Takes a cost; `keep`: it is only reserved, and will be settled.
    pub fn take(&mut self, cost: f64, keep: bool, now_ms: f64) {
        self.demand.taken += cost;
        if keep {
            self.reserved += cost;
        } else {
            self.used += cost;
            self.demand.settled += cost;
            self.demand.settled_used += cost;
        }
        self.urgent |= !self.dry && self.sliced(cost) && self.credit(now_ms) < self.hold / 2.0;
    }

    /// Ends a reserve with what was really used.
    pub fn settle(&mut self, reserved: f64, used: f64) {
        let (reserved, used) = sane(reserved, used);
        self.reserved = (self.reserved - reserved).max(0.0);
        self.used = (self.used + used).min(f64::MAX / 4.0);
        self.demand.settled += reserved;
        self.demand.settled_used += used;
    }

    /// What may be admitted now: of the lease while it lasts, and of the advance while it rests.
    pub fn credit(&self, now_ms: f64) -> f64 {
        let ahead = if self.resting { self.advance(now_ms) } else { 0.0 };
        self.granted(now_ms) + ahead - self.reserved - self.unreported()
    }

    fn granted(&self, now_ms: f64) -> f64 {
        if now_ms < self.until_ms { self.hold } else { 0.0 }
    }

    /// Never more than what should be left by now.
    fn advance(&self, now_ms: f64) -> f64 {
        if self.sliceable(self.demand.largest) { self.terms.advance.min(self.expected(now_ms)) } else { 0.0 }
    }

    /// What was left when Redis last said so, and half of an equal part of what has come back since: others may have
    /// used the rest, and all pods that ask seldom must not admit more than comes back.
    fn expected(&self, now_ms: f64) -> f64 {
        let Terms { capacity, supply, fair, .. } = self.terms;
        self.pool.max(0.0) + UNTOLD * fair / capacity * supply * (now_ms - self.told_ms).max(0.0) / 1000.0
    }

    /// What one request may take though no grant for it is here yet: where nothing else is that was not granted.
    fn ahead(&self, cost: f64, now_ms: f64) -> f64 {
        let first = self.resting && self.reserved + self.unreported() <= self.granted(now_ms);
        if first && self.sliceable(cost) { self.terms.fair.min(self.expected(now_ms)) } else { 0.0 }
    }

    /// Whether a pod's fair part of the limit holds a few requests of a cost.
    pub fn sliceable(&self, cost: f64) -> bool {
        cost * FEW <= self.terms.fair
    }

    /// Whether it is sliced for requests of late and this one: a large one leaves nothing to lease to others. What is
    /// paced is not leased at all.
    fn sliced(&self, cost: f64) -> bool {
        !self.terms.paced && self.sliceable(cost.max(self.demand.largest).max(self.demand.largest_new))
    }

    /// Whether Redis is to be asked for a cost: the limit is not sliced, and may have it.
    pub fn asks(&self, cost: f64, now_ms: f64) -> bool {
        !self.terms.paced && !self.sliced(cost) && !self.refused.covers(cost, now_ms)
    }

    /// What could be admitted now, by this pod or any other. An advance is a part of what is left, not more.
    pub fn left(&self, now_ms: f64) -> f64 {
        self.pool.max(0.0) + self.granted(now_ms) - self.reserved - self.unreported()
    }

    /// What all pods have used, as far as this one knows.
    pub fn spent(&self) -> f64 {
        self.shared_used + self.unreported()
    }

    /// As [`Lease::spent`], with what is reserved here.
    pub fn committed(&self) -> f64 {
        self.spent() + self.reserved
    }

    /// What all pods hold together, as last told.
    pub fn leased(&self) -> f64 {
        self.leased
    }

    /// What this pod holds: granted, not used yet.
    pub fn held(&self, now_ms: f64) -> f64 {
        (self.granted(now_ms) - self.unreported()).max(self.reserved)
    }

    /// When more becomes free, in monotonic ms; 0: unknown.
    pub fn frees_ms(&self, now_ms: f64) -> f64 {
        if self.frees_ms > now_ms { self.frees_ms } else { 0.0 }
    }

    /// What the pod goes on with when Redis is gone: its credit, and its share of what was left.
    pub fn allotment(&self, now_ms: f64) -> f64 {
        (self.granted(now_ms) - self.reserved - self.unreported()).max(0.0)
            + self.terms.share * self.pool.max(0.0)
    }

    /// Nothing is held, nothing is to be reported.
    pub fn idle(&self) -> bool {
        self.reserved <= 0.0 && self.unreported() <= 0.0 && self.hold <= 0.0 && !self.listed
    }

    /// Adds what is known to have been used in a window of the calendar.
    pub fn restore(&mut self, window: f64, spent: f64) {
        self.enter(window);
        if window == self.window && spent.is_finite() && spent > self.shared_used {
            self.shared_used = spent;
            self.pool = (self.terms.capacity - spent).max(0.0);
        }
    }

    /// Goes on without Redis; false: it does already.
    pub fn leave(&mut self) -> bool {
        let leaves = self.alone.is_none();
        self.alone.get_or_insert(self.used);
        leaves
    }

    /// What to tell Redis. From here on the pod admits no more than it says it keeps, until the answer is here.
    /// `ask`: a cost that waits for the answer. `horizon_ms`: for how long the lease should last.
    pub fn report(&mut self, ask: f64, horizon_ms: f64, now_ms: f64) -> Report {
        // What waits was refused once, and will be decided again.
        self.demand.refused = (self.demand.refused - ask).max(0.0);
        self.demand.average(now_ms);
        let demand = &self.demand;
        let idle = now_ms - demand.asked_ms > IDLE_MS || self.terms.paced;
        let measured = demand.measured.max(f64::MIN_POSITIVE);
        let lasting = |rate: f64| rate / measured * horizon_ms / 1000.0;
        let ahead = lasting(demand.taken_rate + demand.refused_rate);
        let spare = if ask > 0.0 {
            ask
        } else if idle || horizon_ms <= 0.0 || !self.sliceable(demand.largest) {
            0.0
        } else {
            // More than is asked for on average, so that a burst finds something.
            ahead.max(demand.largest.ceil()).max(self.terms.advance)
        };
        let credit = self.granted(now_ms) - self.reserved - self.unreported();
        let keep = self.reserved + credit.clamp(0.0, spare);
        self.hold = keep + self.unreported();
        self.urgent = false;
        self.content = spare <= 0.0;
        if self.terms.paced {
            // Redis keeps no account of it: what was used is nobody's business any more.
            self.acked = self.used;
        }
        let decayed = self.terms.supply * (now_ms - self.told_ms).max(0.0) / 1000.0;
        Report {
            window: self.window,
            used: self.used,
            acked: self.acked,
            reserved: self.reserved,
            keep: if self.terms.paced { 0.0 } else { keep },
            want: if self.terms.paced { 0.0 } else { self.reserved + spare },
            demand: if self.terms.in_flight {
                self.reserved + lasting(demand.refused_rate)
            } else {
                (demand.used_rate + demand.refused_rate * demand.used_part) / measured
            },
            largest: demand.largest,
            known: self.shared_used - decayed,
            outage: self.alone.map_or(0.0, |before| (self.used - before).max(0.0)),
        }
    }

    /// Adopts an answer of Redis; one of a window that is over changes nothing.
    pub fn grant(&mut self, grant: Grant, wanted: f64, now_ms: f64) {
        if grant.window != self.window {
            return;
        }
        self.acked = grant.used;
        self.hold = grant.hold;
        self.until_ms = grant.until_ms;
        // Who wanted nothing has no lease: its next request may take the advance.
        self.resting = self.content;
        self.pool = grant.pool;
        self.shared_used = grant.shared_used;
        self.leased = grant.leased;
        self.frees_ms = grant.frees_ms;
        self.told_ms = now_ms;
        self.terms.share = grant.share;
        self.terms.fair = grant.fair;
        self.terms.advance = grant.advance;
        self.dry = grant.pool < wanted - grant.hold;
        if wanted > grant.hold {
            // Several may have asked together.
            let cost = (wanted - grant.hold).min(self.demand.largest);
            self.refused.note(cost, grant.frees_ms, self.terms.in_flight, now_ms);
        }
        self.alone = None;
        self.detached = false;
    }

    /// Whether a report is worth its price: the lease ends soon or runs low, or somebody was refused. A lease that is
    /// hardly used is reported every other tick.
    pub fn due(&self, horizon_ms: f64, now_ms: f64) -> bool {
        let age_ms = AGE * horizon_ms;
        let fresh =
            if self.terms.paced { self.told_ms + age_ms > now_ms } else { self.until_ms - age_ms > now_ms };
        let idle = now_ms - self.demand.asked_ms > IDLE_MS;
        !fresh || idle || self.demand.refused > 0.0 || self.credit(now_ms) < self.hold * UNUSED
    }

    /// Whether there is nothing left to report.
    pub fn at_rest(&self, now_ms: f64) -> bool {
        let idle = now_ms - self.demand.asked_ms > IDLE_MS;
        idle && self.reserved <= 0.0
            && self.unreported() <= 0.0
            && (self.hold <= 0.0 || now_ms >= self.until_ms)
    }

    /// Forgets an expired grant once it is at rest.
    pub fn rest(&mut self) {
        (self.hold, self.until_ms, self.resting) = (0.0, f64::MIN, true);
        self.demand.measured = 0.0;
    }

    fn unreported(&self) -> f64 {
        self.used - self.acked
    }
}
