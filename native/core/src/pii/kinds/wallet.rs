//! Finds addresses of crypto wallets: Bitcoin, Ethereum and what is built like them.

use std::ops::Range;

use crate::pii::context::Context;
use crate::pii::matcher::{Anchor, Matcher, Spot};
use crate::shared::digest::sha256;
use crate::shared::steps::step;

/// Addresses of wallets.
pub const MATCHER: Matcher = Matcher { anchors: &[Anchor::Word(25, 90)], at: wallet_at };

fn wallet_at(spot: &Spot) -> Option<Range<usize>> {
    let word = spot.lone()?;
    let valid = match word.as_bytes() {
        [b'0', b'x', rest @ ..] if rest.len() == 40 => is_ethereum(rest) && spot.near(Context::Wallet),
        [b'1' | b'3' | b'L' | b'M' | b'D', ..] if (25..=35).contains(&word.len()) => {
            is_base58(word.as_bytes())
        }
        _ => is_bech32(word),
    };
    valid.then(|| spot.anchor.clone())
}

/// Without a check: what is in mixed case would need another hash than this core has.
fn is_ethereum(digits: &[u8]) -> bool {
    digits.iter().all(u8::is_ascii_hexdigit)
}

/// Base58Check: 25 bytes, of which the last four are the beginning of the doubled SHA-256 of the others.
fn is_base58(text: &[u8]) -> bool {
    const ALPHABET: &[u8] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
    let mut bytes = [0_u8; 25];
    for letter in text {
        let Some(value) = ALPHABET.iter().position(|known| known == letter) else { return false };
        let mut carry = value as u32;
        for byte in bytes.iter_mut().rev() {
            step();
            carry += u32::from(*byte) * 58;
            *byte = carry as u8;
            carry >>= 8;
        }
        if carry != 0 {
            return false;
        }
    }
    sha256(&sha256(&bytes[..21]))[..4] == bytes[21..]
}

/// Bech32 and Bech32m (BIP 173 and 350).
fn is_bech32(word: &str) -> bool {
    const ALPHABET: &[u8] = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l";
    let lower = word.to_ascii_lowercase();
    if lower != word && word.bytes().any(|byte| byte.is_ascii_lowercase()) {
        return false;
    }
    let Some(data) = ["bc1", "tb1", "ltc1"].iter().find_map(|prefix| lower.strip_prefix(prefix)) else {
        return false;
    };
    let human = &lower.as_bytes()[..lower.len() - data.len() - 1];
    let polymod = |sum: u32, value: u32| {
        step();
        let top = sum >> 25;
        let generators = [0x3b6a_57b2, 0x2650_8e6d, 0x1ea1_19fa, 0x3d42_33dd, 0x2a14_62b3];
        let sum = (sum & 0x1ff_ffff) << 5 ^ value;
        generators
            .iter()
            .enumerate()
            .fold(sum, |sum, (bit, mask)| if top >> bit & 1 != 0 { sum ^ mask } else { sum })
    };
    let head = human
        .iter()
        .map(|byte| u32::from(byte >> 5))
        .chain([0])
        .chain(human.iter().map(|byte| u32::from(byte & 31)));
    let mut sum = head.fold(1, polymod);
    for letter in data.bytes() {
        let Some(value) = ALPHABET.iter().position(|known| *known == letter) else { return false };
        sum = polymod(sum, value as u32);
    }
    matches!(sum, 1 | 0x2bc8_30a3)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pii::finder::found_by;

    #[test]
    fn finds_wallets() {
        for wallet in [
            "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa",
            "3J98t1WpEZ73CNmQviecrnyiWrnqRhWNLy",
            "bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq",
            "BC1QAR0SRRR7XFKVY5L643LYDNW9RE59GTZZWF5MDQ",
        ] {
            assert_eq!(found_by(MATCHER, &format!("pay {wallet}.")), [wallet]);
        }
        assert_eq!(
            found_by(MATCHER, "my ETH wallet 0x71C7656EC7ab88b098defB751B7401B5f6d8976F"),
            ["0x71C7656EC7ab88b098defB751B7401B5f6d8976F"]
        );
        for text in [
            "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNb",
            "bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mda",
            "0x71C7656EC7ab88b098defB751B7401B5f6d8976F",
        ] {
            assert_eq!(found_by(MATCHER, text), [""; 0], "{text}");
        }
    }
}
