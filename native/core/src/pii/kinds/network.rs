//! Finds IP and MAC addresses, and the hosts of links.

use std::net::Ipv6Addr;
use std::ops::Range;

use crate::pii::context::Context;
use crate::pii::edges::is_edge;
use crate::pii::matcher::{Anchor, Matcher, Spot};
use crate::shared::steps::step;

/// IP addresses of both versions, but those that mean the machine itself or any.
pub const IP: Matcher = Matcher { anchors: &[Anchor::Digits(0x1FF0), Anchor::Part], at: ip_at };
/// MAC addresses.
pub const MAC: Matcher = Matcher { anchors: &[Anchor::Part], at: mac_at };
/// Hosts of links by name.
pub const DOMAIN: Matcher = Matcher { anchors: &[Anchor::Text(":"), Anchor::Text("www.")], at: domain_at };

/// Longest address, with room for a zone.
const ADDRESS_MAX: usize = 45;
/// Longest name of a host (RFC 1035).
const DOMAIN_MAX: usize = 253;

fn ip_at(spot: &Spot) -> Option<Range<usize>> {
    ipv4_at(spot).or_else(|| ipv6_at(spot))
}

fn ipv4_at(spot: &Spot) -> Option<Range<usize>> {
    let number = spot.number?;
    let groups = number.groups().get(..4)?;
    let bytes = spot.bytes();
    let dotted = groups[1..].iter().all(|group| group.gap == b'.');
    if !dotted {
        return None;
    }
    let mut octets = [0; 4];
    for (octet, group) in octets.iter_mut().zip(groups) {
        let text = &spot.text[group.start..group.end];
        if text.len() > 3 || text.len() > 1 && text.starts_with('0') {
            return None;
        }
        *octet = text.parse::<u8>().ok()?;
    }
    let end = groups[3].end;
    let goes_on = bytes.get(end) == Some(&b'.') && bytes.get(end + 1).is_some_and(u8::is_ascii_digit)
        || !is_edge(spot.text[end..].chars().next());
    let own = octets[0] == 127 || octets == [0; 4] || octets[0] == 255;
    let small = octets.iter().all(|&octet| octet < 20);
    let version = (small || spot.near(Context::Version)) && !spot.near(Context::Ip);
    (!goes_on && !own && !version).then_some(spot.anchor.start..end)
}

/// The run of hexadecimal digits and these separators around the anchor.
#[inline(always)]
fn run_around<'t>(spot: &Spot<'t>, separators: &[u8]) -> Option<(Range<usize>, &'t str)> {
    let bytes = spot.bytes();
    let belongs = |byte: &u8| {
        step();
        byte.is_ascii_hexdigit() || separators.iter().any(|separator| separator == byte)
    };
    let back = spot.anchor.start.saturating_sub(ADDRESS_MAX).max(spot.from);
    let start = spot.anchor.start
        - bytes[back..spot.anchor.start].iter().rev().take_while(|byte| belongs(byte)).count();
    let len = bytes[start..].iter().take(ADDRESS_MAX + 1).take_while(|byte| belongs(byte)).count();
    let range = start..start + len;
    let alone = len <= ADDRESS_MAX
        && is_edge(spot.text[..start].chars().next_back())
        && is_edge(spot.text[range.end..].chars().next());
    alone.then(|| (range.clone(), &spot.text[range]))
}

fn ipv6_at(spot: &Spot) -> Option<Range<usize>> {
    let bytes = spot.bytes();
    let beside = |at: Option<&u8>| at == Some(&b':');
    if !beside(bytes.get(spot.anchor.end)) && !beside(spot.anchor.start.checked_sub(1).map(|at| &bytes[at])) {
        return None;
    }
    let (range, text) = run_around(spot, b":.")?;
    let text = text.trim_end_matches(['.', ':']);
    // A time of day is none.
    if text.bytes().filter(|&byte| byte == b':').count() < 7 && !text.contains("::") {
        return None;
    }
    let address: Ipv6Addr = text.parse().ok()?;
    let groups = text.split(':').filter(|group| !group.is_empty()).count();
    let own = address.is_loopback() || address.is_unspecified();
    (!own && (groups >= 3 || spot.near(Context::Ip))).then_some(range.start..range.start + text.len())
}

fn mac_at(spot: &Spot) -> Option<Range<usize>> {
    // The anchor is a group.
    if !matches!(spot.anchor.len(), 2 | 4) {
        return None;
    }
    let (range, text) = run_around(spot, b":-.")?;
    let parts = |separator: char, size: usize, count: usize| {
        let mut parts = text.split(separator);
        let sized = parts.by_ref().take(count).filter(|part| part.len() == size).count() == count;
        sized && parts.next().is_none() && text.len() == count * (size + 1) - 1
    };
    let shaped =
        text.len() == 17 && (parts(':', 2, 6) || parts('-', 2, 6)) || text.len() == 14 && parts('.', 4, 3);
    let hex = |byte: u8| byte.is_ascii_hexdigit() && byte != b'0';
    let varied = text.bytes().any(hex) && !text.bytes().all(|byte| matches!(byte, b'f' | b'F' | b':' | b'-'));
    (shaped && varied).then_some(range)
}

fn domain_at(spot: &Spot) -> Option<Range<usize>> {
    let after = &spot.bytes()[spot.anchor.end..];
    let start = match spot.word() {
        ":" if after.starts_with(b"//") => spot.anchor.end + 2,
        "www." if is_edge(spot.text[..spot.anchor.start].chars().next_back()) => spot.anchor.start,
        _ => return None,
    };
    let rest = &spot.bytes()[start..];
    let belongs = |byte: &&u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-') || **byte >= 0x80;
    let len = rest.iter().take(DOMAIN_MAX + 1).take_while(belongs).inspect(|_| step()).count();
    // A user name stands before the host.
    if len > DOMAIN_MAX || matches!(rest.get(len), Some(b'@' | b'_' | b'%')) {
        return None;
    }
    let host = spot.text.get(start..start + len)?.trim_end_matches('.');
    let (name, top) = host.rsplit_once('.')?;
    let named = !name.is_empty() && top.len() >= 2 && !top.starts_with(|c: char| c.is_ascii_digit());
    named.then_some(start..start + host.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pii::finder::found_by;

    #[test]
    fn finds_addresses() {
        for ip in ["106.31.73.20", "10.20.0.1", "2001:db8::8a2e:370:7334", "fe80::1ff:fe23:4567:890a"] {
            assert_eq!(found_by(IP, &format!("from {ip}.")), [ip]);
        }
        let none = [
            "127.0.0.1",
            "0.0.0.0",
            "::1",
            "1.2.3.4",
            "1.2.3.4.5",
            "256.1.1.1",
            "version 10.20.30.40",
            "12:30:45",
        ];
        for text in none {
            assert_eq!(found_by(IP, text), [""; 0], "{text}");
        }
        for mac in ["00:1A:2b:3C:4d:5e", "00-1A-2B-3C-4D-5E", "001a.2b3c.4d5e", "ab:1a:2b:3c:4d:5e"] {
            assert_eq!(found_by(MAC, &format!("at {mac}, up")), [mac]);
        }
        for text in ["00:1A:2b:3C:4d", "00:1A:2b:3C:4d:5e:77", "00:00:00:00:00:00", "2024-01-31"] {
            assert_eq!(found_by(MAC, text), [""; 0], "{text}");
        }
    }

    #[test]
    fn finds_hosts() {
        assert_eq!(
            found_by(DOMAIN, "see http://www.PoolVendor.com.pt/ and www.a-b.de."),
            ["www.PoolVendor.com.pt", "www.a-b.de"]
        );
        assert_eq!(found_by(DOMAIN, "http://localhost/ http://10.0.0.1/ https:// awww.x.de"), [""; 0]);
    }
}
