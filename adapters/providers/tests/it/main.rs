//! The adapter against a server of its own that records requests and answers by script.

mod answers;
mod callbacks;
mod feedback;
mod requests;
mod ses;
mod signing;
mod support;
