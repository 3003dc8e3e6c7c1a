//! Where a request comes from, as far as those between are to be believed.

use ipnet::IpNet;
use poem::{FromRequest, Request, RequestBody, Result};
use std::{
    net::{IpAddr, SocketAddr},
    str::FromStr,
    sync::Arc,
};

/// Proxies that are believed about whom they ask for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrustedProxies(Arc<[IpNet]>);

/// A text names no network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is no list of IP addresses and networks such as 10.0.0.0/8, joined by commas")]
pub struct TrustedProxiesError;

impl FromStr for TrustedProxies {
    type Err = TrustedProxiesError;

    fn from_str(text: &str) -> Result<Self, TrustedProxiesError> {
        let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
        let networks = parts.map(|part| {
            let single = || part.parse::<IpAddr>().map(IpNet::from);
            part.parse().or_else(|_| single()).map_err(|_| TrustedProxiesError)
        });
        networks.collect::<Result<Vec<IpNet>, _>>().map(|networks| Self(networks.into()))
    }
}

impl TrustedProxies {
    fn include(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(&address))
    }

    /// Walks from the connection's peer backwards through what trusted proxies say, to the first that is
    /// not trusted. Whatever stands before may be made up.
    fn client<'a>(&self, peer: IpAddr, said: impl DoubleEndedIterator<Item = &'a str>) -> IpAddr {
        let mut nearest = peer;
        for hop in said.rev() {
            if !self.include(nearest) {
                break;
            }
            let Some(address) = address(hop) else { break };
            nearest = address;
        }
        nearest
    }
}

/// An address with or without a port.
fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let bare = text.parse().or_else(|_| text.parse::<SocketAddr>().map(|socket| socket.ip()));
    bare.ok().map(|address: IpAddr| address.to_canonical())
}

/// Where a request comes from; `None` when it came over no network.
pub(crate) struct ClientAddress(pub(crate) Option<IpAddr>);

impl<'a> FromRequest<'a> for ClientAddress {
    async fn from_request(request: &'a Request, _: &mut RequestBody) -> Result<Self> {
        let peer = request.remote_addr().as_socket_addr().map(|peer| peer.ip().to_canonical());
        let trusted = request.data::<TrustedProxies>().cloned().unwrap_or_default();
        let said: Vec<&str> = request
            .headers()
            .get_all("x-forwarded-for")
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .collect();
        Ok(Self(peer.map(|peer| trusted.client(peer, said.into_iter()))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(trusted: &str, peer: &str, said: &[&str]) -> String {
        let trusted: TrustedProxies = trusted.parse().unwrap();
        trusted.client(peer.parse().unwrap(), said.iter().copied()).to_string()
    }

    #[test]
    fn who_is_not_trusted_is_the_client_whatever_it_says() {
        assert_eq!(client("", "192.0.2.1", &["198.51.100.7"]), "192.0.2.1");
        assert_eq!(client("10.0.0.0/8", "192.0.2.1", &["198.51.100.7"]), "192.0.2.1");
    }

    #[test]
    fn trusted_proxies_are_believed_up_to_the_first_stranger() {
        let said = ["203.0.113.9", "198.51.100.7", "10.0.0.2"];
        assert_eq!(client("10.0.0.0/8", "10.0.0.1", &said), "198.51.100.7");
        assert_eq!(client("10.0.0.0/8", "10.0.0.1", &["198.51.100.7:4711"]), "198.51.100.7");
        assert_eq!(client("::1", "::1", &["2001:db8::7"]), "2001:db8::7");
    }

    #[test]
    fn what_is_no_address_ends_the_walk() {
        assert_eq!(client("10.0.0.0/8", "10.0.0.1", &["198.51.100.7", "unknown"]), "10.0.0.1");
        assert_eq!(client("10.0.0.0/8", "10.0.0.1", &[]), "10.0.0.1");
    }

    #[test]
    fn what_is_no_network_is_refused() {
        assert_eq!("proxy.example".parse::<TrustedProxies>(), Err(TrustedProxiesError));
        assert_eq!("10.0.0.0/99".parse::<TrustedProxies>(), Err(TrustedProxiesError));
    }
}
