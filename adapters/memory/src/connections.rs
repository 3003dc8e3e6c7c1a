//! Figures of connections that do not exist.

use application::ports::{ConnectionFigures, ConnectionMeter, ConnectionPage};

/// Tells the figures that it was given, with as many workspaces as are asked for.
#[derive(Debug, Clone)]
pub struct FixedMeter(pub ConnectionFigures);

impl ConnectionMeter for FixedMeter {
    fn connections(&self, page: &ConnectionPage) -> ConnectionFigures {
        let mut figures = self.0.clone();
        figures.workspaces.truncate(page.limit);
        figures.truncated = figures.workspaces.len() < self.0.workspaces.len();
        figures
    }
}
