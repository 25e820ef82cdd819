//! Digests: of bodies, by which equal requests are known, and of keys.

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

/// SHA-256 (FIPS 180-4).
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// SHA-256 of the concatenated parts.
fn sha256_of(parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = Sha256::new();
    parts.iter().for_each(|part| hash.update(part));
    hash.finalize().into()
}

/// From here on BLAKE3 takes less time than SHA-256, which processors have instructions for: a third of it at 8 KiB.
const LONG_BYTES: usize = 8 * 1024;

/// A digest of the concatenated parts that no two contents share: SHA-256 of short ones, BLAKE3 of long ones. Which of the
/// two is nobody's business but this process's and its peers', so it may change with any version.
pub fn digest_of(parts: &[&[u8]]) -> [u8; 32] {
    if parts.iter().map(|part| part.len()).sum::<usize>() < LONG_BYTES {
        return sha256_of(parts);
    }
    let mut hash = blake3::Hasher::new();
    for part in parts {
        hash.update(part);
    }
    hash.finalize().into()
}

/// HMAC-SHA-256 (RFC 2104). The key may have any length.
pub fn hmac_sha256(key: &[u8], bytes: &[u8]) -> [u8; 32] {
    // HMAC takes keys of any length, so the error cannot occur; if it did, an empty key would still give a
    // defined digest.
    let mut mac = match Hmac::<Sha256>::new_from_slice(key) {
        Ok(mac) => mac,
        Err(_) => return sha256(bytes),
    };
    mac.update(bytes);
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bytes(length: usize) -> Vec<u8> {
        (0..length).map(|at| (at * 31 % 251) as u8).collect()
    }

    #[test]
    fn short_contents_have_one_digest_and_long_ones_another() {
        let (short, long) = (bytes(LONG_BYTES - 1), bytes(LONG_BYTES));
        assert_eq!(digest_of(&[&short]), sha256(&short));
        assert_eq!(digest_of(&[&long]), *blake3::hash(&long).as_bytes());
    }

    proptest! {
        /// Where a content is cut makes no difference, and any other byte does.
        #[test]
        fn a_digest_is_that_of_the_whole(length in 0..3 * LONG_BYTES, cut in any::<prop::sample::Index>(), flip in 1..=255u8) {
            let mut whole = bytes(length);
            let digest = digest_of(&[&whole]);
            let (before, after) = whole.split_at(cut.index(length + 1));
            prop_assert_eq!(digest_of(&[before, after]), digest);
            if length > 0 {
                whole[cut.index(length)] ^= flip;
                prop_assert_ne!(digest_of(&[&whole]), digest);
            }
        }
    }
}
