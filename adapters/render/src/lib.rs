//! From templates to mails: MJML is compiled and Liquid parsed once per content, then each recipient
//! costs only the rendering of Liquid and the rewriting of links.

mod blocks;
mod links;
mod liquid;
mod markup;
mod mjml;
mod nonce;
mod page;
mod plain;
mod prepared;
mod renderer;

pub use renderer::MjmlRenderer;
