//! Looks up names, and answers public addresses only.

use domain::hosts;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use std::net::SocketAddr;
use tokio::net::lookup_host;

/// The name leads to an address inside.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("its address is private, which is not allowed")]
pub(crate) struct PrivateAddress;

/// Refuses a name of which any address is not public: the connection is made to what was looked up here,
/// so that nobody can answer the check and the connection differently.
pub(crate) struct PublicNames;

impl Resolve for PublicNames {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found: Vec<SocketAddr> = lookup_host((name.as_str(), 0)).await?.collect();
            if !found.iter().all(|address| hosts::is_public(address.ip())) {
                return Err(PrivateAddress.into());
            }
            let addresses: Addrs = Box::new(found.into_iter());
            Ok(addresses)
        })
    }
}
