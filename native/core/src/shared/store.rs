//! A bounded store of bytes by key. Every entry expires. Where there is no room, the least recently used entry of the owner
//! that holds most makes some: whoever stores little loses nothing to somebody who stores much.
//!
//! Outside the JavaScript heap, an evicted entry returns its memory at once, and no garbage collector has to
//! move it.

use std::collections::HashMap;
use std::sync::Arc;

use crate::shared::entry::{ENTRY_OVERHEAD, Entry, Key, Value};
use crate::shared::records::{Rest, push};
use crate::shared::shares::Shares;

/// Limits of a store.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bounds {
    /// Number of entries; 0 keeps nothing.
    pub entries_max: usize,
    /// Bytes of all entries, including [`ENTRY_OVERHEAD`] for each.
    pub bytes_max: u64,
    /// Lifetime of an entry after it is put, in ms.
    pub ttl_ms: f64,
}

/// The store. Keys have any length and are identified by their SHA-256; each owner, any number, has its own.
#[derive(Debug)]
pub struct Store {
    shares: Shares<[u8; 32], Entry>,
    bounds: Bounds,
    /// What each of several users of the store keeps of the same memory elsewhere.
    elsewhere: HashMap<u32, u64>,
}

impl Store {
    /// An empty store.
    pub fn new(bounds: Bounds) -> Self {
        Store { shares: Shares::default(), bounds, elsewhere: HashMap::new() }
    }

    /// The entry of a key, which becomes the most recently used. An expired one is removed.
    pub fn get(&mut self, owner: u32, Key(digest): &Key, now_ms: f64) -> Option<&Entry> {
        if self.shares.peek(owner, digest)?.expires_ms <= now_ms {
            self.shares.pop(owner, digest);
            return None;
        }
        self.shares.get(owner, digest)
    }

    /// Stores a value in place of the key's old one, and evicts what no longer fits. One that can never fit is not stored.
    pub fn put(&mut self, owner: u32, Key(digest): Key, value: Value, now_ms: f64) {
        self.keep(owner, digest, value, now_ms + self.bounds.ttl_ms);
    }

    fn keep(&mut self, owner: u32, digest: [u8; 32], Value { bytes, head_length }: Value, expires_ms: f64) {
        self.shares.pop(owner, &digest);
        let cost = bytes.len() as u64 + ENTRY_OVERHEAD;
        if self.bounds.entries_max == 0 || cost > self.bytes_max() {
            return;
        }
        let entry = Entry { bytes: Arc::new(bytes), head_length, expires_ms };
        self.shares.put(owner, digest, entry, cost);
        self.fit();
    }

    /// Takes entries out as records for a snapshot, of each owner the longest unused first, until these have so many
    /// bytes; empty if none are left.
    pub fn drain(&mut self, bytes_max: usize) -> Vec<u8> {
        let mut records = Vec::new();
        while records.len() < bytes_max {
            let Some((owner, key, entry)) = self.shares.pop_oldest() else { break };
            push(&mut records, |out| {
                out.extend_from_slice(&owner.to_le_bytes());
                out.extend_from_slice(&key);
                out.extend_from_slice(&entry.expires_ms.to_le_bytes());
                out.extend_from_slice(&(entry.head_length as u32).to_le_bytes());
                out.extend_from_slice(&entry.bytes);
            });
        }
        records
    }

    /// Stores what was drained, where it has not expired and its key has nothing newer. False, and the rest left out: it
    /// isn't what was drained.
    ///
    /// `shift_ms`: what to add to its times, as clocks begin anew with each process.
    pub fn fill(&mut self, records: &[u8], shift_ms: f64, now_ms: f64) -> bool {
        let mut rest = Rest(records);
        while !rest.0.is_empty() {
            let Some(drained) = rest.record().and_then(read) else { return false };
            let expires_ms = (drained.expires_ms + shift_ms).min(now_ms + self.bounds.ttl_ms);
            let has_newer = self
                .shares
                .peek(drained.owner, &drained.digest)
                .is_some_and(|entry| entry.expires_ms > now_ms);
            if expires_ms > now_ms && !has_newer {
                self.keep(drained.owner, drained.digest, drained.value, expires_ms);
            }
        }
        true
    }

    /// Adopts new limits, and evicts what no longer fits. Lifetimes already set stay.
    pub fn set(&mut self, bounds: Bounds) {
        self.bounds = bounds;
        self.fit();
    }

    /// Makes room for what a user of the store keeps of the same memory elsewhere: so many bytes from now on.
    pub fn make_room(&mut self, user: u32, bytes: u64) {
        if bytes == 0 {
            self.elsewhere.remove(&user);
        } else {
            self.elsewhere.insert(user, bytes);
        }
        self.fit();
    }

    fn bytes_max(&self) -> u64 {
        self.bounds.bytes_max.saturating_sub(self.elsewhere.values().sum())
    }

    /// Number of entries.
    pub fn len(&self) -> usize {
        self.shares.len()
    }

    /// Whether there are no entries.
    pub fn is_empty(&self) -> bool {
        self.shares.is_empty()
    }

    /// Bytes stored, overhead included.
    pub fn bytes(&self) -> u64 {
        self.shares.bytes()
    }

    fn fit(&mut self) {
        let bytes_max = self.bytes_max();
        while self.len() > self.bounds.entries_max || self.bytes() > bytes_max {
            if self.shares.pop_oldest().is_none() {
                break;
            }
        }
    }
}

/// An entry as a record has it.
struct Drained {
    owner: u32,
    digest: [u8; 32],
    expires_ms: f64,
    value: Value,
}

fn read(mut record: Rest<'_>) -> Option<Drained> {
    let (owner, digest) = (record.u32()?, record.array()?);
    let expires_ms = f64::from_le_bytes(record.array()?);
    let head_length = record.u32()?;
    let head = record.take(head_length as usize)?;
    expires_ms.is_finite().then(|| Drained { owner, digest, expires_ms, value: Value::new(head, record.0) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const WIDE: Bounds = Bounds { entries_max: 100, bytes_max: 1 << 20, ttl_ms: 1000.0 };

    fn body(store: &mut Store, key: &str, now_ms: f64) -> Option<Vec<u8>> {
        store.get(0, &Key::new(key.as_bytes()), now_ms).map(|entry| entry.body().to_vec())
    }

    #[test]
    fn gives_back_head_and_body() {
        let mut store = Store::new(WIDE);
        store.put(0, Key::new(b"key"), Value::new(b"head", b"body"), 0.0);
        let entry = store.get(0, &Key::new(b"key"), 999.0).unwrap();
        assert_eq!(
            (entry.head(), entry.body(), entry.bytes()),
            (&b"head"[..], &b"body"[..], &b"headbody"[..])
        );
        assert_eq!(body(&mut store, "key", 1000.0), None);
        assert_eq!((store.len(), store.bytes(), store.is_empty()), (0, 0, true));
    }

    #[test]
    fn what_users_keep_elsewhere_is_room_that_is_not_there() {
        let mut store = Store::new(Bounds { bytes_max: 4 * (ENTRY_OVERHEAD + 1), ..WIDE });
        for key in [b"a", b"b", b"c", b"d"] {
            store.put(0, Key::new(key), Value::new(b"", b"1"), 0.0);
        }
        store.make_room(0, ENTRY_OVERHEAD);
        assert_eq!((store.len(), body(&mut store, "a", 0.0)), (3, None));
        store.make_room(1, ENTRY_OVERHEAD);
        store.make_room(1, ENTRY_OVERHEAD + 3);
        assert_eq!(store.len(), 1);
        store.make_room(0, 0);
        store.put(0, Key::new(b"e"), Value::new(b"", b"1"), 0.0);
        assert_eq!(store.len(), 2);
        store.make_room(0, u64::MAX - 1000);
        assert_eq!((store.len(), store.bytes()), (0, 0));
    }

    #[test]
    fn what_was_drained_fills_another() {
        let mut store = Store::new(WIDE);
        store.put(1, Key::new(b"a"), Value::new(b"head", b"one"), 0.0);
        store.put(2, Key::new(b"a"), Value::new(b"", b"two"), 400.0);
        store.put(2, Key::new(b"b"), Value::new(b"", b"three"), 500.0);
        assert!(store.get(2, &Key::new(b"a"), 500.0).is_some());
        let mut records = Vec::new();
        loop {
            let some = store.drain(1);
            if some.is_empty() {
                break;
            }
            records.extend(some);
        }
        assert_eq!((store.len(), store.bytes()), (0, 0));
        for length in 0..records.len() {
            Store::new(WIDE).fill(&records[..length], 0.0, 0.0);
        }
        assert!(!Store::new(WIDE).fill(&records[..records.len() - 1], 0.0, 0.0));

        // The first one expires at 1000 of the old clock, which is -500 of the new one.
        assert!(store.fill(&records, -1500.0, -450.0));
        assert!(store.get(1, &Key::new(b"a"), -450.0).is_none());
        let entry = store.get(2, &Key::new(b"a"), -101.0).unwrap();
        assert_eq!(entry.body(), b"two");
        assert!(store.get(2, &Key::new(b"a"), -100.0).is_none());
        assert!(store.get(2, &Key::new(b"b"), -1.0).is_some());
        let mut narrow = Store::new(Bounds { entries_max: 1, ..WIDE });
        assert!(narrow.fill(&records, 0.0, 500.0) && narrow.len() == 1);
    }

    #[test]
    fn what_was_drained_replaces_nothing_newer() {
        let mut old = Store::new(WIDE);
        for key in [b"a", b"b"] {
            old.put(1, Key::new(key), Value::new(b"", b"old"), 0.0);
        }
        let records = old.drain(usize::MAX);
        let mut store = Store::new(WIDE);
        store.put(1, Key::new(b"a"), Value::new(b"", b"new"), 1.0);
        // Expired, though not yet removed.
        store.put(1, Key::new(b"b"), Value::new(b"", b"new"), -1000.0);
        assert!(store.fill(&records, 0.0, 2.0));
        for (key, body) in [(b"a", b"new"), (b"b", b"old")] {
            assert_eq!(store.get(1, &Key::new(key), 2.0).unwrap().body(), body);
        }
    }

    #[test]
    fn the_longest_unused_goes_first() {
        let mut store = Store::new(Bounds { entries_max: 2, ..WIDE });
        store.put(0, Key::new(b"a"), Value::new(b"", b"1"), 0.0);
        store.put(0, Key::new(b"b"), Value::new(b"", b"2"), 0.0);
        assert!(body(&mut store, "a", 1.0).is_some());
        store.put(0, Key::new(b"c"), Value::new(b"", b"3"), 1.0);
        assert_eq!(body(&mut store, "b", 2.0), None);
        assert!(body(&mut store, "a", 2.0).is_some() && body(&mut store, "c", 2.0).is_some());
    }

    #[test]
    fn what_never_fits_is_not_kept_and_takes_nothing_with_it() {
        let bytes_max = 2 * ENTRY_OVERHEAD + 8;
        let mut store = Store::new(Bounds { bytes_max, ..WIDE });
        store.put(0, Key::new(b"a"), Value::new(b"", b"1234"), 0.0);
        store.put(0, Key::new(b"b"), Value::new(b"", &[0; 4096]), 0.0);
        assert!(body(&mut store, "a", 0.0).is_some());
        store.set(Bounds { entries_max: 0, ..WIDE });
        assert_eq!((store.len(), store.bytes()), (0, 0));
        store.put(0, Key::new(b"a"), Value::new(b"", b"1"), 0.0);
        assert!(store.is_empty());
    }

    #[test]
    fn an_owner_has_its_own_keys() {
        let mut store = Store::new(WIDE);
        store.put(1, Key::new(b"key"), Value::new(b"", b"one"), 0.0);
        store.put(2, Key::new(b"key"), Value::new(b"", b"two"), 0.0);
        let mut body = |owner| store.get(owner, &Key::new(b"key"), 0.0).map(|entry| entry.body().to_vec());
        assert_eq!((body(1), body(2), body(3)), (Some(b"one".to_vec()), Some(b"two".to_vec()), None));
        assert_eq!(store.len(), 2);
    }

    proptest! {
        /// Whoever holds at most an equal share of the room loses nothing, whatever others store.
        #[test]
        fn nobody_loses_an_equal_share_to_others(
            puts in prop::collection::vec((0u32..4, 0u8..200, 0usize..400), 1..400),
        ) {
            let bytes_max = 4 * 4000;
            let mut store = Store::new(Bounds { entries_max: 10_000, bytes_max, ttl_ms: 1000.0 });
            let mut small = HashMap::new();
            for (owner, key, length) in puts {
                // The owner 0 stores ten keys at most.
                let key = if owner == 0 { key % 10 } else { key };
                store.put(owner, Key::new(&[key]), Value::new(b"", &vec![0; if owner == 0 { length % 200 } else { length }]), 0.0);
                if owner == 0 { small.insert(key, length % 200); }
                prop_assert!(store.bytes() <= bytes_max);
                for (key, length) in &small {
                    prop_assert_eq!(store.get(0, &Key::new(&[*key]), 0.0).map(|entry| entry.body().len()), Some(*length));
                }
            }
        }

        /// Compared with a list that is searched linearly.
        #[test]
        fn does_as_a_plain_list_would(
            steps in prop::collection::vec((0u8..12, 0usize..300, 0u8..3, 0u32..400), 1..200),
            entries_max in 0usize..8,
            bytes_max in 1u64..2000,
        ) {
            let bounds = Bounds { entries_max, bytes_max, ttl_ms: 500.0 };
            let mut store = Store::new(bounds);
            let mut list: Vec<(u8, usize, f64)> = Vec::new();
            let mut now_ms = 0.0;
            for (key, length, action, pause) in steps {
                now_ms += f64::from(pause);
                let at = list.iter().position(|(known, ..)| *known == key);
                if action == 0 {
                    let found = store.get(0, &Key::new(&[key]), now_ms).map(|entry| entry.body().len());
                    let kept = at.map(|at| list.remove(at)).filter(|(.., ends)| *ends > now_ms);
                    prop_assert_eq!(found, kept.map(|(_, length, _)| length));
                    list.extend(kept);
                } else {
                    store.put(0, Key::new(&[key]), Value::new(b"", &vec![0; length]), now_ms);
                    if let Some(at) = at { list.remove(at); }
                    if entries_max > 0 && length as u64 + ENTRY_OVERHEAD <= bytes_max {
                        list.push((key, length, now_ms + 500.0));
                    }
                    let bytes = |list: &[(u8, usize, f64)]| {
                        list.iter().map(|(_, length, _)| *length as u64 + ENTRY_OVERHEAD).sum::<u64>()
                    };
                    while list.len() > entries_max || bytes(&list) > bytes_max { list.remove(0); }
                    prop_assert_eq!(store.bytes(), bytes(&list));
                }
                prop_assert_eq!(store.len(), list.len());
            }
        }
    }
}
