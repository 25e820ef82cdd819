//! A quick hash of short texts (FNV-1a), and maps by it. For tables that the library fills itself: nobody chooses keys.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

const START: u64 = 0xcbf2_9ce4_8422_2325;
const PRIME: u64 = 0x100_0000_01b3;

fn add(hash: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(hash, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(PRIME))
}

/// Hash of a text.
pub fn hash(text: &str) -> u64 {
    add(START, text.as_bytes())
}

/// A hash in the making.
#[derive(Clone, Copy, Debug)]
pub struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Fnv {
        Fnv(START)
    }
}

impl Hasher for Fnv {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = add(self.0, bytes);
    }
}

/// A map by that hash.
pub type Map<K, V> = HashMap<K, V, BuildHasherDefault<Fnv>>;
