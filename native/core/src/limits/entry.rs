//! How entries are laid out in the `Float64Array` that JavaScript asks and tells meters by.

/// The numbers of an entry of `Meters::admit`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// Of the meter.
    Id,
    /// In the meter's unit. In the entry that refuses, afterwards: the ms to wait, -1 for ever.
    Cost,
    /// The calendar window's id; afterwards of the one it is charged to.
    Window,
    /// The ms until that ends; afterwards what is left.
    Left,
    /// Of [`ask`]; afterwards of [`told`].
    Flags,
}

/// The numbers of an entry of `Meters::settle`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    /// Of the meter.
    Id,
    /// What was reserved.
    Reserved,
    /// What was used.
    Used,
    /// The calendar window's id; afterwards 1 if this crossed the soft mark, else 0.
    Window,
}

/// The numbers of an entry of `Meters::sweep`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Swept {
    /// Of the meter; afterwards 1 if it was let go, else 0.
    Id,
    /// The calendar window's id.
    Window,
}

/// The numbers of an entry of `Meters::changed`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Changed {
    /// Of the budget.
    Id,
    /// The calendar window it is in.
    Window,
    /// What is spent or reserved.
    Spent,
}

/// Numbers of one entry of `Meters::admit`.
pub const ENTRY: usize = Asked::Flags as usize + 1;
/// Numbers of one entry of `Meters::settle`.
pub const SETTLE: usize = Settled::Window as usize + 1;
/// Numbers of one entry of `Meters::sweep`.
pub const SWEEP: usize = Swept::Window as usize + 1;
/// Numbers of one entry of `Meters::changed`.
pub const CHANGED: usize = Changed::Spent as usize + 1;

/// Bits of an entry's flags, in.
pub mod ask {
    /// It decides and reports, and lets pass.
    pub const OBSERVED: u32 = 1;
    /// It is used up at once: nothing is to be settled.
    pub const SPENT: u32 = 2;
    /// No reply follows that could say that the soft mark was crossed: a later one does. Not a bit of [`told`].
    pub const QUIET: u32 = 16;
    /// Decided as if Redis were gone. Not a bit of [`told`] either.
    pub const ALONE: u32 = 32;
    /// It adds to what is held of its window, which costs nothing once that is over. Not a bit of [`told`] either.
    pub const HELD: u32 = 64;
}

/// Bits of an entry's flags, out.
pub mod told {
    /// This crossed the soft mark.
    pub const CROSSED: u32 = 1;
    /// The reply should say that the soft mark was crossed.
    pub const SAY: u32 = 2;
    /// It is observed, and would have refused.
    pub const WOULD_REFUSE: u32 = 4;
    /// Nothing was taken, so there is nothing to settle.
    pub const NOT_TAKEN: u32 = 8;
}
