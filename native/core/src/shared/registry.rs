//! Values shared by all threads of the process, accessed by integer ids.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// A process-wide table. Ids are never reused, so a late caller can't reach another's value. Each value has a lock of
/// its own: who works on one never waits for another.
pub struct Registry<T> {
    inner: RwLock<Option<Table<T>>>,
}

/// Maximum number of open values.
pub const OPEN_MAX: usize = 1 << 20;

struct Table<T> {
    next: u32,
    values: HashMap<u32, Slot<T>>,
    names: HashMap<Box<str>, u32>,
}

struct Slot<T> {
    value: Mutex<T>,
    /// So often it was opened, and not closed since.
    holders: u32,
    name: Option<Box<str>>,
}

/// No value has this id: it was never issued, or is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unknown(pub u32);

impl<T> Registry<T> {
    /// An empty table, usable as a `static`.
    pub const fn new() -> Self {
        Registry { inner: RwLock::new(None) }
    }

    /// Adds a value; returns its id, from 1. `None` while [`OPEN_MAX`] are open, and once all 2^32 - 1 ids
    /// have been issued.
    ///
    /// `name`: whoever opens a value of the same name gets the one that is open, until all have closed it.
    pub fn open(&self, name: Option<&str>, value: T) -> Option<u32> {
        let mut guard = self.write();
        let table = guard.get_or_insert_with(Table::new);
        if let Some(&id) = name.and_then(|name| table.names.get(name)) {
            table.values.get_mut(&id)?.holders += 1;
            return Some(id);
        }
        if table.values.len() >= OPEN_MAX {
            return None;
        }
        let id = table.next;
        table.next = id.checked_add(1)?;
        let name: Option<Box<str>> = name.map(Box::from);
        if let Some(name) = name.clone() {
            table.names.insert(name, id);
        }
        table.values.insert(id, Slot { value: Mutex::new(value), holders: 1, name });
        Some(id)
    }

    /// Runs `work` on one value, under its lock.
    pub fn with<R>(&self, id: u32, work: impl FnOnce(&mut T) -> R) -> Result<R, Unknown> {
        let guard = self.read();
        let slot = guard.as_ref().and_then(|table| table.values.get(&id)).ok_or(Unknown(id))?;
        // A poisoned lock is used anyway: after a panic the values are still valid numbers.
        let mut value = slot.value.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(work(&mut value))
    }

    /// Closes a value; one with a name stays for those who hold it still.
    pub fn close(&self, id: u32) -> Result<(), Unknown> {
        let mut guard = self.write();
        let table = guard.as_mut().ok_or(Unknown(id))?;
        let slot = table.values.get_mut(&id).ok_or(Unknown(id))?;
        slot.holders -= 1;
        if slot.holders > 0 {
            return Ok(());
        }
        let closed = table.values.remove(&id);
        if let Some(name) = closed.as_ref().and_then(|slot| slot.name.as_ref()) {
            table.names.remove(name);
        }
        // What is large is dropped without holding up anybody.
        drop(guard);
        drop(closed);
        Ok(())
    }

    fn read(&self) -> RwLockReadGuard<'_, Option<Table<T>>> {
        self.inner.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Option<Table<T>>> {
        self.inner.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Table<T> {
    fn new() -> Self {
        Table { next: 1, values: HashMap::new(), names: HashMap::new() }
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
        assert!((0..OPEN_MAX).all(|_| registry.open(None, ()).is_some()));
        assert_eq!(registry.open(None, ()), None);
        assert_eq!(registry.close(1), Ok(()));
        assert_eq!(registry.open(None, ()), Some(OPEN_MAX as u32 + 1));
    }

    #[test]
    fn threads_share_them() {
        let registry = Registry::new();
        let id = registry.open(None, 0).unwrap();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..1000).for_each(|_| registry.with(id, |count| *count += 1).unwrap()));
            }
        });
        assert_eq!(registry.with(id, |count| *count), Ok(4000));
    }

    #[test]
    fn who_opens_a_name_gets_the_same_one_until_all_have_closed_it() {
        let registry = Registry::new();
        let ids: Vec<u32> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4)
                .map(|_| {
                    scope.spawn(|| {
                        let id = registry.open(Some("limits"), 0).unwrap();
                        (0..1000).for_each(|_| registry.with(id, |count| *count += 1).unwrap());
                        id
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(ids.iter().all(|&id| id == ids[0]));
        assert_ne!(registry.open(Some("quotas"), 0), Some(ids[0]));
        assert_ne!(registry.open(None, 0), Some(ids[0]));
        for _ in 0..3 {
            assert_eq!(registry.close(ids[0]), Ok(()));
        }
        assert_eq!(registry.with(ids[0], |count| *count), Ok(4000));
        assert_eq!(registry.close(ids[0]), Ok(()));
        assert_eq!(registry.with(ids[0], |count| *count), Err(Unknown(ids[0])));
        let next = registry.open(Some("limits"), 7).unwrap();
        assert_ne!(next, ids[0]);
        assert_eq!(registry.with(next, |count| *count), Ok(7));
    }

    #[test]
    fn who_works_on_one_does_not_wait_for_another() {
        let registry = Registry::new();
        let [slow, quick] = [0, 0].map(|value| registry.open(None, value).unwrap());
        let done = registry.with(slow, |_| {
            std::thread::scope(|scope| {
                scope.spawn(|| registry.with(quick, |value| *value + 1)).join().unwrap()
            })
        });
        assert_eq!(done, Ok(Ok(1)));
    }

    #[test]
    fn ids_are_never_used_twice() {
        let registry = Registry::new();
        let first = registry.open(None, "a").unwrap();
        assert_eq!(registry.with(first, |value| *value), Ok("a"));
        assert_eq!(registry.close(first), Ok(()));
        assert_eq!(registry.with(first, |value| *value), Err(Unknown(first)));
        assert_eq!(registry.close(first), Err(Unknown(first)));
        assert_ne!(registry.open(None, "b"), Some(first));
    }
}
