//! Numbers of kinds, and sets of them.

/// A kind's number: its place in the list of all kinds.
pub type KindId = u8;

/// Some of the kinds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KindSet(u128);

impl KindSet {
    /// None.
    pub const NONE: KindSet = KindSet(0);
    /// How many kinds there may be.
    pub const MAX: usize = u128::BITS as usize;

    /// These and one more.
    #[must_use]
    pub fn with(self, id: KindId) -> KindSet {
        KindSet(self.0 | 1 << id)
    }

    /// The kinds of either.
    #[must_use]
    pub fn or(self, other: KindSet) -> KindSet {
        KindSet(self.0 | other.0)
    }

    /// Whether it is one of them.
    pub fn has(self, id: KindId) -> bool {
        self.0 >> id & 1 != 0
    }

    /// Whether there is none.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Their numbers, rising.
    pub fn ids(self) -> impl Iterator<Item = KindId> {
        let mut left = self.0;
        std::iter::from_fn(move || {
            let id = left.trailing_zeros();
            // Takes the lowest one away.
            left &= left.wrapping_sub(1);
            (id < u128::BITS).then_some(id as KindId)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_in_order() {
        let set = KindSet::NONE.with(127).with(0).or(KindSet::NONE.with(9));
        assert_eq!(set.ids().collect::<Vec<_>>(), [0, 9, 127]);
        assert!(set.has(127) && set.has(0) && !set.has(1) && !set.has(126));
        assert!(KindSet::NONE.is_empty() && KindSet::NONE.ids().next().is_none());
    }
}
