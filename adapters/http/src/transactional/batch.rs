//! What `transactional.sendBatch` reads and answers.

use super::send::MessageBody;
use crate::Text;
use application::{
    failure::Failure as _,
    transactional::{Placed, SendRequest, TransactionalError},
};
use domain::{ids::MessageId, validation::Invalid};
use poem_openapi::Object;

#[derive(Object)]
#[oai(rename = "SendTransactionalBatchBody")]
pub(super) struct SendBatchBody {
    pub(super) workspace_id: Text,
    /// 1 to 500 messages.
    notifications: Vec<MessageBody>,
}

/// Places of messages with their requests, and of those that break a rule.
type Read = (Vec<(usize, SendRequest)>, Vec<(usize, Invalid)>);

impl SendBatchBody {
    /// Reads every message for itself.
    ///
    /// # Errors
    /// When there is none.
    pub(super) fn read(self) -> Result<Read, Invalid> {
        if self.notifications.is_empty() {
            return Err(Invalid::one("/notifications", "needs at least one message"));
        }
        let (mut requests, mut refused) = (Vec::new(), Vec::new());
        for (place, body) in self.notifications.into_iter().enumerate() {
            match body.try_into() {
                Ok(request) => requests.push((place, request)),
                Err(invalid) => refused.push((place, invalid)),
            }
        }
        Ok((requests, refused))
    }
}

/// What became of one message of a call.
#[derive(Object)]
#[oai(rename = "SentTransactionalMessage", skip_serializing_if_is_none)]
struct ResultBody {
    /// Whether the message will be sent.
    success: bool,
    message_id: Option<String>,
    /// What is wrong with it.
    error: Option<String>,
    /// A stable name of what is wrong.
    code: Option<String>,
}

#[derive(Object)]
#[oai(rename = "SentTransactionalBatch")]
pub(super) struct SentBatchAnswer {
    /// One for each message, in their order.
    results: Vec<ResultBody>,
}

impl SentBatchAnswer {
    pub(super) fn new(results: Vec<Placed>, refused: Vec<(usize, Invalid)>) -> Self {
        let refused = refused.into_iter().map(|(place, invalid)| (place, Err(invalid.into())));
        let mut all: Vec<_> = results.into_iter().chain(refused).collect();
        all.sort_by_key(|(place, _)| *place);
        Self { results: all.into_iter().map(|(_, result)| result.into()).collect() }
    }
}

impl From<Result<MessageId, TransactionalError>> for ResultBody {
    fn from(result: Result<MessageId, TransactionalError>) -> Self {
        match result {
            Ok(id) => Self { success: true, message_id: Some(id.to_string()), error: None, code: None },
            Err(error) => Self {
                success: false,
                message_id: None,
                error: Some(error.to_string()),
                code: Some(error.code().replace('-', "_")),
            },
        }
    }
}
