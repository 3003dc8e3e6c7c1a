//! A feed that says what it is told to.

use crate::locked;
use application::ports::{FeedError, FeedReader, FeedRequest};
use async_trait::async_trait;
use serde_json::{Map, Value};
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};

/// A question that was asked.
#[derive(Debug, Clone, PartialEq)]
pub struct Asked {
    /// Where.
    pub url: String,
    /// Names and values.
    pub headers: Vec<(String, String)>,
    /// What it was about.
    pub body: Value,
}

/// Answers every question with an empty object, unless told otherwise. Clones share everything.
#[derive(Clone, Default)]
pub struct MemoryFeeds(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    asked: Vec<Asked>,
    answers: VecDeque<Result<Map<String, Value>, FeedError>>,
    usual: Map<String, Value>,
}

impl MemoryFeeds {
    /// Nothing was asked yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Answers all questions that are not told of with this object; other values count as an empty one.
    pub fn say(&self, data: &Value) {
        locked(&self.0).usual = data.as_object().cloned().unwrap_or_default();
    }

    /// Gives no data to the next questions, after those already told of, one each.
    pub fn fail_next(&self, errors: impl IntoIterator<Item = FeedError>) {
        locked(&self.0).answers.extend(errors.into_iter().map(Err));
    }

    /// Every question, in order.
    #[must_use]
    pub fn asked(&self) -> Vec<Asked> {
        locked(&self.0).asked.clone()
    }
}

#[async_trait]
impl FeedReader for MemoryFeeds {
    fn check(&self, url: &str) -> Result<(), &'static str> {
        domain::data_feeds::check_url(url, false).map(drop)
    }

    async fn read(&self, request: FeedRequest<'_>) -> Result<Map<String, Value>, FeedError> {
        let headers = request.headers.iter().map(|(name, value)| (name.clone(), value.expose().to_owned()));
        let asked =
            Asked { url: request.url.to_owned(), headers: headers.collect(), body: request.body.clone() };
        let mut state = locked(&self.0);
        state.asked.push(asked);
        state.answers.pop_front().unwrap_or_else(|| Ok(state.usual.clone()))
    }
}
