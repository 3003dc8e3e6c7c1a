use crate::support::{READ, Stage, all_but, owner, patch, reset, workspace};
use application::{
    failure::{Failure as _, FailureKind},
    transactional::SendRequest,
};
use chrono::Duration;
use domain::{ids::BroadcastId, messages::MessageFilter, permissions::Resource, transactional::EmailOptions};
use memory::SequentialIds;
use serde_json::{Map, json};

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

#[tokio::test]
async fn old_messages_leave_the_history_when_the_worker_comes_by() {
    let stage = Stage::with_notification().await;
    let request = SendRequest {
        notification: reset(),
        external_id: None,
        idempotency_key: None,
        contact: patch(json!({"email": "ana@shop.example"})),
        data: Map::new(),
        metadata: None,
        options: EmailOptions::default(),
        files: Vec::new(),
        send_at: None,
    };
    let accepted = stage.clock_now();
    stage.transactional.send(&owner(), request).await.unwrap();
    assert_eq!(stage.deliver_all().await, 1);
    let any = MessageFilter::default();
    let batch = stage.deliveries.claim(&workspace()).await.unwrap();
    assert_eq!(batch.next(), Some(accepted + Duration::days(60) + Duration::hours(1)), "then it comes by");
    assert_eq!(stage.messages.list(&owner(), &any, None, 9).await.unwrap().items.len(), 1);
    stage.clock.set(accepted + Duration::days(60) + Duration::hours(1));
    let batch = stage.deliveries.claim(&workspace()).await.unwrap();
    assert_eq!(batch.next(), None, "nothing is left to look after");
    assert_eq!(stage.messages.list(&owner(), &any, None, 9).await.unwrap().items.len(), 0);
}
