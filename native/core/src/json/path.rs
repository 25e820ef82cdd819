//! The position of a walk in a document: the open containers, and the key of the current value.

use crate::json::field_names::Key;
use crate::json::walker::DEPTH_MAX;

#[derive(Clone, Copy, Default)]
struct Frame<P> {
    place: P,
    /// The key of the container in its parent.
    key: Key,
    array: bool,
}

/// The open containers, each with its meaning to the reader (`P`). Outside the document the meaning is the
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
    /// The meaning of the innermost open container.
    pub fn place(&self) -> P {
        self.frames[self.depth].place
    }

    /// The key of the current value: its own, or that of the array it is in.
    pub fn key(&self) -> Key {
        let frame = &self.frames[self.depth];
        if frame.array { frame.key } else { self.key }
    }

    /// Records a member's name.
    pub fn set_key(&mut self, key: Key) {
        self.key = key;
    }

    /// Enters a container. The walker ensures that there are never more than `DEPTH_MAX`.
    pub fn enter(&mut self, place: P, array: bool) {
        let key = self.key();
        self.depth += 1;
        self.frames[self.depth] = Frame { place, key, array };
    }

    /// Leaves the innermost container; returns its meaning.
    pub fn leave(&mut self) -> P {
        let place = self.place();
        self.depth = self.depth.saturating_sub(1);
        place
    }
}
