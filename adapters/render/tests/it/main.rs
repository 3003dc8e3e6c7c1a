//! The renderer as the application uses it.

mod fixtures;
mod links;
mod newsletter;
mod preview;
mod sending;
