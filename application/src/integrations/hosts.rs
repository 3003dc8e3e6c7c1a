//! Which hosts a workspace may name. What a name resolves to is checked when mail is sent.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Whether the text is a host name (RFC 1123, with underscores) or an IP address.
pub(super) fn is_host(text: &str) -> bool {
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
/// or otherwise special address in any notation, nor a name that means this machine.
pub(super) fn may_be_public(host: &str) -> bool {
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

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => match embedded_v4(v6) {
            Some(v4) => is_public_v4(v4),
            None => v6.segments()[0] & 0xe000 == 0x2000, // global unicast
        },
    }
}

fn is_public_v4(v4: Ipv4Addr) -> bool {
    let [a, b, ..] = v4.octets();
    let shared = a == 100 && (64..128).contains(&b);
    !(v4.is_loopback()
        || v4.is_private()
        || v4.is_link_local()
        || v4.is_multicast()
        || v4.is_documentation()
        || a == 0
        || a >= 240
        || shared)
}

/// The IPv4 address inside a mapped or a NAT64 address.
fn embedded_v4(v6: Ipv6Addr) -> Option<Ipv4Addr> {
    let [.., a, b, c, d] = v6.octets();
    let nat64 = v6.segments()[..6] == [0x64, 0xff9b, 0, 0, 0, 0];
    v6.to_ipv4_mapped().or_else(|| nat64.then(|| Ipv4Addr::new(a, b, c, d)))
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
}
