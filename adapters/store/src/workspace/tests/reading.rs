//! What was redacted or is unusual, and must still be read.

use super::{Database, at, email, message, on_both_engines, recipient, transactional_delivery};
use application::ports::{
    BroadcastStore as _, Claim, ContactStore as _, DeliveryStore as _, MessageStore as _,
};
use domain::{
    broadcasts::Recipient,
    contacts::{
        Contact, ContactField as F, ContactPatch, FieldValue,
        UpsertAction::{Create, Update},
    },
    email_address::EmailAddress,
    ids::MessageId,
    messages::Message,
    secret::Sealed,
};

on_both_engines!(
    a_redacted_message_is_read_back,
    a_contact_that_is_deleted_leaves_begun_mail_alone,
    patches_of_several_shapes_merge_in_one_call,
);

async fn a_redacted_message_is_read_back(mut database: Database) {
    let store = &mut database.session;
    store.upsert_contacts(&[ContactPatch::of(email(1)), ContactPatch::of(email(2))], at(0)).await.unwrap();
    let longest = MessageId::parse(&"m".repeat(64)).unwrap();
    let mine = [
        message(1),
        Message { id: longest.clone(), contact_email: email(1), data: Some(Sealed::new("00")), ..message(3) },
    ];
    store.insert_messages_if_absent(&mine).await.unwrap();
    store
        .insert_messages_if_absent(&[Message { data: Some(Sealed::new("01")), ..message(2) }])
        .await
        .unwrap();
    store.insert_recipients_if_absent(&[recipient(1), recipient(2)]).await.unwrap();

    assert!(store.delete_contact(&email(1)).await.unwrap());
    assert!(!store.delete_contact(&email(1)).await.unwrap());

    let read = store.messages(&[longest.clone(), message(2).id]).await.unwrap();
    for message in read {
        let redacted = EmailAddress::parse(&Contact::redacted_address(&longest)).unwrap();
        let expected =
            if message.id == longest { (redacted, None) } else { (email(2), Some(Sealed::new("01"))) };
        assert_eq!((message.contact_email, message.data), expected);
    }
    // The line is no longer that of the address.
    let again = [Recipient { message: message(9).id, ..recipient(1) }];
    assert_eq!(store.insert_recipients_if_absent(&again).await.unwrap(), [message(9).id]);
}

async fn a_contact_that_is_deleted_leaves_begun_mail_alone(mut database: Database) {
    let store = &mut database.session;
    store.upsert_contacts(&[ContactPatch::of(email(1))], at(0)).await.unwrap();
    store.insert_deliveries(&[transactional_delivery(1)]).await.unwrap();
    let claimed = store.claim_deliveries(1, &[], at(0), at(60)).await.unwrap();
    let claim = Claim { message: claimed[0].message.clone(), attempts: 1 };
    store.begin_deliveries(&[claim]).await.unwrap();
    let mut waiting = transactional_delivery(2);
    waiting.recipient = email(1);
    store.insert_deliveries(&[waiting]).await.unwrap();
    store.delete_contact(&email(1)).await.unwrap();
    assert!(store.claim_deliveries(9, &[], at(0), at(60)).await.unwrap().is_empty());
    assert_eq!(store.lapsed_deliveries(at(60), 9).await.unwrap().len(), 1);
}

async fn patches_of_several_shapes_merge_in_one_call(mut database: Database) {
    let store = &mut database.session;
    let set = |number, field, text: Option<&str>| {
        let mut patch = ContactPatch::of(email(number));
        patch.changes.insert(field, text.map(|text| FieldValue::Text(text.to_owned())));
        patch
    };
    let before = [set(1, F::FirstName, Some("Ana")), set(2, F::FirstName, Some("Bo"))];
    store.upsert_contacts(&before, at(0)).await.unwrap();
    let patches = [
        set(2, F::FirstName, None),
        set(3, F::Phone, Some("3")),
        set(1, F::Phone, Some("1")),
        ContactPatch { created_at: Some(at(-9)), ..ContactPatch::of(email(4)) },
    ];
    assert_eq!(store.upsert_contacts(&patches, at(1)).await.unwrap(), [Update, Create, Update, Create]);
    let first = store.contact(&email(1)).await.unwrap().unwrap();
    assert_eq!((first.text(F::FirstName), first.text(F::Phone)), (Some("Ana"), Some("1")));
    let second = store.contact(&email(2)).await.unwrap().unwrap();
    assert_eq!((second.text(F::FirstName), second.created_at, second.updated_at), (None, at(0), at(1)));
    let fourth = store.contact(&email(4)).await.unwrap().unwrap();
    assert_eq!((fourth.created_at, fourth.updated_at), (at(-9), at(1)));
}
