//! Where in a document a walk stands: the open containers, and the key of the value at hand.

use crate::json::field_names::Key;
use crate::json::walker::DEPTH_MAX;

#[derive(Clone, Copy, Default)]
struct Frame<P> {
    place: P,
    /// The key under which the container stands.
    key: Key,
    array: bool,
}

/// The open containers, each with what it means to the reader (`P`). Outside the document the place is the
/// default.
pub struct Path<P> {
    frames: [Frame<P>; DEPTH_MAX + 1],
    depth: usize,
    key: Key,
}

impl<P: Copy + Default> Default for Path<P> {
    fn default() -> Self {
        Path { frames: [Frame::default(); DEPTH_MAX + 1], depth: 0, key: Key::Other }
    }
}

impl<P: Copy + Default> Path<P> {
    /// What the innermost open container means.
    pub fn place(&self) -> P {
        self.frames[self.depth].place
    }

    /// The key of the value at hand: its own, or that of the array it is in.
    pub fn key(&self) -> Key {
        let frame = &self.frames[self.depth];
        if frame.array { frame.key } else { self.key }
    }

    /// A member's name was read.
    pub fn set_key(&mut self, key: Key) {
        self.key = key;
    }

    /// A container opens. The walker sees to it that there are never more than `DEPTH_MAX`.
    pub fn enter(&mut self, place: P, array: bool) {
        let key = self.key();
        self.depth += 1;
        self.frames[self.depth] = Frame { place, key, array };
    }

    /// The innermost container closes; says what it meant.
    pub fn leave(&mut self) -> P {
        let place = self.place();
        self.depth = self.depth.saturating_sub(1);
        place
    }
}
