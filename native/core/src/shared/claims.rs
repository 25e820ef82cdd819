//! Requests of which one goes upstream, whichever thread has it: the first one claims the key, those in other threads
//! wait until it gives the key back.

use std::collections::HashMap;

use crate::shared::digest::sha256;

/// Threads are told apart by their number, below this.
pub const THREADS_MAX: u32 = 32;

/// What became of a wish to have a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claimed {
    /// It is the thread's, until it gives it back.
    Mine,
    /// This thread has it. The one that asked is among those to tell when it is given back.
    Held(u32),
    /// It is held for another request.
    Other,
}

#[derive(Debug)]
struct Held {
    by: u32,
    note: [u8; 32],
    /// A bit for each thread that waits.
    waiting: u32,
}

/// The keys that are held. Bounded by the requests in flight.
#[derive(Debug, Default)]
pub struct Claims {
    held: HashMap<[u8; 32], Held>,
}

impl Claims {
    /// None is held yet.
    pub fn new() -> Self {
        Claims::default()
    }

    /// Claims a key for a thread. `note`: what the request is; another one must not have the same key.
    pub fn claim(&mut self, key: &[u8], note: &[u8], thread: u32) -> Claimed {
        let note = sha256(note);
        let by = thread.min(THREADS_MAX - 1);
        match self.held.get_mut(&sha256(key)) {
            Some(held) if held.note != note => Claimed::Other,
            Some(held) => {
                held.waiting |= 1 << by;
                Claimed::Held(held.by)
            }
            None => {
                self.held.insert(sha256(key), Held { by, note, waiting: 0 });
                Claimed::Mine
            }
        }
    }

    /// Gives a key back; says who waits, a bit for each thread. A key that the thread doesn't have stays.
    pub fn give_back(&mut self, key: &[u8], thread: u32) -> u32 {
        let key = sha256(key);
        match self.held.get(&key) {
            Some(held) if held.by == thread => self.held.remove(&key).map_or(0, |held| held.waiting),
            _ => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_has_it_and_the_others_are_told() {
        let mut claims = Claims::new();
        assert_eq!(claims.claim(b"key", b"a", 1), Claimed::Mine);
        assert_eq!(claims.claim(b"key", b"a", 0), Claimed::Held(1));
        assert_eq!(claims.claim(b"key", b"a", 3), Claimed::Held(1));
        assert_eq!(claims.claim(b"key", b"b", 2), Claimed::Other);
        assert_eq!(claims.claim(b"another", b"b", 2), Claimed::Mine);
        assert_eq!(claims.give_back(b"key", 0), 0, "it isn't that thread's");
        assert_eq!(claims.give_back(b"key", 1), 0b1001);
        assert_eq!(claims.give_back(b"key", 1), 0);
        assert_eq!(claims.claim(b"key", b"b", 3), Claimed::Mine);
        assert_eq!(claims.held.len(), 2);
    }

    #[test]
    fn of_many_threads_one_has_it() {
        let claims = std::sync::Mutex::new(Claims::new());
        let mine: usize = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8)
                .map(|thread| {
                    let claims = &claims;
                    scope.spawn(move || {
                        (0..1000u32)
                            .filter(|n| {
                                let claimed = claims.lock().unwrap().claim(&n.to_le_bytes(), b"", thread);
                                claimed == Claimed::Mine
                            })
                            .count()
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(mine, 1000);
    }
}
