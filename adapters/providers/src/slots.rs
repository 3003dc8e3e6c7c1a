//! Bounds the requests of each route, so that one slow account leaves room for the others.

use domain::ids::{IntegrationId, WorkspaceId};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Whose requests are counted together.
pub(crate) type Owner = Option<(WorkspaceId, IntegrationId)>;

/// Routes kept before those without requests are forgotten.
const KEPT: usize = 256;

/// The slots of all routes.
pub(crate) struct Slots {
    per_route: usize,
    routes: Mutex<HashMap<Owner, Arc<Semaphore>>>,
}

impl Slots {
    pub fn new(per_route: usize) -> Self {
        Self { per_route: per_route.max(1), routes: Mutex::default() }
    }

    /// Waits for a slot; it is free again when dropped.
    pub async fn slot(&self, owner: &Owner) -> Option<OwnedSemaphorePermit> {
        self.route(owner).acquire_owned().await.ok()
    }

    fn route(&self, owner: &Owner) -> Arc<Semaphore> {
        let mut routes = self.routes.lock().unwrap_or_else(PoisonError::into_inner);
        if routes.len() >= KEPT {
            routes.retain(|_, slots| Arc::strong_count(slots) > 1);
        }
        let slots = routes.entry(owner.clone()).or_insert_with(|| Arc::new(Semaphore::new(self.per_route)));
        Arc::clone(slots)
    }
}
