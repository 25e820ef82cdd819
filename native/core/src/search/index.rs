//! The semantic cache's index: questions by scope, bounded by bytes. The longest unused of the owner that holds most goes
//! first.
//!
//! A scope is matched exactly. Replies are kept elsewhere; an entry is the caller's number for one.

use std::collections::HashMap;

use crate::search::flat::{Flat, Row, Scratch};
use crate::search::judge::{Alike, is_askable};
#[cfg(test)]
use crate::search::judge::{Candidate, judge, served};
#[cfg(test)]
use crate::search::model::Effort;
use crate::search::vector::Vector;
use crate::shared::digest::sha256;
use crate::shared::shares::Shares;

/// Vectors may have so many dimensions at most.
pub const DIMENSIONS_MAX: usize = 4096;
/// So many candidates are decided on at most.
pub const CANDIDATES_MAX: usize = 16;
/// Candidates less alike than this aren't looked at: hardly any of them was ever decided to be the same.
const SIMILARITY_MIN: f32 = 0.25;
/// What an entry costs besides vector and text: its row, its links, its slots in tables.
const ENTRY_OVERHEAD: usize = 176;
/// What a scope costs besides its entries.
const SCOPE_OVERHEAD: usize = 256;

#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) owner: u32,
    pub(super) scope: u32,
    pub(super) row: u32,
}

#[derive(Debug)]
pub(super) struct Scope {
    pub(super) key: [u8; 32],
    pub(super) flat: Flat,
}

/// The index.
#[derive(Debug)]
pub struct Index {
    pub(super) dimensions: usize,
    by_key: HashMap<[u8; 32], u32>,
    pub(super) scopes: Vec<Option<Scope>>,
    free: Vec<u32>,
    pub(super) places: HashMap<u64, Place>,
    /// The entries of each owner in the order of their use.
    pub(super) order: Shares<u64, ()>,
    bytes_max: usize,
    scratch: Scratch,
}

impl Index {
    /// An empty index of vectors with so many dimensions, from 1 to [`DIMENSIONS_MAX`].
    pub fn new(bytes_max: usize, dimensions: usize) -> Index {
        Index {
            dimensions: dimensions.clamp(1, DIMENSIONS_MAX),
            by_key: HashMap::new(),
            scopes: Vec::new(),
            free: Vec::new(),
            places: HashMap::new(),
            order: Shares::default(),
            bytes_max,
            scratch: Scratch::default(),
        }
    }

    /// Changes the bound; the longest unused entries that no longer fit go.
    pub fn set(&mut self, bytes_max: usize) {
        self.bytes_max = bytes_max;
        self.fit();
    }

    /// Entries held.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether nothing is held.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Bytes held, overhead included, without the token table.
    pub fn bytes(&self) -> usize {
        self.order.bytes() as usize + SCOPE_OVERHEAD * self.by_key.len()
    }

    /// Stores a question of an owner, any number, under the caller's number, in place of what had that number. False, and
    /// nothing stored: its vector has other dimensions, its text is empty or too long, or it never fits.
    pub fn insert(&mut self, owner: u32, scope: &[u8], entry: u64, text: &str, vector: &Vector) -> bool {
        self.keep(owner, sha256(scope), entry, text, vector)
    }

    pub(super) fn keep(
        &mut self,
        owner: u32,
        key: [u8; 32],
        entry: u64,
        text: &str,
        vector: &Vector,
    ) -> bool {
        self.remove(entry);
        let cost = self.cost(text);
        let sound = vector.parts.len() == self.dimensions && is_askable(text);
        if !sound || cost + SCOPE_OVERHEAD > self.bytes_max {
            return false;
        }
        let known = self.by_key.get(&key).copied();
        let slot = known.unwrap_or_else(|| self.open(key));
        if let Some(Some(scope)) = self.scopes.get_mut(slot as usize) {
            let row = scope.flat.len() as u32;
            scope.flat.push(vector, Row { entry, text: text.into() });
            self.places.insert(entry, Place { owner, scope: slot, row });
            self.order.put(owner, entry, (), cost as u64);
        }
        self.fit();
        true
    }

    /// The most alike stored questions of a scope. They are copies, so that nobody waits for the index while they are
    /// judged.
    pub fn nearest(&mut self, scope: &[u8], vector: &Vector, count: usize) -> Vec<Alike> {
        let slot = self.by_key.get(&sha256(scope)).copied();
        let Some(Some(scope)) = slot.and_then(|slot| self.scopes.get(slot as usize)) else {
            return Vec::new();
        };
        let near = scope.flat.nearest(vector, count.min(CANDIDATES_MAX), &mut self.scratch);
        let alike = near.iter().filter(|near| near.similarity >= SIMILARITY_MIN);
        alike
            .map(|near| {
                let row = scope.flat.row(near.row);
                Alike { entry: row.entry, similarity: near.similarity, text: row.text.clone() }
            })
            .collect()
    }

    /// All that a look-up does, for tests.
    #[cfg(test)]
    pub(super) fn find(&mut self, scope: &[u8], text: &str, vector: &Vector, count: usize) -> Vec<Candidate> {
        let found = judge(text, &self.nearest(scope, vector, count), Effort::Full);
        if let Some(entry) = served(&found) {
            self.used(entry);
        }
        found
    }

    /// An entry was used, so it goes later than others.
    pub fn used(&mut self, entry: u64) {
        if let Some(place) = self.places.get(&entry) {
            self.order.get(place.owner, &entry);
        }
    }

    /// The question stored under a number.
    pub fn text(&self, entry: u64) -> Option<&str> {
        let place = self.places.get(&entry)?;
        let scope = self.scopes.get(place.scope as usize)?.as_ref()?;
        Some(&scope.flat.row(place.row as usize).text)
    }

    /// Drops an entry; false if there was none.
    pub fn remove(&mut self, entry: u64) -> bool {
        let Some(place) = self.places.remove(&entry) else { return false };
        self.order.pop(place.owner, &entry);
        self.take(place);
        true
    }

    /// Drops all of a scope; says how many there were.
    pub fn remove_scope(&mut self, scope: &[u8]) -> usize {
        let Some(&slot) = self.by_key.get(&sha256(scope)) else { return 0 };
        let mut count = 0;
        while let Some(Some(scope)) = self.scopes.get(slot as usize) {
            let entry = scope.flat.row(scope.flat.len() - 1).entry;
            if !self.remove(entry) {
                break;
            }
            count += 1;
        }
        count
    }

    fn cost(&self, text: &str) -> usize {
        self.dimensions + 8 * self.dimensions.div_ceil(64) + text.len() + ENTRY_OVERHEAD
    }

    fn open(&mut self, key: [u8; 32]) -> u32 {
        let scope = Some(Scope { key, flat: Flat::new(self.dimensions) });
        let slot = match self.free.pop() {
            Some(slot) => {
                self.scopes[slot as usize] = scope;
                slot
            }
            None => {
                self.scopes.push(scope);
                self.scopes.len() as u32 - 1
            }
        };
        self.by_key.insert(key, slot);
        slot
    }

    /// Takes a row out, and closes its scope if it was the last.
    pub(super) fn take(&mut self, place: Place) {
        let Some(Some(scope)) = self.scopes.get_mut(place.scope as usize) else { return };
        let Some((_, moved)) = scope.flat.remove(place.row as usize) else { return };
        let (key, last) = (scope.key, scope.flat.is_empty());
        if let Some(other) = moved.and_then(|entry| self.places.get_mut(&entry)) {
            other.row = place.row;
        }
        if last {
            self.by_key.remove(&key);
            self.scopes[place.scope as usize] = None;
            self.free.push(place.scope);
        }
    }

    fn fit(&mut self) {
        while self.bytes() > self.bytes_max {
            let Some((_, entry, ())) = self.order.pop_oldest() else { break };
            if let Some(place) = self.places.remove(&entry) {
                self.take(place);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::search::table::DIMENSIONS;
    use proptest::prelude::*;

    fn insert(index: &mut Index, scope: &str, entry: u64, text: &str) -> bool {
        index.insert(0, scope.as_bytes(), entry, text, &Vector::of_text(text).unwrap())
    }

    fn find(index: &mut Index, scope: &str, text: &str) -> Vec<u64> {
        let found = index.find(scope.as_bytes(), text, &Vector::of_text(text).unwrap(), 4);
        found.iter().map(|candidate| candidate.entry).collect()
    }

    #[test]
    fn a_scope_sees_only_its_own() {
        let mut index = Index::new(1 << 20, DIMENSIONS);
        let text = "How do I reset my password?";
        assert!(insert(&mut index, "a", 1, text));
        assert_eq!(find(&mut index, "a", text), [1]);
        assert_eq!(find(&mut index, "b", text), [0; 0]);
        assert_eq!(index.text(1), Some(text));
        assert!(index.remove(1) && !index.remove(1));
        assert_eq!((index.text(1), index.bytes(), index.is_empty()), (None, 0, true));
    }

    #[test]
    fn a_number_is_given_anew() {
        let mut index = Index::new(1 << 20, DIMENSIONS);
        insert(&mut index, "a", 1, "one");
        insert(&mut index, "b", 1, "two");
        assert_eq!((index.len(), index.text(1)), (1, Some("two")));
        assert_eq!(find(&mut index, "a", "one"), [0; 0]);
    }

    #[test]
    fn what_cannot_be_kept_is_not() {
        let mut index = Index::new(1000, DIMENSIONS);
        let vector = Vector::of_text("word").unwrap();
        for text in ["", "  \n", &"word ".repeat(103)] {
            assert!(!index.insert(0, b"a", 1, text, &vector));
            assert!(index.find(b"a", text, &vector, 4).is_empty());
        }
        assert!(!index.insert(0, b"a", 1, "word", &Vector::from_numbers(&[1.0; 64]).unwrap()));
        assert!(index.insert(0, b"a", 1, "word", &vector));
        assert!(!index.insert(0, b"a", 2, &"word ".repeat(102), &vector), "never fits");
        assert_eq!(index.len(), 1);
        index.set(0);
        assert_eq!((index.len(), index.bytes()), (0, 0));
    }

    #[test]
    fn the_longest_unused_goes_first() {
        let mut index = Index::new(0, DIMENSIONS);
        index.set(3 * 490 + 256);
        let texts = ["alpha", "bravo", "delta", "gamma"];
        (0..3).for_each(|at| assert!(insert(&mut index, "a", at, texts[at as usize])));
        assert_eq!((index.len(), find(&mut index, "a", "alpha")[0]), (3, 0));
        insert(&mut index, "a", 3, texts[3]);
        assert_eq!([0, 1, 2, 3].map(|entry| index.text(entry).is_some()), [true, false, true, true]);
    }

    #[test]
    fn whoever_stores_much_makes_room_by_itself() {
        let mut index = Index::new(100 * 490, DIMENSIONS);
        assert!(insert(&mut index, "few", 0, "Where is my parcel?"));
        for entry in 1..1000 {
            let text = format!("number {entry}");
            assert!(index.insert(7, b"many", entry, &text, &Vector::of_text(&text).unwrap()));
        }
        assert_eq!(find(&mut index, "few", "Where is my parcel?"), [0]);
        assert!(index.len() > 90 && index.bytes() <= 100 * 490);
        assert_eq!((index.text(1), index.text(999)), (None, Some("number 999")));
    }

    proptest! {
        /// Against a list that is searched from end to end.
        #[test]
        fn holds_what_a_plain_list_would(steps in prop::collection::vec((0u8..4, 0u64..40, 0u8..4), 1..300)) {
            let mut index = Index::new(1 << 30, DIMENSIONS);
            let mut list: Vec<(u8, u64)> = Vec::new();
            for (action, entry, scope) in steps {
                let name = [scope];
                let at = list.iter().position(|known| known.1 == entry);
                match action {
                    0 => {
                        prop_assert_eq!(index.remove(entry), at.is_some());
                        at.map(|at| list.remove(at));
                    }
                    1 if entry == 0 => {
                        let before = list.len();
                        list.retain(|known| known.0 != scope);
                        prop_assert_eq!(index.remove_scope(&name), before - list.len());
                    }
                    _ => {
                        at.map(|at| list.remove(at));
                        let text = format!("number {entry}");
                        index.insert(u32::from(scope % 2), &name, entry, &text, &Vector::of_text(&text).unwrap());
                        list.push((scope, entry));
                    }
                }
                prop_assert_eq!(index.len(), list.len());
                for &(_, entry) in &list {
                    let text = format!("number {entry}");
                    prop_assert_eq!(index.text(entry), Some(&*text));
                }
            }
            list.iter().for_each(|known| assert!(index.remove(known.1)));
            prop_assert_eq!(index.bytes(), 0);
            prop_assert!(index.by_key.is_empty());
        }
    }
}
