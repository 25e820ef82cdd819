//! What a store keeps, and its keys. They are made, and copied, while the store isn't locked.

use std::sync::Arc;

use crate::shared::digest::sha256;

/// Memory of an entry besides its bytes: digest, links, table slot, allocation.
pub const ENTRY_OVERHEAD: u64 = 128;

/// A stored value: a head for the owner's metadata, and a body. A clone has the same bytes, and keeps them from being
/// dropped: who holds one may copy them when the store's lock is free again.
#[derive(Clone, Debug)]
pub struct Entry {
    pub(super) bytes: Arc<Vec<u8>>,
    pub(super) head_length: usize,
    pub(super) expires_ms: f64,
}

impl Entry {
    /// The owner's metadata.
    pub fn head(&self) -> &[u8] {
        &self.bytes[..self.head_length]
    }

    /// The body.
    pub fn body(&self) -> &[u8] {
        &self.bytes[self.head_length..]
    }

    /// Head and body, one after the other.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// A key's digest. Made before the store is locked, as a value is.
#[derive(Clone, Copy, Debug)]
pub struct Key(pub(super) [u8; 32]);

impl Key {
    /// A key of any length.
    pub fn new(key: &[u8]) -> Self {
        Key(sha256(key))
    }
}

/// What is to be stored.
#[derive(Debug)]
pub struct Value {
    pub(super) bytes: Vec<u8>,
    pub(super) head_length: usize,
}

impl Value {
    /// A copy of head and body.
    pub fn new(head: &[u8], body: &[u8]) -> Self {
        let mut bytes = Vec::with_capacity(head.len() + body.len());
        bytes.extend_from_slice(head);
        bytes.extend_from_slice(body);
        Value { bytes, head_length: head.len() }
    }
}
