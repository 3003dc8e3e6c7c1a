//! The proof in the links of a mail.

use super::TokenError;
use domain::{Timestamp, subscriptions::ContactPass};

/// Signs and checks the links to a contact's own pages.
pub trait ContactTokens: Send + Sync {
    /// The token of a pass, for a URL. It names neither the workspace nor the address, which stand beside
    /// it in the link. Its end is kept in whole seconds.
    fn issue(&self, pass: &ContactPass, expires_at: Timestamp) -> String;

    /// Checks that a token was issued for this pass with a key of this installation.
    ///
    /// # Errors
    /// When it was not, or has expired.
    fn verify(&self, token: &str, pass: &ContactPass, now: Timestamp) -> Result<(), TokenError>;
}
