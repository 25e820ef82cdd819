//! The cross-encoder's bounds, and files that are none. Its scores are tested in `test/cache/verifier.test.ts`, on the
//! build that is used: this one takes a second for each.

use std::sync::OnceLock;

use sidegate_core::search::cross_encoder::{CrossEncoder, TOKENS_MAX, Unreadable};

static FILE: &[u8] = include_bytes!("../assets/cross-encoder.bin");

fn model() -> &'static CrossEncoder {
    static MODEL: OnceLock<CrossEncoder> = OnceLock::new();
    MODEL.get_or_init(|| CrossEncoder::read(FILE).unwrap())
}

#[test]
fn a_file_that_is_none_is_refused() {
    let why = |file: &[u8]| CrossEncoder::read(file).unwrap_err();
    assert_eq!(why(b""), Unreadable::Other);
    assert_eq!(why(&[7; 1000]), Unreadable::Other);
    assert_eq!(why(&FILE[..20]), Unreadable::Damaged);
    assert_eq!(why(&FILE[..FILE.len() - 1]), Unreadable::Damaged);
    let mut changed = FILE.to_vec();
    changed[5_000_000] ^= 1;
    assert_eq!(why(&changed), Unreadable::Damaged);
}

#[test]
fn its_size_is_what_is_said_of_it() {
    assert!(FILE.len() < 14_000_000 && model().bytes() < FILE.len());
    assert!(model().sure() > 0.5 && model().sure() < 1.0);
}

#[test]
fn what_is_too_long_is_not_looked_at() {
    let most = vec![1000; TOKENS_MAX - 3];
    assert_eq!(model().score(&most, &[1000]), None);
    assert_eq!(model().decide(&most, &[1000], 0.5), None);
    assert_eq!(model().score(&[u16::MAX], &[1000]), None);
    assert!(model().score(&[], &[]).is_some_and(f32::is_finite));
}

#[test]
fn the_order_does_not_matter_and_what_the_small_model_has_counts() {
    let decide = |a: &[u16], b: &[u16], small| model().decide(a, b, small).unwrap();
    assert_eq!(decide(&[1000], &[2000, 3000], 0.5), decide(&[2000, 3000], &[1000], 0.5));
    assert!(decide(&[1000], &[2000], 0.0) < decide(&[1000], &[2000], 1.0));
}
