//! Templates.

use crate::support::{Server, mjml};
use serde_json::{Value, json};

fn tree() -> Value {
    json!({"id": "r", "type": "mjml", "children": [
        {"id": "h", "type": "mj-head", "children": [{"id": "p", "type": "mj-preview", "content": ""}]},
        {"id": "b", "type": "mj-body", "children": [{"id": "s", "type": "mj-section", "children": [
            {"id": "c", "type": "mj-column", "children": [
                {"id": "t", "type": "mj-text", "content": "<p>Hello {{ contact.first_name }}</p>"},
                {"id": "u", "type": "mj-button", "attributes": {"href": "https://shop.example/{{ order.no }}", "backgroundColor": "#414141"}, "content": "Look"}]}]}]}]})
}

async fn versions_follow_each_other(server: &'static Server) {
    let tenant = server.bare_tenant().await;
    let body = |subject: &str| {
        let email = json!({"subject": subject, "visual_editor_tree": tree()});
        json!({"id": "receipt", "name": "Receipt", "channel": "email", "category": "transactional", "email": email, "test_data": {"order": {"no": 7}}})
    };
    let made = tenant.post("templates.create", body("One")).await;
    assert_eq!(made.status, 201);
    let made = made.ok();
    assert_eq!(made["template"]["version"], 1);
    assert!(made["template"]["email"]["compiled_preview"].as_str().unwrap().contains("<mjml>"));
    assert_eq!(
        tenant.post("templates.create", body("One")).await.problem(409)["error"],
        "Template id already exists"
    );
    assert_eq!(tenant.post("templates.update", body("Two")).await.ok()["template"]["version"], 2);
    let old = tenant.get("templates.get", "id=receipt&version=1").await.ok();
    let latest = tenant.get("templates.get", "id=receipt").await.ok();
    assert_eq!(
        (&old["template"]["email"]["subject"], &latest["template"]["email"]["subject"]),
        (&json!("One"), &json!("Two"))
    );
    assert_eq!(old["template"]["created_at"], latest["template"]["created_at"]);
    assert_eq!(tenant.get("templates.list", "").await.ok()["templates"].as_array().unwrap().len(), 1);
    let mut changed = body("Three");
    changed["email"] = mjml("Three", "<mj-text>x</mj-text>");
    tenant.post("templates.update", changed).await.problem(400);
    tenant.post("templates.delete", json!({"id": "receipt"})).await.ok();
    assert_eq!(tenant.get("templates.get", "id=receipt").await.problem(404)["error"], "Template not found");
}

async fn a_preview_is_compiled(server: &'static Server) {
    let tenant = server.bare_tenant().await;
    let body = json!({"message_id": "preview", "visual_editor_tree": tree(), "subject": "Order {{ order.no }}",
        "test_data": {"order": {"no": 7}, "contact": {"first_name": "<Ana>"}},
        "tracking_settings": {"utm_source": "news", "utm_medium": "email"}});
    let compiled = tenant.post("templates.compile", body).await.ok();
    assert_eq!(compiled["success"], true, "{compiled}");
    assert_eq!(compiled["subject"], "Order 7");
    let html = compiled["html"].as_str().unwrap();
    assert!(html.contains("Hello &lt;Ana&gt;"), "values are escaped");
    assert!(
        html.contains("https://shop.example/7?utm_medium=email&amp;utm_source=news")
            || html.contains("https://shop.example/7?utm_medium=email&utm_source=news"),
        "{html}"
    );
}

async fn mistakes_are_told_with_their_line(server: &'static Server) {
    let tenant = server.bare_tenant().await;
    let source = "<mjml>\n<mj-body>\n<mj-section>\n<mj-column>\n<mj-nonsense/>\n</mj-column>\n</mj-section>\n</mj-body>\n</mjml>";
    let answer =
        tenant.post("templates.compile", json!({"message_id": "p", "mjml_source": source})).await.ok();
    assert_eq!(answer["success"], false);
    let issue = &answer["error"]["details"][0];
    assert_eq!(
        (issue["line"].as_u64(), issue["tagName"].as_str()),
        (Some(5), Some("mj-nonsense")),
        "{answer}"
    );
    let liquid = json!({"message_id": "p", "mjml_source": "<mjml><mj-body>{% if %}</mj-body></mjml>", "test_data": {"a": 1}});
    assert_eq!(tenant.post("templates.compile", liquid).await.ok()["success"], false);
}

on_both_databases! {
    versions_follow_each_other
    a_preview_is_compiled
    mistakes_are_told_with_their_line
}
