//! Connections to nothing, open at once: what is left is the broker's own work.

use broker::{CleanStep, CloseProof, Connector, OpenError, Target, Unusable, ZombieProbe};

/// See the module.
pub(crate) struct Nothing;

impl Connector for Nothing {
    type Connection = ();
    type Handle = ();

    async fn open(&self, _: &Target) -> Result<(), OpenError<()>> {
        Ok(())
    }

    fn handle(&self, (): &()) {}

    async fn clean(&self, (): &mut (), _: CleanStep) -> Result<(), Unusable> {
        Ok(())
    }

    async fn check(&self, (): &mut ()) -> Result<(), Unusable> {
        Ok(())
    }

    async fn close(&self, (): ()) -> CloseProof<()> {
        CloseProof::Free
    }

    async fn prove_gone(&self, _: Option<&mut ()>, zombies: &[ZombieProbe<()>]) -> Vec<bool> {
        vec![true; zombies.len()]
    }
}
