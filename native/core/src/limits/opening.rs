//! How meters are opened and closed: those with a name are shared by all who open it.

use crate::limits::meter::Meter;
use crate::limits::meters::{Meters, OPEN_MAX, Slot, id_of, index_of};
use crate::limits::settings::Settings;

impl Meters {
    /// Adds a meter; returns its id, a whole number above 0. `None` while [`OPEN_MAX`] are open.
    pub fn open(&mut self, meter: Meter) -> Option<f64> {
        let index = match self.free.pop() {
            Some(index) => index,
            None if self.slots.len() >= OPEN_MAX => return None,
            None => {
                self.slots.push(Slot { generation: 0, meter: None, name: None, holders: 0, changed: false });
                self.slots.len() as u32 - 1
            }
        };
        let slot = &mut self.slots[index as usize];
        slot.generation += 1;
        slot.meter = Some(meter);
        slot.holders = 1;
        Some(id_of(slot.generation, index))
    }

    /// Adds a meter with a name, unless one of that name is open: that one gets these settings, and minus its id is
    /// returned. It stays until it is closed as often as it was opened.
    pub fn open_named(&mut self, name: &str, meter: Meter, settings: Settings, now_ms: f64) -> Option<f64> {
        if let Some(&index) = self.named.get(name) {
            let slot = &mut self.slots[index as usize];
            slot.holders += 1;
            // They were checked when `meter` was made.
            let _ = slot.meter.as_mut().map(|known| known.set(settings, now_ms));
            return Some(-id_of(slot.generation, index));
        }
        let id = self.open(meter)?;
        let index = index_of(id);
        self.slots[index].name = Some(name.into());
        self.named.insert(name.into(), index as u32);
        Some(id)
    }

    /// Closes a meter, or lets one holder of several go; false if there was none.
    pub fn close(&mut self, id: f64) -> bool {
        let Some(slot) = self.slot(id) else { return false };
        slot.holders -= 1;
        if slot.holders > 0 {
            return true;
        }
        slot.meter = None;
        let name = slot.name.take();
        // A slot that has issued all its ids is not reused.
        if slot.generation < u32::MAX {
            self.free.push(index_of(id) as u32);
        }
        if let Some(name) = name {
            self.named.remove(&name);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::entry::ask;
    use crate::limits::kind::Algorithm;
    use crate::limits::meters::tests::{entry, open};

    #[test]
    fn one_of_a_name_is_shared_until_all_have_closed_it() {
        let mut meters = Meters::new();
        let named = |meters: &mut Meters, name: &str, capacity: f64| {
            let settings = Settings { capacity, rate: 1.0, soft_share: 0.8 };
            let meter = Meter::new(Algorithm::TokenBucket, settings, 0.0).unwrap();
            meters.open_named(name, meter, settings, 0.0).unwrap()
        };
        let id = named(&mut meters, "calls", 10.0);
        assert!(id > 0.0);
        assert_eq!(meters.admit(&mut entry(id, 6.0, ask::SPENT), 0.0, 0.0), Ok(0.0));
        assert_eq!(named(&mut meters, "calls", 20.0), -id);
        assert_eq!(meters.admit(&mut entry(id, 20.0, ask::SPENT), 0.0, 0.0), Ok(-1.0));
        assert!(named(&mut meters, "others", 10.0) > id);
        assert!(meters.close(id) && meters.get(id).is_some());
        let mut idle = [id, 0.0];
        meters.sweep(&mut idle, true, 1_000.0 * 1_000.0);
        assert_eq!((idle[0], meters.get(id).is_none(), meters.close(id)), (1.0, true, false));
        assert!(named(&mut meters, "calls", 10.0) > 0.0);
    }

    #[test]
    fn the_leader_keeps_what_others_hold() {
        let mut meters = Meters::new();
        let settings = Settings { capacity: 10.0, rate: 1.0, soft_share: 0.8 };
        let meter = Meter::new(Algorithm::TokenBucket, settings, 0.0).unwrap();
        let id = meters.open_named("calls", meter.clone(), settings, 0.0).unwrap();
        assert_eq!(meters.open_named("calls", meter, settings, 0.0), Some(-id));
        for (leads, goes, there) in
            [(true, 0.0, true), (false, 1.0, true), (true, 1.0, false), (true, 1.0, false)]
        {
            let mut swept = [id, 0.0];
            meters.sweep(&mut swept, leads, 0.0);
            assert_eq!((swept[0], meters.get(id).is_some()), (goes, there));
        }
    }

    #[test]
    fn ids_are_never_used_twice_and_so_many_may_be_open() {
        let mut meters = Meters::new();
        let first = open(&mut meters, Algorithm::Concurrency, 1.0);
        assert!(meters.close(first) && !meters.close(first));
        let second = open(&mut meters, Algorithm::Concurrency, 1.0);
        assert!(second > first && meters.get(first).is_none());
        let mut settled = [first, 1.0, 1.0, 0.0];
        meters.settle(&mut settled, 0.0);
        let settings = Settings { capacity: 1.0, rate: 1.0, soft_share: 0.8 };
        let meter = Meter::new(Algorithm::Concurrency, settings, 0.0).unwrap();
        assert!((1..OPEN_MAX).all(|_| meters.open(meter.clone()).is_some()));
        assert_eq!(meters.open(meter), None);
    }
}
