//! Keeps tenants from reaching into the network of the installation.

use domain::hosts;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use std::net::SocketAddr;
use tokio::net::lookup_host;

/// The name leads only to addresses inside.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("its address is private, which is not allowed")]
pub(crate) struct PrivateAddress;

/// Answers public addresses only.
pub(crate) struct PublicNames;

impl Resolve for PublicNames {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found: Vec<SocketAddr> = lookup_host((name.as_str(), 0)).await?.collect();
            let public: Vec<_> = found.iter().copied().filter(|a| hosts::is_public(a.ip())).collect();
            if public.is_empty() && !found.is_empty() {
                return Err(PrivateAddress.into());
            }
            let addresses: Addrs = Box::new(public.into_iter());
            Ok(addresses)
        })
    }
}
