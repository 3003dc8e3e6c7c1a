//! Which hosts a workspace may name, so that no tenant reaches into the network of the installation.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Whether the text is a host name (RFC 1123, with underscores) or an IP address.
#[must_use]
pub fn is_host(text: &str) -> bool {
    literal(text).is_some()
        || (text.len() <= 253
            && text.strip_suffix('.').unwrap_or(text).split('.').all(|label| {
                (1..=63).contains(&label.len())
                    && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
                    && !label.starts_with('-')
                    && !label.ends_with('-')
            }))
}

/// Whether a host may stand for a server on the public network: neither a literal loopback, private
/// or otherwise special address in any notation, nor a name that means this machine. What a name
/// resolves to is for [`is_public`] to tell.
#[must_use]
pub fn may_be_public(host: &str) -> bool {
    if let Some(address) = literal(host) {
        return is_public(address);
    }
    let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    let last = host.rsplit('.').next().unwrap_or_default();
    // Resolvers read 127.1, 0x7f000001 and 2130706433 as addresses.
    let numeric = last.starts_with(|c: char| c.is_ascii_digit());
    !numeric && last != "localhost"
}

fn literal(host: &str) -> Option<IpAddr> {
    let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
    bare.parse().ok()
}

/// Whether an address is on the public internet: not loopback, private, shared (RFC 6598),
/// link-local, unspecified, multicast, reserved or for documentation, in any notation of IPv6
/// that carries an IPv4 address either.
#[must_use]
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => is_public_v6(v6),
    }
}

fn is_public_v4(v4: Ipv4Addr) -> bool {
    let [a, b, c, _] = v4.octets();
    !(v4.is_loopback()
        || v4.is_private()
        || v4.is_link_local()
        || v4.is_multicast()
        || v4.is_documentation()
        || a == 0
        || a >= 240
        || (a == 100 && (64..128).contains(&b))
        || (a == 192 && b == 0 && c == 0)
        || (a == 198 && (b == 18 || b == 19)))
}

fn is_public_v6(v6: Ipv6Addr) -> bool {
    let [s0, s1, s2, s3, s4, s5, s6, s7] = v6.segments();
    let embedded = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        is_public_v4(Ipv4Addr::new(a, b, c, d))
    };
    match (s0, s1, s2, s3, s4, s5) {
        (0, 0, 0, 0, 0, 0xffff) | (0x64, 0xff9b, 0, 0, 0, 0) => embedded(s6, s7),
        // 6to4
        (0x2002, high, low, ..) => embedded(high, low),
        // documentation, Teredo and other special purposes
        (0x2001, 0xdb8 | 0..=0x1ff, ..) => false,
        // only 2000::/3 is given out for the internet; the rest is local, multicast or reserved
        _ => s0 & 0xe000 == 0x2000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_and_private_networks_are_not_public() {
        for host in [
            "localhost",
            "LOCALHOST.",
            "mail.localhost",
            "127.0.0.1",
            "127.1",
            "2130706433",
            "0x7f000001",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "::1",
            "[::1]",
            "::ffff:127.0.0.1",
            "64:ff9b::7f00:1",
            "fd00::1",
            "fe80::1",
        ] {
            assert!(!may_be_public(host), "{host}");
        }
        for host in ["mx.shop.example", "9.9.9.9", "2620:fe::fe", "3com.example"] {
            assert!(may_be_public(host), "{host}");
        }
    }

    #[test]
    fn a_host_is_a_name_or_an_address() {
        for good in ["mx.shop.example", "mail", "10.0.0.1", "::1", "[::1]", "a_b.example."] {
            assert!(is_host(good), "{good}");
        }
        for bad in ["", ".", "a..b", "a b", "a/b", "user@host", "host:25", "-a.example", "a\r\nb"] {
            assert!(!is_host(bad), "{bad}");
        }
    }

    #[test]
    fn the_internet_may_be_reached() {
        for good in ["8.8.8.8", "192.0.1.1", "100.128.0.1", "2a00:1450:4001::1", "64:ff9b::808:808"] {
            assert!(is_public(good.parse().unwrap()), "{good}");
        }
    }

    #[test]
    fn the_inside_may_not_be_reached() {
        for bad in [
            "127.0.0.1",
            "127.8.8.8",
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "192.0.0.8",
            "198.18.0.1",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "203.0.113.5",
            "::",
            "::1",
            "::7f00:1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
            "2001:db8::1",
            "2001::1",
            "fe80::1",
            "fd00:ec2::254",
            "fc00::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(!is_public(bad.parse().unwrap()), "{bad}");
        }
    }
}
