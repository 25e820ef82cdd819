//! The leases of a table of meters: what they report to Redis, and what they are granted.

use crate::limits::lease::Lease;
use crate::limits::meters::{Meters, id_of, index_of};
use crate::limits::terms::{Grant, Report};

/// Numbers of one entry of [`Meters::report`].
pub const REPORT: usize = 11;
/// Numbers of one entry of [`Meters::grant`].
pub const GRANT: usize = 13;
/// Numbers of [`Meters::view`].
pub const VIEW: usize = 5;

impl Meters {
    /// Puts a lease into the list of those to report, and passes on its urgency.
    pub(crate) fn list(&mut self, id: f64) {
        let Some(lease) = self.lease(id) else { return };
        let urgent = lease.urgent;
        let listed = std::mem::replace(&mut lease.listed, true);
        self.urgent |= urgent;
        if !listed {
            self.listed.push(index_of(id) as u32);
        }
    }

    /// Whether a lease would rather report before its turn, since this was last asked.
    pub fn urgent(&mut self) -> bool {
        std::mem::take(&mut self.urgent)
    }

    /// Redis is gone, or is back.
    pub fn set_alone(&mut self, alone: bool) {
        self.alone = alone;
    }

    /// Reads what leases have to report, at most as many as there is room for, those that waited longest first:
    /// id, window, used, confirmed, reserved, kept, wanted, demand, largest, known, used without Redis. Gives how many were written.
    /// Those that are at rest are reported no more.
    pub fn report(&mut self, out: &mut [f64], horizon_ms: f64, now_ms: f64) -> usize {
        let room = out.len() / REPORT;
        let list = std::mem::take(&mut self.listed);
        let mut rest = Vec::with_capacity(list.len());
        let mut later = Vec::new();
        let mut written = 0;
        for index in list {
            let slot = &mut self.slots[index as usize];
            let id = id_of(slot.generation, index);
            let Some(lease) = slot.meter.as_mut().and_then(|meter| meter.lease()) else { continue };
            if !lease.listed {
                // The slot has changed hands, and its new meter was not asked yet.
                continue;
            }
            if lease.at_rest(now_ms) {
                lease.listed = false;
                lease.rest();
            } else if written < room && (horizon_ms <= 0.0 || lease.due(horizon_ms, now_ms)) {
                write(out, written, id, lease.report(0.0, horizon_ms, now_ms));
                written += 1;
                later.push(index);
            } else {
                rest.push(index);
            }
        }
        rest.append(&mut later);
        self.listed = rest;
        written
    }

    /// What one lease has to report, as [`Meters::report`], with a cost that waits for the answer; false: there
    /// is no such lease.
    pub fn report_one(&mut self, id: f64, cost: f64, out: &mut [f64], horizon_ms: f64, now_ms: f64) -> bool {
        self.list(id);
        let Some(lease) = self.lease(id) else { return false };
        write(out, 0, id, lease.report(cost, horizon_ms, now_ms));
        true
    }

    /// Adopts answers. An entry is id, window, used, hold, until, pool, used by all, leased by all, frees at,
    /// share, fair, advance, and what was wanted.
    pub fn grant(&mut self, entries: &[f64], now_ms: f64) {
        for entry in entries.chunks_exact(GRANT) {
            let &[
                id,
                window,
                used,
                hold,
                until_ms,
                pool,
                shared_used,
                leased,
                frees_ms,
                share,
                fair,
                advance,
                wanted,
            ] = entry
            else {
                continue;
            };
            if !entry.iter().all(|number| number.is_finite()) || share <= 0.0 || share > 1.0 {
                continue;
            }
            let grant = Grant {
                window,
                used,
                hold,
                until_ms,
                pool,
                shared_used,
                leased,
                frees_ms,
                share,
                fair,
                advance,
            };
            if let Some(meter) = self.get(id) {
                meter.grant(grant, wanted, now_ms);
            }
            self.touch(id);
        }
    }

    /// Has a meter go on at its share until its next grant, since Redis has something else under its key.
    pub fn detach(&mut self, id: f64) {
        if let Some(lease) = self.lease(id) {
            lease.detached = true;
        }
    }

    /// What people see of a lease: used by all, left, held here, held by all, frees at (0: unknown); false: there
    /// is no such lease.
    pub fn view(&mut self, id: f64, out: &mut [f64; VIEW], now_ms: f64) -> bool {
        let alone = self.alone;
        let Some(meter) = self.get(id) else { return false };
        let left = meter.left(alone, now_ms);
        let spent = meter.spent(now_ms);
        let Some(lease) = meter.lease() else { return false };
        *out = [spent, left, lease.held(now_ms), lease.leased(), lease.frees_ms(now_ms)];
        true
    }

    /// Whether a cost is so large that the limit can't be sliced for it, so that Redis is to be asked: not for what
    /// it refused a moment ago.
    pub fn asks(&mut self, id: f64, cost: f64, now_ms: f64) -> bool {
        let alone = self.alone;
        self.lease(id).is_some_and(|lease| !alone && !lease.detached && lease.asks(cost, now_ms))
    }

    fn lease(&mut self, id: f64) -> Option<&mut Lease> {
        self.get(id)?.lease()
    }
}

fn write(out: &mut [f64], at: usize, id: f64, report: Report) {
    let Report { window, used, acked, reserved, keep, want, demand, largest, known, outage } = report;
    out[at * REPORT..][..REPORT]
        .copy_from_slice(&[id, window, used, acked, reserved, keep, want, demand, largest, known, outage]);
}
