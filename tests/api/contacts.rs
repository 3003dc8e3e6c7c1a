//! Contacts and lists.

use crate::support::Server;
use serde_json::json;
use std::collections::HashSet;

async fn a_contact_is_stored_merged_and_found(server: &'static Server) {
    let tenant = server.bare_tenant().await;
    let contact = json!({"email": "Ana@Shop.example", "external_id": "u-81", "first_name": "Ana",
        "custom_number_1": 12.5, "custom_datetime_1": "2026-02-01T09:00:00+01:00", "custom_json_1": {"plan": "pro"}});
    let made = tenant.post("contacts.upsert", json!({"contact": contact})).await.ok();
    assert_eq!(made, json!({"email": "ana@shop.example", "action": "create"}));
    let patch = json!({"email": "ana@shop.example", "first_name": null, "custom_number_1": 3});
    let merged = tenant.post("contacts.upsert", json!({"contact": patch})).await.ok();
    assert_eq!(merged["action"], "update");
    let by_email = tenant.get("contacts.getByEmail", "email=ANA%40shop.example").await.ok();
    let by_id = tenant.get("contacts.getByExternalID", "external_id=u-81").await.ok();
    assert_eq!(by_email, by_id);
    let found = &by_email["contact"];
    assert!(found.get("first_name").is_none(), "a cleared field is left out");
    assert_eq!(found["custom_number_1"], 3);
    assert_eq!(found["custom_datetime_1"], "2026-02-01T08:00:00Z");
    assert_eq!(found["custom_json_1"], json!({"plan": "pro"}));
    assert_eq!(found["contact_lists"], json!([]));
}

async fn every_bad_field_is_named(server: &'static Server) {
    let tenant = server.bare_tenant().await;
    let contact =
        json!({"email": "nobody", "phone": 1, "custom_number_1": "1", "first_name": "x".repeat(256)});
    let problem = tenant.post("contacts.upsert", json!({"contact": contact})).await.problem(400);
    let pointers: HashSet<_> =
        problem["errors"].as_array().unwrap().iter().map(|e| e["pointer"].as_str().unwrap()).collect();
    let wanted =
        ["/contact/email", "/contact/phone", "/contact/custom_number_1", "/contact/first_name"].into();
    assert_eq!(pointers, wanted);
    assert!(!problem.to_string().contains("nobody"), "the rejected value is not repeated");
}

async fn pages_have_no_gaps_and_no_repeats(server: &'static Server) {
    let tenant = server.bare_tenant().await;
    let rows: Vec<_> = (0..57).map(|n| json!({"email": format!("c{n}@shop.example")})).collect();
    tenant.post("contacts.import", json!({"contacts": rows})).await.ok();
    let (mut seen, mut cursor) = (HashSet::new(), String::new());
    loop {
        let page = tenant.get("contacts.list", &format!("limit=10&cursor={cursor}")).await.ok();
        for contact in page["contacts"].as_array().unwrap() {
            assert!(seen.insert(contact["email"].to_string()), "a contact came twice");
        }
        match page["next_cursor"].as_str() {
            Some(next) => next.clone_into(&mut cursor),
            None => break,
        }
    }
    // The creator of the workspace is its first contact.
    assert!(seen.len() >= 57, "{}", seen.len());
    assert_eq!(tenant.get("contacts.count", "").await.ok()["total_contacts"], seen.len());
    tenant.get("contacts.list", "cursor=garbage").await.problem(400);
    tenant.get("contacts.list", "limit=101").await.problem(400);
}

async fn filters_are_literal(server: &'static Server) {
    let tenant = server.bare_tenant().await;
    let rows = json!([{"email": "a@shop.example", "first_name": "100%_sure"}, {"email": "b@shop.example", "first_name": "100 pro"}]);
    tenant.post("contacts.import", json!({"contacts": rows})).await.ok();
    let emails = |page: serde_json::Value| {
        let all = page["contacts"].as_array().unwrap().iter();
        all.map(|c| c["email"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(emails(tenant.get("contacts.list", "first_name=100%25_").await.ok()), ["a@shop.example"]);
    assert_eq!(emails(tenant.get("contacts.list", "first_name=PRO").await.ok()), ["b@shop.example"]);
    assert_eq!(emails(tenant.get("contacts.list", "first_name=%27%20OR%201%3D1").await.ok()), [""; 0]);
}

async fn an_import_answers_every_row(server: &'static Server) {
    let tenant = server.bare_tenant().await;
    tenant.list("news").await;
    let rows = json!([{"email": "bo@x.example"}, {"email": "bad"}, "text", {"email": "BO@x.example"}]);
    let body = json!({"contacts": rows, "subscribe_to_lists": ["news"]});
    let answer = tenant.post("contacts.import", body).await.ok();
    let actions: Vec<_> =
        answer["operations"].as_array().unwrap().iter().map(|o| o["action"].as_str().unwrap()).collect();
    assert_eq!(actions, ["error", "error", "error", "create"]);
    let page = tenant
        .get("contacts.list", "list_id=news&contact_list_status=active&with_contact_lists=true")
        .await
        .ok();
    assert_eq!(page["contacts"][0]["contact_lists"][0]["list_id"], "news");
    assert_eq!(page["contacts"].as_array().unwrap().len(), 1);
    let unknown = json!({"contacts": [{"email": "a@x.example"}], "subscribe_to_lists": ["nowhere"]});
    tenant.post("contacts.import", unknown).await.problem(400);
    tenant.post("contacts.import", json!({"contacts": []})).await.problem(400);
}

async fn lists_are_made_replaced_and_deleted(server: &'static Server) {
    let tenant = server.bare_tenant().await;
    let made = tenant.post("lists.create", json!({"id": "news", "name": "News", "is_public": true})).await;
    assert_eq!(made.status, 201);
    let made = made.ok();
    tenant.post("lists.create", json!({"id": "news", "name": "News"})).await.problem(409);
    let updated = tenant.post("lists.update", json!({"id": "news", "name": "Monthly"})).await.ok();
    assert_eq!(updated["list"]["created_at"], made["list"]["created_at"]);
    assert_eq!(tenant.get("lists.get", "id=news").await.ok(), updated);
    tenant
        .post(
            "contacts.import",
            json!({"contacts": [{"email": "a@x.example"}], "subscribe_to_lists": ["news"]}),
        )
        .await
        .ok();
    let status = json!({"email": "a@x.example", "list_id": "news", "status": "unsubscribed"});
    assert_eq!(tenant.post("contactLists.updateStatus", status).await.ok()["found"], true);
    let counted = tenant.get("lists.stats", "list_id=news").await.ok();
    assert_eq!(
        (counted["stats"]["total_active"].as_u64(), counted["stats"]["total_unsubscribed"].as_u64()),
        (Some(0), Some(1))
    );
    tenant.post("lists.delete", json!({"id": "news"})).await.ok();
    tenant.get("lists.get", "id=news").await.problem(404);
    tenant.post("lists.delete", json!({"id": "news"})).await.problem(404);
}

async fn a_deleted_contact_is_gone(server: &'static Server) {
    let tenant = server.bare_tenant().await;
    tenant.post("contacts.upsert", json!({"contact": {"email": "a@x.example"}})).await.ok();
    tenant.post("contacts.delete", json!({"email": "a@x.example"})).await.ok();
    tenant.get("contacts.getByEmail", "email=a@x.example").await.problem(404);
    tenant.post("contacts.delete", json!({"email": "a@x.example"})).await.problem(404);
}

on_both_databases! {
    a_contact_is_stored_merged_and_found
    every_bad_field_is_named
    pages_have_no_gaps_and_no_repeats
    filters_are_literal
    an_import_answers_every_row
    lists_are_made_replaced_and_deleted
    a_deleted_contact_is_gone
}
