//! A bounded store of bytes by key: the least recently used entry is evicted first, and every entry expires.
//!
//! Outside the JavaScript heap, an evicted entry returns its memory at once, and no garbage collector has to
//! move it.

use lru::LruCache;
use sha2::{Digest, Sha256};

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

/// Memory of an entry besides its bytes: digest, links, table slot, allocation.
pub const ENTRY_OVERHEAD: u64 = 128;

/// A stored value: a head for the owner's metadata, and a body.
#[derive(Debug)]
pub struct Entry {
    bytes: Box<[u8]>,
    head_length: usize,
    expires_ms: f64,
}

impl Entry {
    /// The owner's metadata.
    pub fn head(&self) -> &[u8] {
        &self.bytes[..self.head_length]
    }

    /// The body.
    pub fn body(&self) -> &[u8] {
        &self.bytes[self.head_length..]
    }

    /// Head and body, one after the other.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    fn cost(&self) -> u64 {
        self.bytes.len() as u64 + ENTRY_OVERHEAD
    }
}

/// The store. Keys have any length and are identified by their SHA-256.
#[derive(Debug)]
pub struct Store {
    entries: LruCache<[u8; 32], Entry>,
    bytes: u64,
    bounds: Bounds,
}

impl Store {
    /// An empty store.
    pub fn new(bounds: Bounds) -> Self {
        Store { entries: LruCache::unbounded(), bytes: 0, bounds }
    }

    /// The entry of a key, which becomes the most recently used. An expired one is removed.
    pub fn get(&mut self, key: &[u8], now_ms: f64) -> Option<&Entry> {
        let digest = digest(key);
        if self.entries.peek(&digest)?.expires_ms <= now_ms {
            self.remove(&digest);
            return None;
        }
        self.entries.get(&digest)
    }

    /// Stores a value, replacing the key's old one and evicting the least recently used. One that can never
    /// fit is not stored.
    pub fn put(&mut self, key: &[u8], head: &[u8], body: &[u8], now_ms: f64) {
        let digest = digest(key);
        self.remove(&digest);
        let cost = (head.len() + body.len()) as u64 + ENTRY_OVERHEAD;
        if self.bounds.entries_max == 0 || cost > self.bounds.bytes_max {
            return;
        }
        let mut bytes = Vec::with_capacity(head.len() + body.len());
        bytes.extend_from_slice(head);
        bytes.extend_from_slice(body);
        let expires_ms = now_ms + self.bounds.ttl_ms;
        let entry = Entry { bytes: bytes.into_boxed_slice(), head_length: head.len(), expires_ms };
        self.bytes += cost;
        self.entries.put(digest, entry);
        self.fit();
    }

    /// Adopts new limits, evicting the least recently used entries that no longer fit. Lifetimes already set
    /// stay.
    pub fn set(&mut self, bounds: Bounds) {
        self.bounds = bounds;
        self.fit();
    }

    /// Number of entries.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are no entries.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Bytes stored, overhead included.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    fn fit(&mut self) {
        while self.entries.len() > self.bounds.entries_max || self.bytes > self.bounds.bytes_max {
            match self.entries.pop_lru() {
                Some((_, entry)) => self.bytes -= entry.cost(),
                None => break,
            }
        }
    }

    fn remove(&mut self, digest: &[u8; 32]) {
        if let Some(entry) = self.entries.pop(digest) {
            self.bytes -= entry.cost();
        }
    }
}

fn digest(key: &[u8]) -> [u8; 32] {
    Sha256::digest(key).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const WIDE: Bounds = Bounds { entries_max: 100, bytes_max: 1 << 20, ttl_ms: 1000.0 };

    fn body(store: &mut Store, key: &str, now_ms: f64) -> Option<Vec<u8>> {
        store.get(key.as_bytes(), now_ms).map(|entry| entry.body().to_vec())
    }

    #[test]
    fn gives_back_head_and_body() {
        let mut store = Store::new(WIDE);
        store.put(b"key", b"head", b"body", 0.0);
        let entry = store.get(b"key", 999.0).unwrap();
        assert_eq!(
            (entry.head(), entry.body(), entry.bytes()),
            (&b"head"[..], &b"body"[..], &b"headbody"[..])
        );
        assert_eq!(body(&mut store, "key", 1000.0), None);
        assert_eq!((store.len(), store.bytes(), store.is_empty()), (0, 0, true));
    }

    #[test]
    fn the_longest_unused_goes_first() {
        let mut store = Store::new(Bounds { entries_max: 2, ..WIDE });
        store.put(b"a", b"", b"1", 0.0);
        store.put(b"b", b"", b"2", 0.0);
        assert!(body(&mut store, "a", 1.0).is_some());
        store.put(b"c", b"", b"3", 1.0);
        assert_eq!(body(&mut store, "b", 2.0), None);
        assert!(body(&mut store, "a", 2.0).is_some() && body(&mut store, "c", 2.0).is_some());
    }

    #[test]
    fn what_never_fits_is_not_kept_and_takes_nothing_with_it() {
        let bytes_max = 2 * ENTRY_OVERHEAD + 8;
        let mut store = Store::new(Bounds { bytes_max, ..WIDE });
        store.put(b"a", b"", b"1234", 0.0);
        store.put(b"b", b"", &[0; 4096], 0.0);
        assert!(body(&mut store, "a", 0.0).is_some());
        store.set(Bounds { entries_max: 0, ..WIDE });
        assert_eq!((store.len(), store.bytes()), (0, 0));
        store.put(b"a", b"", b"1", 0.0);
        assert!(store.is_empty());
    }

    proptest! {
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
                    let found = store.get(&[key], now_ms).map(|entry| entry.body().len());
                    let kept = at.map(|at| list.remove(at)).filter(|(.., ends)| *ends > now_ms);
                    prop_assert_eq!(found, kept.map(|(_, length, _)| length));
                    list.extend(kept);
                } else {
                    store.put(&[key], b"", &vec![0; length], now_ms);
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
