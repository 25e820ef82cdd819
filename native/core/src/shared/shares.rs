//! Values of several owners, each owner's in the order of their use. Where room is needed, the owner that holds most gives
//! up its longest unused value: whoever stores little loses nothing to somebody who stores much.

use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;

use lru::LruCache;

/// What one owner holds.
#[derive(Debug)]
struct Share<K: Hash + Eq, V> {
    /// With what each costs.
    values: LruCache<K, (u64, V)>,
    bytes: u64,
}

/// The values. An owner is any number, and has its own keys.
#[derive(Debug)]
pub struct Shares<K: Hash + Eq, V> {
    shares: HashMap<u32, Share<K, V>>,
    /// The bytes of each share, and whose it is.
    sizes: BTreeSet<(u64, u32)>,
    len: usize,
    bytes: u64,
}

impl<K: Hash + Eq, V> Default for Shares<K, V> {
    fn default() -> Self {
        Shares { shares: HashMap::new(), sizes: BTreeSet::new(), len: 0, bytes: 0 }
    }
}

impl<K: Hash + Eq, V> Shares<K, V> {
    /// Number of values.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// What all cost.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// A value, which becomes the one used last.
    pub fn get(&mut self, owner: u32, key: &K) -> Option<&V> {
        self.shares.get_mut(&owner)?.values.get(key).map(|(_, value)| value)
    }

    /// A value, which is not used by that.
    pub fn peek(&self, owner: u32, key: &K) -> Option<&V> {
        self.shares.get(&owner)?.values.peek(key).map(|(_, value)| value)
    }

    /// Puts a value in place of the key's old one.
    pub fn put(&mut self, owner: u32, key: K, value: V, bytes: u64) {
        self.pop(owner, &key);
        let share =
            self.shares.entry(owner).or_insert_with(|| Share { values: LruCache::unbounded(), bytes: 0 });
        self.sizes.remove(&(share.bytes, owner));
        share.bytes += bytes;
        share.values.put(key, (bytes, value));
        self.sizes.insert((share.bytes, owner));
        self.bytes += bytes;
        self.len += 1;
    }

    /// Takes a value out.
    pub fn pop(&mut self, owner: u32, key: &K) -> Option<V> {
        self.take(owner, |values| values.pop_entry(key)).map(|(_, value)| value)
    }

    /// Takes out what makes room: the longest unused value of the owner that holds most.
    pub fn pop_oldest(&mut self) -> Option<(u32, K, V)> {
        let &(_, owner) = self.sizes.last()?;
        self.take(owner, LruCache::pop_lru).map(|(key, value)| (owner, key, value))
    }

    /// Takes a value out of an owner's share, and closes the share if it was the last.
    fn take(
        &mut self,
        owner: u32,
        pop: impl FnOnce(&mut LruCache<K, (u64, V)>) -> Option<(K, (u64, V))>,
    ) -> Option<(K, V)> {
        let share = self.shares.get_mut(&owner)?;
        let (key, (bytes, value)) = pop(&mut share.values)?;
        self.sizes.remove(&(share.bytes, owner));
        share.bytes -= bytes;
        self.bytes -= bytes;
        self.len -= 1;
        if share.values.is_empty() {
            self.shares.remove(&owner);
        } else {
            self.sizes.insert((share.bytes, owner));
        }
        Some((key, value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Compared with a list of all in the order of their use.
        #[test]
        fn does_as_a_plain_list_would(
            steps in prop::collection::vec((0u8..5, 0u32..3, 0u8..6, 0u64..9), 1..300),
        ) {
            let mut shares: Shares<u8, u64> = Shares::default();
            let mut list: Vec<(u32, u8, u64)> = Vec::new();
            for (action, owner, key, bytes) in steps {
                let at = list.iter().position(|known| (known.0, known.1) == (owner, key));
                let known = at.map(|at| list[at].2);
                match action {
                    0 => {
                        prop_assert_eq!(shares.get(owner, &key).copied(), known);
                        let used = at.map(|at| list.remove(at));
                        list.extend(used);
                    }
                    1 => prop_assert_eq!(shares.peek(owner, &key).copied(), known),
                    2 => {
                        prop_assert_eq!(shares.pop(owner, &key), known);
                        at.map(|at| list.remove(at));
                    }
                    3 => {
                        let of = |owner: u32| list.iter().filter(move |each| each.0 == owner);
                        let owners = (0..3).filter(|&owner| of(owner).next().is_some());
                        let held = |owner: u32| of(owner).map(|each| each.2).sum::<u64>();
                        let most = owners.max_by_key(|&owner| (held(owner), owner));
                        let oldest = most.and_then(|most| list.iter().position(|each| each.0 == most));
                        prop_assert_eq!(shares.pop_oldest(), oldest.map(|at| list.remove(at)));
                    }
                    _ => {
                        shares.put(owner, key, bytes, bytes);
                        at.map(|at| list.remove(at));
                        list.push((owner, key, bytes));
                    }
                }
                prop_assert_eq!((shares.len(), shares.is_empty()), (list.len(), list.is_empty()));
                prop_assert_eq!(shares.bytes(), list.iter().map(|each| each.2).sum::<u64>());
                let sizes: u64 = shares.sizes.iter().map(|(bytes, _)| bytes).sum();
                prop_assert_eq!((sizes, shares.sizes.len()), (shares.bytes(), shares.shares.len()));
            }
        }
    }
}
