//! Accepting messages: contact, message and its place in the queue are stored together.

use super::{
    Transactional, TransactionalError,
    acceptance::{Ready, Verdict},
    request::SendRequest,
};
use crate::{
    access::Caller,
    directory::active_workspace,
    ports::{Purpose, WorkKind},
};
use chrono::Duration;
use domain::{
    idempotency::IdempotencyKey,
    ids::MessageId,
    permissions::{Permission, Resource},
    secret::{Sealed, Secret},
    validation::Invalid,
};
use serde_json::{Map, Value};

/// The place of a message in its call, and what became of it.
pub type Placed = (usize, Result<MessageId, TransactionalError>);

/// Most messages of one call.
const MOST: usize = 500;

/// How far ahead a message may be asked for.
const AHEAD: Duration = Duration::days(30);

impl Transactional {
    /// Accepts a message: the contact, the message and its place in the queue are stored together.
    /// A repeated request with the same key is answered with the first message and sends nothing.
    ///
    /// # Errors
    /// Without `transactional:write`, when the notification, its template or a provider is missing,
    /// the moment is too far ahead, or a key was used with another payload.
    #[tracing::instrument(name = "transactional.send", skip_all)]
    pub async fn send(&self, caller: &Caller, request: SendRequest) -> Result<MessageId, TransactionalError> {
        let mut results = self.accept(caller, vec![request], "transactional.send").await?;
        results.pop().unwrap_or(Err(TransactionalError::NotFound))
    }

    /// Accepts up to 500 messages in one unit of work, each as [`Transactional::send`] does: one that
    /// cannot be sent keeps no other from being sent. The answers are in the order of the requests.
    /// With a key, the whole call can be repeated.
    ///
    /// # Errors
    /// Without `transactional:write`, when there are too many or no messages, or no provider.
    #[tracing::instrument(name = "transactional.send_batch", skip_all)]
    pub async fn send_batch(
        &self,
        caller: &Caller,
        key: Option<&IdempotencyKey>,
        mut requests: Vec<(usize, SendRequest)>,
    ) -> Result<Vec<Placed>, TransactionalError> {
        if requests.len() > MOST {
            return Err(Invalid::one("/notifications", "takes at most 500 messages").into());
        }
        for (place, request) in &mut requests {
            request.idempotency_key = key.map(|key| key.of_item(*place));
        }
        let (places, requests): (Vec<_>, Vec<_>) = requests.into_iter().unzip();
        let results = self.accept(caller, requests, "transactional.sendBatch").await?;
        Ok(places.into_iter().zip(results).collect())
    }

    async fn accept(
        &self,
        caller: &Caller,
        requests: Vec<SendRequest>,
        label: &'static str,
    ) -> Result<Vec<Result<MessageId, TransactionalError>>, TransactionalError> {
        caller.require(Permission::Write(Resource::Transactional))?;
        let purpose = Purpose::interactive(label);
        let workspace = active_workspace(self.broker.as_ref(), &caller.workspace, purpose).await?;
        let integration =
            workspace.settings.transactional_email_provider_id.ok_or(TransactionalError::NoProvider)?;
        let now = self.clock.now();
        let mut results: Vec<Option<Result<MessageId, TransactionalError>>> = Vec::new();
        let mut ready = Vec::with_capacity(requests.len());
        for request in requests {
            if request.send_at.is_some_and(|at| at > now + AHEAD) {
                let rule = "must be at most 30 days ahead";
                results.push(Some(Err(Invalid::one("/notification/send_at", rule).into())));
            } else {
                ready.push((results.len(), self.ready(&workspace.secret_key, request)?));
                results.push(None);
            }
        }
        let promise = self.work.promise(&caller.workspace, WorkKind::Deliveries, purpose).await?;
        let mut store = self.broker.write(&caller.workspace, purpose).await?;
        let (places, ready): (Vec<_>, Vec<_>) = ready.into_iter().unzip();
        let verdicts = self.judge(store.as_mut(), &ready, now).await?;
        let mut fresh = Vec::new();
        for ((place, ready), verdict) in places.into_iter().zip(ready).zip(verdicts) {
            results[place] = Some(match verdict {
                Verdict::New(known) => {
                    let id = ready.id.clone();
                    fresh.push((ready, known));
                    Ok(id)
                }
                Verdict::Earlier(message) => Ok(message),
                Verdict::Refused(error) => Err(error),
            });
        }
        if !fresh.is_empty() {
            self.store(store.as_mut(), fresh, integration, now).await?;
            promise.commit(store).await?;
        }
        Ok(results.into_iter().map(|result| result.unwrap_or(Err(TransactionalError::NotFound))).collect())
    }

    /// Seals the variables and finds the checksums of the files, before a lease is taken.
    fn ready(&self, workspace_key: &Sealed, mut request: SendRequest) -> Result<Ready, TransactionalError> {
        let contents = request.attach(self.vault.as_ref());
        let data = self.sealed(workspace_key, &request.data)?;
        Ok(Ready { request, contents, data, id: MessageId::from_uuid(self.ids.uuid()) })
    }
    fn sealed(
        &self,
        workspace_key: &Sealed,
        data: &Map<String, Value>,
    ) -> Result<Option<Sealed>, TransactionalError> {
        if data.is_empty() {
            return Ok(None);
        }
        let key = self.vault.open(workspace_key)?;
        let text = Secret::new(Value::Object(data.clone()).to_string());
        Ok(Some(self.vault.seal_with(&key, &text)))
    }
}
