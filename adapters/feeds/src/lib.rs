//! Asks feeds over HTTP: the `FeedReader` port.
//!
//! Tenants choose the addresses, so that nothing inside the network of the installation may be reached:
//! neither by an address, nor by what a name leads to at the moment of the connection, nor by a redirect.

mod names;
mod reader;
mod slots;

pub use reader::{Config, HttpFeedReader, TlsError};
