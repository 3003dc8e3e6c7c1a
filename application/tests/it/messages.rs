use crate::support::{READ, Stage, all_but};
use application::failure::{Failure as _, FailureKind};
use domain::{ids::BroadcastId, messages::MessageFilter, permissions::Resource};
use memory::SequentialIds;

#[tokio::test]
async fn every_use_case_needs_its_permission() {
    let stage = Stage::new().await;
    let no_read = all_but(Resource::MessageHistory, READ);
    let id = BroadcastId::from_uuid(SequentialIds::nth(5));
    let kinds = [
        stage.messages.list(&no_read, &MessageFilter::default(), None, 1).await.unwrap_err().kind(),
        stage.messages.broadcast_stats(&no_read, &id).await.unwrap_err().kind(),
    ];
    assert_eq!(kinds, [FailureKind::Forbidden; 2]);
}
