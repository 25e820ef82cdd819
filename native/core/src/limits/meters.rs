//! All meters of the process, and the decision over those that apply to a request: it passes all of them, or
//! none is charged.

use std::collections::HashMap;

use crate::limits::decision::Decision;
use crate::limits::entry::{Asked, CHANGED, ENTRY, SETTLE, SWEEP, Settled, Swept, ask, told};
use crate::limits::meter::Meter;
use crate::limits::settings::Span;

/// Maximum number of open meters.
pub const OPEN_MAX: usize = 1 << 20;

/// Why a decision could not be made. Nothing was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// This entry's id has no meter: it was never issued, or is closed.
    Unknown(usize),
    /// This entry's cost is not a number of at least 0.
    BadCost(usize),
}

pub(crate) struct Slot {
    pub(crate) generation: u32,
    pub(crate) meter: Option<Meter>,
    /// The name it was opened under, and so often it was, and not closed since.
    pub(crate) name: Option<Box<str>>,
    pub(crate) holders: u32,
    /// Already listed in `changed`, perhaps for a meter that has been closed since.
    pub(crate) changed: bool,
}

/// The table. An id is never reused, so a late caller can't reach another meter.
#[derive(Default)]
pub struct Meters {
    pub(crate) slots: Vec<Slot>,
    pub(crate) free: Vec<u32>,
    /// Slots of the meters that have a name.
    pub(crate) named: HashMap<Box<str>, u32>,
    /// Slots of budgets whose sums changed since they were last read, each once, as they may never be read.
    changed: Vec<u32>,
    /// Whether Redis is unreachable, so that each pod uses its own share of shared limits.
    pub(crate) alone: bool,
    /// Slots of leases that have something to report, each once.
    pub(crate) listed: Vec<u32>,
    /// Whether a lease should report ahead of its turn.
    pub(crate) urgent: bool,
}

impl Meters {
    /// An empty table.
    pub fn new() -> Self {
        Meters::default()
    }

    /// The meter with this id.
    pub fn get(&mut self, id: f64) -> Option<&mut Meter> {
        self.slot(id)?.meter.as_mut()
    }

    /// What could be taken from a meter now. `None` if there is no such meter.
    pub fn left(&mut self, id: f64, now_ms: f64) -> Option<f64> {
        let alone = self.alone;
        Some(self.get(id)?.left(alone, now_ms))
    }

    /// Decides on a request: takes every entry's cost, or none. An observed entry never refuses; where one
    /// would have, nothing is taken from any observed meter, as if it had refused.
    ///
    /// An entry is as [`Asked`] says. Entries have different ids. `delay_max_ms`: a start later than that is a refusal too.
    ///
    /// Gives the ms after which the request may start, and in each entry what is left and the flags of [`told`]. For a
    /// refusal gives minus the number of the entry that refuses for
    /// longest, from 1, and instead of its cost the ms to wait, -1 for ever.
    ///
    /// # Errors
    /// See [`Fault`].
    pub fn admit(&mut self, entries: &mut [f64], delay_max_ms: f64, now_ms: f64) -> Result<f64, Fault> {
        let mut delay_ms = 0.0_f64;
        let mut would_refuse = false;
        let mut worst: Option<(usize, f64)> = None;
        for (number, entry) in entries.chunks_exact_mut(ENTRY).enumerate() {
            let [id, cost, window, left_ms, flags] = *entry else { continue };
            let alone = self.is_alone(flags);
            let meter = self.get(id).ok_or(Fault::Unknown(number))?;
            let window = if flags as u32 & ask::HELD == 0 { meter.window(window) } else { window };
            entry[Asked::Window as usize] = window;
            if cost.is_nan() || cost < 0.0 {
                return Err(Fault::BadCost(number));
            }
            let observed = flags as u32 & ask::OBSERVED != 0;
            let wait_ms = match meter.ask(cost, Span { window, left_ms }, alone, now_ms) {
                Decision::Go(ms) if ms <= delay_max_ms => {
                    delay_ms = if observed { delay_ms } else { delay_ms.max(ms) };
                    continue;
                }
                Decision::Go(ms) => ms - delay_max_ms,
                Decision::Wait(ms) => ms,
                Decision::Never => f64::INFINITY,
            };
            if observed {
                would_refuse = true;
                // Bits that an asking entry doesn't have.
                entry[Asked::Flags as usize] = f64::from(flags as u32 | told::WOULD_REFUSE);
            } else if worst.is_none_or(|(_, ms)| wait_ms > ms) {
                worst = Some((number, wait_ms));
            }
        }
        if let Some((number, wait_ms)) = worst {
            let entry = &mut entries[number * ENTRY..(number + 1) * ENTRY];
            let alone = self.is_alone(entry[Asked::Flags as usize]);
            entry[Asked::Cost as usize] = if wait_ms.is_finite() { wait_ms } else { -1.0 };
            entry[Asked::Left as usize] =
                self.get(entry[Asked::Id as usize]).map_or(0.0, |meter| meter.left(alone, now_ms));
            self.list(entry[Asked::Id as usize]);
            return Ok(-((number + 1) as f64));
        }
        for entry in entries.chunks_exact_mut(ENTRY) {
            self.take(entry, would_refuse, now_ms);
        }
        Ok(delay_ms)
    }

    /// Whether an entry with these flags is decided by this process' share of what pods share.
    fn is_alone(&self, flags: f64) -> bool {
        self.alone || flags as u32 & ask::ALONE != 0
    }

    fn take(&mut self, entry: &mut [f64], would_refuse: bool, now_ms: f64) {
        let [id, cost, window, left_ms, flags] = *entry else { return };
        let alone = self.is_alone(flags);
        let Some(meter) = self.get(id) else { return };
        let flags = flags as u32;
        if would_refuse && flags & ask::OBSERVED != 0 {
            entry[Asked::Left as usize] = meter.left(alone, now_ms);
            entry[Asked::Flags as usize] = f64::from(told::NOT_TAKEN | flags & told::WOULD_REFUSE);
            return;
        }
        let crossed = meter.take(cost, flags & ask::SPENT == 0, Span { window, left_ms }, now_ms);
        let reported = flags & ask::QUIET == 0 && meter.take_warning();
        entry[Asked::Left as usize] = meter.left(alone, now_ms);
        entry[Asked::Flags as usize] =
            f64::from(u32::from(crossed) * told::CROSSED + u32::from(reported) * told::SAY);
        self.touch(id);
    }

    /// Ends reserves. An entry is as [`Settled`] says. Meters that are gone are left out.
    pub fn settle(&mut self, entries: &mut [f64], now_ms: f64) {
        for entry in entries.chunks_exact_mut(SETTLE) {
            let [id, reserved, used, window] = *entry else { continue };
            let crossed = self.get(id).is_some_and(|meter| meter.settle(reserved, used, window, now_ms));
            entry[Settled::Window as usize] = f64::from(u8::from(crossed));
            self.touch(id);
        }
    }

    /// Lets go of those meters that would be the same if made anew. `leads`: only of those that nobody else holds, since
    /// what others use is seen, saved and leased here. An entry is as [`Swept`] says.
    pub fn sweep(&mut self, entries: &mut [f64], leads: bool, now_ms: f64) {
        for entry in entries.chunks_exact_mut(SWEEP) {
            let [id, window] = *entry else { continue };
            let stays = leads && self.slot(id).is_some_and(|slot| slot.holders > 1);
            let goes = !stays && self.get(id).is_none_or(|meter| meter.idle(window, now_ms));
            if goes {
                self.close(id);
            }
            entry[Swept::Id as usize] = f64::from(u8::from(goes));
        }
    }

    /// Adds known spending to a budget in a window; false if there is no such budget.
    pub fn restore(&mut self, id: f64, window: f64, spent: f64) -> bool {
        let restored = self.get(id).is_some_and(|meter| meter.restore(window, spent));
        self.list(id);
        restored
    }

    /// Reads budgets that have changed, an entry for each as [`crate::limits::entry::Changed`] says. Gives how many were written; fewer than there is room for once no more have changed.
    pub fn changed(&mut self, out: &mut [f64]) -> usize {
        let mut written = 0;
        while written < out.len() / CHANGED {
            let Some(index) = self.changed.pop() else { break };
            let slot = &mut self.slots[index as usize];
            slot.changed = false;
            let id = id_of(slot.generation, index);
            // The slot may belong to a new budget by now, which has no window yet.
            let Some((window, committed)) = slot.meter.as_ref().and_then(Meter::budget) else { continue };
            out[written * CHANGED..][..CHANGED].copy_from_slice(&[id, window, committed]);
            written += 1;
        }
        written
    }

    pub(crate) fn slot(&mut self, id: f64) -> Option<&mut Slot> {
        let slot = self.slots.get_mut(index_of(id))?;
        (slot.meter.is_some() && id_of(slot.generation, index_of(id) as u32) == id).then_some(slot)
    }

    /// Notes that a meter has changed: for the store if it is a budget, for Redis if pods share it.
    pub(crate) fn touch(&mut self, id: f64) {
        self.list(id);
        let Some(slot) = self.slot(id) else { return };
        if slot.changed || !slot.meter.as_ref().is_some_and(Meter::is_budget) {
            return;
        }
        slot.changed = true;
        self.changed.push(index_of(id) as u32);
    }
}

/// An integer, and exact: 2^32 generations of 2^20 slots are below 2^53.
pub(crate) fn id_of(generation: u32, index: u32) -> f64 {
    f64::from(generation) * OPEN_MAX as f64 + f64::from(index)
}

/// An invalid id leads to some slot, whose own id then differs.
pub(crate) fn index_of(id: f64) -> usize {
    id as u64 as usize % OPEN_MAX
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::limits::kind::Algorithm;
    use crate::limits::settings::Settings;

    pub(crate) fn open(meters: &mut Meters, algorithm: Algorithm, capacity: f64) -> f64 {
        let settings = Settings { capacity, rate: 1.0, soft_share: 0.8 };
        meters.open(Meter::new(algorithm, settings, 0.0).unwrap()).unwrap()
    }

    pub(crate) fn entry(id: f64, cost: f64, flags: u32) -> [f64; ENTRY] {
        [id, cost, 1.0, 60_000.0, f64::from(flags)]
    }

    #[test]
    fn takes_all_or_nothing_and_names_the_longest_wait() {
        let mut meters = Meters::new();
        let kinds = [Algorithm::TokenBucket, Algorithm::Budget, Algorithm::Concurrency];
        let ids = kinds.map(|kind| open(&mut meters, kind, 10.0));
        let mut entries: Vec<f64> = ids.iter().flat_map(|&id| entry(id, 6.0, ask::SPENT)).collect();
        assert_eq!(meters.admit(&mut entries, 0.0, 0.0), Ok(0.0));
        assert_eq!([entries[3], entries[8], entries[13]], [4.0; 3]);
        let mut entries: Vec<f64> = ids.iter().flat_map(|&id| entry(id, 6.0, 0)).collect();
        assert_eq!(meters.admit(&mut entries, 0.0, 0.0), Ok(-2.0));
        assert_eq!((entries[6], entries[8]), (60_000.0, 4.0));
        for id in ids {
            assert_eq!(meters.get(id).unwrap().left(false, 0.0), 4.0);
        }
    }

    #[test]
    fn an_observed_refusal_takes_nothing_from_the_observed_alone() {
        let mut meters = Meters::new();
        let [small, large, enforced] =
            [1.0, 10.0, 10.0].map(|capacity| open(&mut meters, Algorithm::TokenBucket, capacity));
        let mut entries =
            [entry(small, 2.0, ask::OBSERVED), entry(large, 2.0, ask::OBSERVED), entry(enforced, 2.0, 0)]
                .concat();
        assert_eq!(meters.admit(&mut entries, 0.0, 0.0), Ok(0.0));
        let outcomes = [entries[4], entries[9], entries[14]];
        assert_eq!(outcomes, [12.0, 8.0, 0.0]);
        let left = [small, large, enforced].map(|id| meters.get(id).unwrap().left(false, 0.0));
        assert_eq!(left, [1.0, 10.0, 8.0]);
    }

    #[test]
    fn a_quiet_entry_leaves_the_saying_to_the_next() {
        let mut meters = Meters::new();
        let id = open(&mut meters, Algorithm::TokenBucket, 10.0);
        let outcomes = [8, 1, 0].map(|cost| {
            let flags = if cost == 8 { ask::SPENT | ask::QUIET } else { ask::SPENT };
            let mut entry = entry(id, f64::from(cost), flags);
            meters.admit(&mut entry, 0.0, 0.0).unwrap();
            entry[4] as u32
        });
        assert_eq!(outcomes, [told::CROSSED, told::SAY, 0]);
    }

    #[test]
    fn an_entry_may_be_decided_by_the_share_while_redis_is_there() {
        let mut meters = Meters::new();
        let id = open(&mut meters, Algorithm::TokenBucket, 10.0);
        let share = |meters: &mut Meters, part| meters.get(id).unwrap().share(part, part, part, 0.0);
        share(&mut meters, 0.5).unwrap();
        // The next thread that opens it changes nothing.
        share(&mut meters, 1.0).unwrap();
        let outcomes = [0, ask::ALONE, 0, ask::ALONE]
            .map(|flags| meters.admit(&mut entry(id, 4.0, flags | ask::SPENT), 0.0, 0.0));
        assert_eq!(outcomes, [Ok(-1.0), Ok(0.0), Ok(-1.0), Ok(-1.0)]);
    }

    #[test]
    fn only_what_is_held_of_a_window_that_is_over_costs_nothing() {
        let mut meters = Meters::new();
        let id = open(&mut meters, Algorithm::Budget, 10.0);
        assert!(meters.restore(id, 2.0, 4.0));
        let mut late = entry(id, 3.0, 0);
        assert_eq!((meters.admit(&mut late, 0.0, 0.0), late[2], late[3]), (Ok(0.0), 2.0, 3.0));
        meters.settle(&mut [id, 3.0, 1.0, late[2]], 0.0);
        let mut more = entry(id, 9.0, ask::HELD);
        assert_eq!((meters.admit(&mut more, 0.0, 0.0), more[2], more[3]), (Ok(0.0), 1.0, 5.0));
        assert_eq!(meters.admit(&mut entry(id, 6.0, 0), 0.0, 0.0), Ok(-1.0));
    }

    #[test]
    fn a_start_that_is_too_late_is_a_refusal() {
        let mut meters = Meters::new();
        let id = open(&mut meters, Algorithm::LeakyBucket, 10.0);
        assert_eq!(meters.admit(&mut entry(id, 5.0, 0), 1000.0, 0.0), Ok(0.0));
        let mut late = entry(id, 1.0, 0);
        assert_eq!(meters.admit(&mut late, 4000.0, 0.0), Ok(-1.0));
        assert_eq!(late[1], 1000.0);
        let mut seen = entry(id, 1.0, ask::OBSERVED);
        assert_eq!((meters.admit(&mut seen, 4000.0, 0.0), seen[4]), (Ok(0.0), 12.0));
        assert_eq!(meters.admit(&mut entry(id, 1.0, 0), 5000.0, 0.0), Ok(5000.0));
    }

    #[test]
    fn nothing_is_taken_where_an_entry_makes_no_sense() {
        let mut meters = Meters::new();
        let id = open(&mut meters, Algorithm::TokenBucket, 10.0);
        for bad in [f64::NAN, -1.0, f64::NEG_INFINITY] {
            let mut entries = [entry(id, 1.0, 0), entry(id, bad, 0)].concat();
            assert_eq!(meters.admit(&mut entries, 0.0, 0.0), Err(Fault::BadCost(1)));
        }
        for unknown in [0.0, -1.0, f64::NAN, f64::INFINITY, 7.0, id + 1.0, id + 0.5] {
            let mut entries = [entry(id, 1.0, 0), entry(unknown, 1.0, 0)].concat();
            assert_eq!(meters.admit(&mut entries, 0.0, 0.0), Err(Fault::Unknown(1)), "{unknown}");
        }
        let mut never = entry(id, f64::INFINITY, 0);
        assert_eq!(meters.admit(&mut never, 0.0, 0.0), Ok(-1.0));
        assert_eq!((never[1], never[3]), (-1.0, 10.0));
    }

    #[test]
    fn sweeps_what_is_idle() {
        let mut meters = Meters::new();
        let ids = [1.0, 2.0, 3.0].map(|_| open(&mut meters, Algorithm::Budget, 10.0));
        meters.admit(&mut entry(ids[1], 1.0, 0), 0.0, 0.0).unwrap();
        let mut entries: Vec<f64> = ids.iter().flat_map(|&id| [id, 1.0]).collect();
        meters.sweep(&mut entries, true, 0.0);
        assert_eq!([entries[0], entries[2], entries[4]], [1.0, 0.0, 1.0]);
        let mut later = [ids[1], 2.0];
        meters.sweep(&mut later, true, 0.0);
        assert_eq!(later[0], 1.0);
        assert!(meters.get(ids[1]).is_none());
    }

    #[test]
    fn tells_each_change_of_a_budget_once() {
        let mut meters = Meters::new();
        let ids = [(); 3].map(|()| open(&mut meters, Algorithm::Budget, 10.0));
        for id in ids {
            meters.admit(&mut entry(id, 4.0, 0), 0.0, 0.0).unwrap();
            meters.admit(&mut entry(id, 1.0, ask::SPENT), 0.0, 0.0).unwrap();
        }
        let mut out = [0.0; 6];
        assert_eq!((meters.changed(&mut out), out[1], out[2]), (2, 1.0, 5.0));
        assert_eq!(meters.changed(&mut out), 1);
        assert_eq!(meters.changed(&mut out), 0);
        meters.settle(&mut [ids[0], 4.0, 2.0, 1.0], 0.0);
        assert_eq!((meters.changed(&mut out), out[0], out[2]), (1, ids[0], 3.0));
        assert!(meters.restore(ids[0], 1.0, 6.0));
        assert_eq!(meters.get(ids[0]).unwrap().left(false, 0.0), 1.0);
    }

    #[test]
    fn changes_that_nobody_reads_take_one_place_a_slot() {
        let mut meters = Meters::new();
        for _ in 0..1000 {
            let id = open(&mut meters, Algorithm::Budget, 10.0);
            meters.admit(&mut entry(id, 4.0, 0), 0.0, 0.0).unwrap();
            meters.close(id);
        }
        assert_eq!(meters.changed.len(), 1);
        // A budget isn't reported before its first window, and the slot's previous one is gone.
        let id = open(&mut meters, Algorithm::Budget, 10.0);
        let mut out = [0.0; 6];
        assert_eq!(meters.changed(&mut out), 0);
        meters.admit(&mut entry(id, 4.0, 0), 0.0, 0.0).unwrap();
        meters.close(id);
        let next = open(&mut meters, Algorithm::Budget, 10.0);
        meters.admit(&mut entry(next, 3.0, 0), 0.0, 0.0).unwrap();
        assert_eq!((meters.changed(&mut out), &out[..3]), (1, &[next, 1.0, 3.0][..]));
        assert_eq!(meters.changed(&mut out), 0);
    }
}
