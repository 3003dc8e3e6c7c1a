//! A registrar that remembers.

use crate::locked;
use application::ports::{
    Callback, CallbackEvent, CallbackRegistrar, Learned, RegisteredCallback, Registration, RegistrationError,
};
use async_trait::async_trait;
use domain::{ids::IntegrationId, integrations::ProviderSettings, secret::Secret};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

/// Keeps what providers were told. Its clones share it.
#[derive(Clone, Default)]
pub struct MemoryRegistrar {
    known: Arc<Mutex<BTreeMap<IntegrationId, Vec<RegisteredCallback>>>>,
    learned: Learned,
}

impl MemoryRegistrar {
    /// One whose registrations bring this to light.
    #[must_use]
    pub fn that_tells(learned: Learned) -> Self {
        Self { learned, ..Self::default() }
    }

    fn told(&self, integration: IntegrationId) -> Registration {
        let callbacks = locked(&self.known).get(&integration).cloned().unwrap_or_default();
        Registration { callbacks, ..Registration::default() }
    }
}

#[async_trait]
impl CallbackRegistrar for MemoryRegistrar {
    async fn register(
        &self,
        settings: &ProviderSettings<Secret>,
        callback: &Callback,
        events: &[CallbackEvent],
    ) -> Result<Registration, RegistrationError> {
        if matches!(settings, ProviderSettings::Smtp(_)) {
            return Err(RegistrationError::Unsupported);
        }
        let one = |event: &CallbackEvent| RegisteredCallback {
            id: Some(event.name().to_owned()),
            url: callback.url.clone(),
            event: *event,
            active: true,
        };
        locked(&self.known).insert(callback.integration, events.iter().map(one).collect());
        Ok(Registration { learned: self.learned.clone(), ..self.told(callback.integration) })
    }

    async fn registration(
        &self,
        settings: &ProviderSettings<Secret>,
        callback: &Callback,
    ) -> Result<Registration, RegistrationError> {
        if matches!(settings, ProviderSettings::Smtp(_)) {
            return Err(RegistrationError::Unsupported);
        }
        Ok(self.told(callback.integration))
    }

    async fn unregister(
        &self,
        _settings: &ProviderSettings<Secret>,
        callback: &Callback,
    ) -> Result<(), RegistrationError> {
        locked(&self.known).remove(&callback.integration);
        Ok(())
    }
}
