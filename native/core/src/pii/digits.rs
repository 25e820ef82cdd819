//! Runs of digits in text: each digit at most one space or dash from the next.

use crate::shared::steps::step;

/// How many digits the longest run of `bytes` has, where that is at least `least`; else 0. Stops counting at `enough`.
pub fn longest_run(bytes: &[u8], least: usize, enough: usize) -> usize {
    let mut longest = 0;
    let mut search = 0;
    while let Some(run) = next_run(bytes, search, least) {
        let mut count = 0;
        search = run;
        loop {
            let len = digit_count(&bytes[search..]);
            count += len;
            search += len;
            if count >= enough {
                return count;
            }
            if !goes_on(bytes, search) {
                break;
            }
            search += 1;
        }
        longest = longest.max(count);
    }
    if longest < least { 0 } else { longest }
}

/// Where the next run begins. Runs of less than `least` bytes, which is at least 2, may be missed.
///
/// Of two neighbours in a run, one is a digit. So looking at two bytes out of every `least` - 1 misses none that is
/// long enough.
pub fn next_run(bytes: &[u8], from: usize, least: usize) -> Option<usize> {
    let mut probe = from;
    while probe < bytes.len() {
        step();
        let hit = if is_digit(bytes, probe) { probe } else { probe + 1 };
        if !is_digit(bytes, hit) {
            probe += least - 1;
            continue;
        }
        let mut start = hit;
        loop {
            step();
            if start > from && is_digit(bytes, start - 1) {
                start -= 1;
            } else if start > from + 1 && is_digit(bytes, start - 2) && goes_on(bytes, start - 1) {
                start -= 2;
            } else {
                return Some(start);
            }
        }
    }
    None
}

/// Whether a run that has a digit before `at` goes on with a gap there.
pub fn goes_on(bytes: &[u8], at: usize) -> bool {
    bytes.get(at).is_some_and(|byte| matches!(byte, b' ' | b'-')) && is_digit(bytes, at + 1)
}

fn is_digit(bytes: &[u8], at: usize) -> bool {
    bytes.get(at).is_some_and(u8::is_ascii_digit)
}

/// How many digits `bytes` begin with.
pub fn digit_count(bytes: &[u8]) -> usize {
    bytes.iter().take_while(|byte| byte.is_ascii_digit()).inspect(|_| step()).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shared::steps::count;

    #[test]
    fn the_longest_run_is_known_up_to_what_is_asked() {
        let longest = |text: &str| longest_run(text.as_bytes(), 4, 13);
        assert_eq!(longest("4111 1111-1111 1111 "), 16);
        assert_eq!(longest("12 ab 123-4 xx 12"), 4);
        assert_eq!(longest("1234  5678"), 4);
        assert_eq!(longest("123 x 123"), 0);
        assert_eq!(longest(""), 0);
    }

    #[test]
    fn a_run_is_seen_at_every_offset() {
        for before in 0..60 {
            for filler in ["x", "\u{e4}", "1 ", "7-"] {
                let text = format!("{}; 4111111111111111 ;", filler.repeat(before));
                assert!(longest_run(text.as_bytes(), 13, 13) >= 13, "{text}");
            }
        }
    }

    #[test]
    fn takes_linear_time() {
        for text in ["4", "4 ", "4-", "41 x", "4 1 1 1 1 1 1 1 1 1 1 1 \u{e4}"] {
            let text = text.repeat(100_000 / text.len());
            let steps = count(|| {
                longest_run(text.as_bytes(), 2, usize::MAX);
            });
            assert!(steps <= 5 * text.len(), "{steps} steps for {} bytes", text.len());
        }
    }
}
