//! Values shared by all threads of the process, accessed by integer ids.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A process-wide table. Ids are never reused, so a late caller can't reach another's value.
pub struct Registry<T> {
    inner: Mutex<Option<Table<T>>>,
}

/// Maximum number of open values.
pub const OPEN_MAX: usize = 1 << 20;

struct Table<T> {
    next: u32,
    values: HashMap<u32, T>,
}

/// No value has this id: it was never issued, or is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unknown(pub u32);

impl<T> Registry<T> {
    /// An empty table, usable as a `static`.
    pub const fn new() -> Self {
        Registry { inner: Mutex::new(None) }
    }

    /// Adds a value; returns its id, from 1. `None` while [`OPEN_MAX`] are open, and once all 2^32 - 1 ids
    /// have been issued.
    pub fn open(&self, value: T) -> Option<u32> {
        let mut guard = self.lock();
        let table = guard.get_or_insert_with(|| Table { next: 1, values: HashMap::new() });
        if table.values.len() >= OPEN_MAX {
            return None;
        }
        let id = table.next;
        table.next = id.checked_add(1)?;
        table.values.insert(id, value);
        Some(id)
    }

    /// Runs `work` on one value, under the lock.
    pub fn with<R>(&self, id: u32, work: impl FnOnce(&mut T) -> R) -> Result<R, Unknown> {
        self.lock().as_mut().and_then(|table| table.values.get_mut(&id)).map(work).ok_or(Unknown(id))
    }

    /// Closes a value.
    pub fn close(&self, id: u32) -> Result<(), Unknown> {
        self.lock().as_mut().and_then(|table| table.values.remove(&id)).map(drop).ok_or(Unknown(id))
    }

    /// A poisoned lock is used anyway: after a panic the values are still valid numbers.
    fn lock(&self) -> MutexGuard<'_, Option<Table<T>>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Default for Registry<T> {
    fn default() -> Self {
        Registry::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_may_be_open() {
        let registry = Registry::new();
        assert!((0..OPEN_MAX).all(|_| registry.open(()).is_some()));
        assert_eq!(registry.open(()), None);
        assert_eq!(registry.close(1), Ok(()));
        assert_eq!(registry.open(()), Some(OPEN_MAX as u32 + 1));
    }

    #[test]
    fn threads_share_them() {
        let registry = Registry::new();
        let id = registry.open(0).unwrap();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..1000).for_each(|_| registry.with(id, |count| *count += 1).unwrap()));
            }
        });
        assert_eq!(registry.with(id, |count| *count), Ok(4000));
    }

    #[test]
    fn ids_are_never_used_twice() {
        let registry = Registry::new();
        let first = registry.open("a").unwrap();
        assert_eq!(registry.with(first, |value| *value), Ok("a"));
        assert_eq!(registry.close(first), Ok(()));
        assert_eq!(registry.with(first, |value| *value), Err(Unknown(first)));
        assert_eq!(registry.close(first), Err(Unknown(first)));
        assert_ne!(registry.open("b"), Some(first));
    }
}
