//! Broadcasts from the draft to the last mail.

use crate::support::{Server, Tenant, mjml};
use serde_json::{Value, json};
use smtp::sink::{Act, Script, Sink, SinkOptions, Stage};
use std::collections::HashSet;

async fn draft(tenant: &Tenant, members: usize) -> String {
    tenant
        .template(
            "june",
            mjml(
                "June",
                "<mj-text>Hi {{ contact.email }} <a href=\"{{ unsubscribe_url }}\">leave</a></mj-text>",
            ),
        )
        .await;
    tenant.list("news").await;
    let rows: Vec<_> = (0..members).map(|n| json!({"email": format!("c{n:05}@shop.example")})).collect();
    if !rows.is_empty() {
        tenant.post("contacts.import", json!({"contacts": rows, "subscribe_to_lists": ["news"]})).await.ok();
    }
    let body = json!({"name": "June", "audience": {"list": "news", "exclude_unsubscribed": true},
        "test_settings": {"enabled": false, "variations": [{"variation_name": "A", "template_id": "june"}]},
        "utm_parameters": {"source": "news", "medium": "email"}});
    let made = tenant.post("broadcasts.create", body).await;
    assert_eq!(made.status, 201);
    made.ok()["broadcast"]["id"].as_str().unwrap().to_owned()
}

async fn start(tenant: &Tenant, id: &str) {
    tenant.post("broadcasts.schedule", json!({"id": id, "send_now": true})).await.ok();
}

async fn everybody_is_mailed_once_and_the_counts_add_up(server: &'static Server) {
    let script = Script::default().recipient("c00007@shop.example", Act::answer("550 5.1.1 no such mailbox"));
    let sink = Sink::start(SinkOptions { script, ..SinkOptions::default() }).await.unwrap();
    let tenant = server.tenant_with(&sink).await;
    let id = draft(&tenant, 1_100).await;
    start(&tenant, &id).await;
    let ledger = tenant.account(&id, 1_100).await;
    let nobody = json!({"unsubscribed": 0, "bounced": 0, "complained": 0, "not_member": 0, "excluded": 0,
        "deleted": 0, "no_feed": 0});
    assert_eq!(
        ledger,
        json!({"planned": 1_100, "queued": 0, "sending": 0, "sent": 1_099, "failed": 1, "unknown": 0,
            "skipped": 0, "skipped_reasons": nobody, "cancelled": 0})
    );
    let recipients: Vec<_> = sink.received().into_iter().flat_map(|m| m.to).collect();
    let distinct: HashSet<_> = recipients.iter().collect();
    assert_eq!((recipients.len(), distinct.len()), (1_099, 1_099), "nobody twice, nobody missing");
    let stats = tenant.get("messages.broadcastStats", &format!("broadcast_id={id}")).await.ok();
    assert_eq!(
        (stats["stats"]["total_sent"].as_u64(), stats["stats"]["total_failed"].as_u64()),
        (Some(1_099), Some(1))
    );
    let broadcast = tenant.get("broadcasts.get", &format!("id={id}")).await.ok();
    assert_eq!(broadcast["broadcast"]["status"], "processed");
    assert_eq!(broadcast["broadcast"]["enqueued_count"], 1_100);
    let failed = tenant.get("messages.list", &format!("broadcast_id={id}&is_failed=true")).await.ok();
    assert_eq!(failed["messages"][0]["contact_email"], "c00007@shop.example");
}

async fn the_mail_carries_a_working_way_out(server: &'static Server) {
    let sink = Sink::start(SinkOptions::default()).await.unwrap();
    let tenant = server.tenant_with(&sink).await;
    let id = draft(&tenant, 1).await;
    start(&tenant, &id).await;
    tenant.account(&id, 1).await;
    let mail = sink.received().remove(0);
    assert_eq!(mail.header("List-Unsubscribe-Post").as_deref(), Some("List-Unsubscribe=One-Click"));
    let header = mail.header("List-Unsubscribe").unwrap();
    let url = header.trim_matches(['<', '>']).trim_start_matches("https://mail.acme.example").to_owned();
    let anonymous = server.anonymous();
    let shown = anonymous.get(&url).await;
    assert!(shown.status.is_success() && shown.body.as_str().unwrap().contains("Unsubscribe"));
    assert_eq!(
        tenant.get("lists.stats", "list_id=news").await.ok()["stats"]["total_active"],
        1,
        "looking changes nothing"
    );
    let form = anonymous.request("post", &url).header("content-type", "application/x-www-form-urlencoded");
    let form = form.header("user-agent", "").body("List-Unsubscribe=One-Click");
    assert_eq!(anonymous.send(form).await.ok(), json!({"success": true}));
    assert_eq!(tenant.get("lists.stats", "list_id=news").await.ok()["stats"]["total_unsubscribed"], 1);
    let marked = tenant.get("messages.list", &format!("broadcast_id={id}&is_unsubscribed=true")).await.ok();
    assert_eq!(marked["messages"][0]["contact_email"], mail.to[0], "the mail that led to it is marked");
    let stats = tenant.get("messages.broadcastStats", &format!("broadcast_id={id}")).await.ok();
    assert_eq!(stats["stats"]["total_unsubscribed"], 1);
}

async fn a_broadcast_starts_once(server: &'static Server) {
    let tenant = server.tenant().await;
    let id = draft(&tenant, 3).await;
    let calls: Vec<Value> = vec![json!({"id": id, "send_now": true}); 5];
    let answers = futures_util::future::join_all(
        calls.into_iter().map(|body| tenant.post("broadcasts.schedule", body)),
    )
    .await;
    let good = answers.iter().filter(|a| a.status.is_success()).count();
    assert_eq!(good, 1);
    for refused in answers.into_iter().filter(|a| !a.status.is_success()) {
        assert!(refused.problem(409)["error"].as_str().unwrap().contains("allowed: draft"));
    }
    assert_eq!(tenant.account(&id, 3).await["sent"], 3);
}

async fn a_mail_server_that_defers_everything_delays_the_broadcast_only(server: &'static Server) {
    let sink = Sink::start(SinkOptions::default()).await.unwrap();
    let tenant = server.tenant_with(&sink).await;
    let id = draft(&tenant, 20).await;
    sink.script(|script| {
        for _ in 0..10 {
            script.then(Stage::EndOfData, Act::answer("452 4.2.2 try again"));
        }
    });
    start(&tenant, &id).await;
    assert_eq!(tenant.account(&id, 20).await["sent"], 20);
    let distinct: HashSet<_> = sink.received().into_iter().flat_map(|m| m.to).collect();
    assert_eq!(distinct.len(), 20);
    assert_eq!(sink.count(), 20);
}

/// What a broadcast is and what its account says, which adds up.
async fn standing(tenant: &Tenant, id: &str) -> (String, Value) {
    let broadcast = tenant.get("broadcasts.get", &format!("id={id}")).await.ok();
    let ledger = tenant.get("broadcasts.ledger", &format!("id={id}")).await.ok()["ledger"].clone();
    let states = ["queued", "sending", "sent", "failed", "unknown", "skipped", "cancelled"];
    let sum: u64 = states.iter().filter_map(|state| ledger[state].as_u64()).sum();
    assert_eq!(ledger["planned"].as_u64(), Some(sum), "the account adds up at any moment");
    (broadcast["broadcast"]["status"].as_str().unwrap().to_owned(), ledger)
}

async fn pauses_and_resumes_lose_nobody_and_mail_nobody_twice(server: &'static Server) {
    let sink = Sink::start(SinkOptions::default()).await.unwrap();
    let tenant = server.tenant_with(&sink).await;
    let id = draft(&tenant, 1_500).await;
    start(&tenant, &id).await;
    for _ in 0..10 {
        tenant.post("broadcasts.pause", json!({"id": id})).await.ok();
        assert_eq!(standing(&tenant, &id).await.0, "paused");
        let refused = tenant.post("broadcasts.pause", json!({"id": id})).await.problem(409);
        assert!(refused["error"].as_str().unwrap().contains("allowed: scheduled, processing, testing"));
        tenant.post("broadcasts.resume", json!({"id": id})).await.ok();
    }
    let ledger = tenant.account(&id, 1_500).await;
    assert_eq!(ledger["sent"], 1_500);
    let recipients: Vec<_> = sink.received().into_iter().flat_map(|m| m.to).collect();
    let distinct: HashSet<_> = recipients.iter().collect();
    assert_eq!((recipients.len(), distinct.len()), (1_500, 1_500));
}

async fn a_cancelled_broadcast_accounts_for_everybody(server: &'static Server) {
    let sink = Sink::start(SinkOptions::default()).await.unwrap();
    let tenant = server.tenant_with(&sink).await;
    let id = draft(&tenant, 1_500).await;
    tenant.post("broadcasts.cancel", json!({"id": id})).await.problem(409);
    start(&tenant, &id).await;
    tenant.post("broadcasts.pause", json!({"id": id})).await.ok();
    let (_, paused) = standing(&tenant, &id).await;
    tenant.post("broadcasts.cancel", json!({"id": id})).await.ok();
    let planned = paused["planned"].as_u64().unwrap();
    let ledger = tenant.account(&id, planned).await;
    assert_eq!(standing(&tenant, &id).await.0, "cancelled");
    assert_eq!(ledger["sent"].as_u64().unwrap() + ledger["cancelled"].as_u64().unwrap(), planned);
    assert_eq!(sink.count() as u64, ledger["sent"].as_u64().unwrap());
    tenant.post("broadcasts.resume", json!({"id": id})).await.problem(409);
    tenant.post("broadcasts.delete", json!({"id": id})).await.ok();
    tenant.get("broadcasts.get", &format!("id={id}")).await.problem(404);
}

async fn a_draft_is_replaced_as_a_whole(server: &'static Server) {
    let tenant = server.tenant().await;
    let id = draft(&tenant, 1).await;
    let body = json!({"id": id, "name": "July", "audience": {"list": "news"},
        "test_settings": {"variations": [{"variation_name": "B", "template_id": "june"}]},
        "schedule": {"is_scheduled": false, "use_recipient_timezone": false}});
    let changed = tenant.post("broadcasts.update", body.clone()).await.ok();
    assert_eq!(changed["broadcast"]["name"], "July");
    assert_eq!(changed["broadcast"].get("utm_parameters"), None, "what is left out is gone");
    start(&tenant, &id).await;
    tenant.account(&id, 1).await;
    let refused = tenant.post("broadcasts.update", body).await.problem(409);
    assert!(refused["error"].as_str().unwrap().contains("allowed: draft, scheduled, paused"), "{refused}");
}

async fn who_failed_is_mailed_again_on_request_and_nobody_else(server: &'static Server) {
    let full = "c00007@shop.example";
    let script = Script::default().recipient(full, Act::answer("550 5.2.2 mailbox full"));
    let sink = Sink::start(SinkOptions { script, ..SinkOptions::default() }).await.unwrap();
    let tenant = server.tenant_with(&sink).await;
    let id = draft(&tenant, 20).await;
    tenant.post("broadcasts.retryFailed", json!({"id": id})).await.problem(409);
    start(&tenant, &id).await;
    assert_eq!(tenant.account(&id, 20).await["failed"], 1);
    let failed = tenant.get("broadcasts.recipients", &format!("id={id}&state=failed")).await.ok();
    assert_eq!(
        (failed["recipients"].as_array().map(Vec::len), failed["has_more"].as_bool()),
        (Some(1), Some(false))
    );
    assert_eq!(failed["recipients"][0]["contact_email"], full);
    assert!(failed["recipients"][0]["reason"].as_str().unwrap().contains("mailbox full"), "{failed}");
    let page = tenant.get("broadcasts.recipients", &format!("id={id}&limit=15")).await.ok();
    let cursor = page["next_cursor"].as_str().unwrap().replace('+', "%2B").replace('=', "%3D");
    let rest = tenant.get("broadcasts.recipients", &format!("id={id}&limit=15&cursor={cursor}")).await.ok();
    assert_eq!(rest["recipients"].as_array().map(Vec::len), Some(5));
    tenant.get("broadcasts.recipients", &format!("id={id}&state=lost&cursor=x")).await.problem(400);
    sink.script(|script| *script = Script::default());
    let answer = tenant.post("broadcasts.retryFailed", json!({"id": id})).await.ok();
    assert_eq!(answer, json!({"success": true, "retried": 1}));
    assert_eq!(tenant.account(&id, 20).await["sent"], 20);
    let recipients: Vec<_> = sink.received().into_iter().flat_map(|m| m.to).collect();
    assert_eq!((recipients.len(), recipients.last().map(String::as_str)), (20, Some(full)));
    let again = tenant.post("broadcasts.retryFailed", json!({"id": id, "include_unknown": true})).await.ok();
    assert_eq!(again["retried"], 0);
}

async fn a_scheduled_broadcast_is_moved_and_sent_at_its_moment(server: &'static Server) {
    let sink = Sink::start(SinkOptions::default()).await.unwrap();
    let tenant = server.tenant_with(&sink).await;
    let id = draft(&tenant, 3).await;
    let nonsense = json!({"id": id, "scheduled_date": "soon", "timezone": "Mars/Base"});
    let problem = tenant.post("broadcasts.schedule", nonsense).await.problem(400);
    assert_eq!(problem["errors"].as_array().unwrap().len(), 3, "{problem}");
    let past = json!({"id": id, "scheduled_date": "2001-01-01", "scheduled_time": "10:00"});
    tenant.post("broadcasts.schedule", past).await.problem(400);
    let far = json!({"id": id, "scheduled_date": "2999-01-01", "scheduled_time": "10:00",
        "timezone": "Europe/Paris", "use_recipient_timezone": true});
    tenant.post("broadcasts.schedule", far).await.ok();
    let broadcast = tenant.get("broadcasts.get", &format!("id={id}")).await.ok()["broadcast"].clone();
    assert_eq!(broadcast["status"], "scheduled");
    let schedule = json!({"is_scheduled": true, "scheduled_date": "2999-01-01", "scheduled_time": "10:00",
        "timezone": "Europe/Paris", "use_recipient_timezone": true});
    assert_eq!(broadcast["schedule"], schedule);
    let now: chrono::DateTime<chrono::Utc> = broadcast["updated_at"].as_str().unwrap().parse().unwrap();
    let moved = json!({"id": id, "name": "June", "audience": broadcast["audience"],
        "test_settings": {"variations": [{"template_id": "june"}]},
        "schedule": {"is_scheduled": true, "scheduled_date": now.format("%Y-%m-%d").to_string(),
            "scheduled_time": now.format("%H:%M").to_string()}});
    tenant.post("broadcasts.update", moved).await.ok();
    assert_eq!(tenant.account(&id, 3).await["sent"], 3);
    assert_eq!(standing(&tenant, &id).await.0, "processed");
}

async fn a_scheduled_broadcast_is_a_draft_again_without_its_moment(server: &'static Server) {
    let tenant = server.tenant().await;
    let id = draft(&tenant, 1).await;
    let far = json!({"id": id, "scheduled_date": "2999-01-01", "scheduled_time": "10:00"});
    tenant.post("broadcasts.schedule", far.clone()).await.ok();
    tenant.post("broadcasts.schedule", far).await.problem(409);
    let body = json!({"id": id, "name": "June", "audience": {"list": "news"},
        "test_settings": {"variations": [{"template_id": "june"}]}, "schedule": {"is_scheduled": false}});
    let changed = tenant.post("broadcasts.update", body).await.ok();
    assert_eq!(changed["broadcast"]["status"], "draft");
}

async fn several_lists_reach_everybody_once_without_who_is_left_out(server: &'static Server) {
    let sink = Sink::start(SinkOptions::default()).await.unwrap();
    let tenant = server.tenant_with(&sink).await;
    draft(&tenant, 5).await;
    for (list, first, last) in [("vip", 3, 8), ("churned", 4, 6)] {
        tenant.list(list).await;
        let rows: Vec<_> = (first..last).map(|n| json!({"email": format!("c{n:05}@shop.example")})).collect();
        tenant.post("contacts.import", json!({"contacts": rows, "subscribe_to_lists": [list]})).await.ok();
    }
    let body = |lists: Value, exclude: Value| {
        json!({"name": "June", "audience": {"list": "news", "lists": lists, "exclude_lists": exclude},
            "test_settings": {"variations": [{"template_id": "june"}]}})
    };
    tenant.post("broadcasts.create", body(json!(["nowhere"]), json!([]))).await.problem(400);
    tenant.post("broadcasts.create", body(json!(["vip"]), json!(["news"]))).await.problem(400);
    let made = tenant.post("broadcasts.create", body(json!(["vip"]), json!(["churned"]))).await.ok();
    let id = made["broadcast"]["id"].as_str().unwrap().to_owned();
    start(&tenant, &id).await;
    assert_eq!(tenant.account(&id, 6).await["sent"], 6);
    let mut recipients: Vec<_> = sink.received().into_iter().flat_map(|m| m.to).collect();
    recipients.sort();
    let wanted = [0, 1, 2, 3, 6, 7].map(|n| format!("c{n:05}@shop.example"));
    assert_eq!(recipients, wanted);
}

async fn contents_are_compared_on_a_sample_and_the_rest_gets_the_winner(server: &'static Server) {
    let sink = Sink::start(SinkOptions::default()).await.unwrap();
    let tenant = server.tenant_with(&sink).await;
    draft(&tenant, 600).await;
    tenant.template("july", mjml("July", "<mj-text>{{ contact.email }}</mj-text>")).await;
    let compare = |percentage: u32, second: &str| {
        json!({"name": "June", "audience": {"list": "news"}, "test_settings": {
            "enabled": true, "sample_percentage": percentage, "auto_send_winner": false,
            "variations": [{"variation_name": "A", "template_id": "june"},
                {"variation_name": "B", "template_id": second}]}})
    };
    tenant.post("broadcasts.create", compare(101, "july")).await.problem(400);
    tenant.post("broadcasts.create", compare(20, "june")).await.problem(400);
    let made = tenant.post("broadcasts.create", compare(20, "july")).await.ok();
    let id = made["broadcast"]["id"].as_str().unwrap().to_owned();
    tenant.post("broadcasts.selectWinner", json!({"id": id, "template_id": "july"})).await.problem(409);
    start(&tenant, &id).await;
    loop {
        let (status, ledger) = standing(&tenant, &id).await;
        if status == "test_completed" && ledger["sent"] == ledger["planned"] {
            break;
        }
        tokio::task::yield_now().await;
    }
    let results = tenant.get("broadcasts.getTestResults", &format!("id={id}")).await.ok();
    let variation = |name: &str| results["variation_results"][name].clone();
    let sample = variation("june")["sent"].as_u64().unwrap() + variation("july")["sent"].as_u64().unwrap();
    assert!((60..200).contains(&sample), "about a fifth of 600: {results}");
    assert_eq!(sink.count() as u64, sample);
    assert_eq!(
        (results["recommended_winner"].as_str(), variation("july")["open_rate"].as_f64()),
        (Some("june"), Some(0.0))
    );
    tenant.post("broadcasts.selectWinner", json!({"id": id, "template_id": "other"})).await.problem(400);
    tenant.post("broadcasts.selectWinner", json!({"id": id, "template_id": "july"})).await.ok();
    assert_eq!(tenant.account(&id, 600).await["sent"], 600);
    let distinct: HashSet<_> = sink.received().into_iter().flat_map(|m| m.to).collect();
    assert_eq!((distinct.len(), sink.count()), (600, 600), "nobody twice, nobody missing");
    let broadcast = tenant.get("broadcasts.get", &format!("id={id}")).await.ok()["broadcast"].clone();
    assert_eq!(
        (broadcast["status"].as_str(), broadcast["winning_template"].as_str()),
        (Some("processed"), Some("july"))
    );
}

async fn a_test_mail_goes_to_anybody_and_is_not_counted(server: &'static Server) {
    let sink = Sink::start(SinkOptions::default()).await.unwrap();
    let tenant = server.tenant_with(&sink).await;
    let id = draft(&tenant, 1).await;
    let to = |email: &str, template: Value| json!({"broadcast_id": id, "recipient_email": email, "template_id": template});
    let path = "broadcasts.sendToIndividual";
    tenant.post(path, to("nobody", json!(null))).await.problem(400);
    tenant.post(path, to("boss@acme.example", json!("other"))).await.problem(400);
    tenant.post(path, to("boss@acme.example", json!(null))).await.ok();
    let mail = sink.received().remove(0);
    assert_eq!((mail.to[0].as_str(), mail.header("Subject").as_deref()), ("boss@acme.example", Some("June")));
    sink.script(|script| script.set(Stage::Rcpt, Act::answer("550 5.1.1 no such mailbox")));
    let refused = tenant.post(path, to("gone@acme.example", json!("june"))).await.problem(422);
    assert!(refused["error"].as_str().unwrap().contains("550"), "{refused}");
    let ledger = standing(&tenant, &id).await.1;
    assert_eq!(ledger["planned"], 0);
    let stats = tenant.get("messages.broadcastStats", &format!("broadcast_id={id}")).await.ok();
    assert_eq!(stats["stats"]["total_sent"], 0);
    let kept = tenant.get("messages.list", "contact_email=boss@acme.example").await.ok();
    assert_eq!(kept["messages"].as_array().map(Vec::len), Some(1), "{kept}");
}

async fn a_plan_tells_what_would_be_done_and_holds_the_start_to_it(server: &'static Server) {
    let tenant = server.tenant().await;
    let id = draft(&tenant, 20).await;
    let left = json!({"email": "c00003@shop.example", "list_id": "news", "status": "unsubscribed"});
    tenant.post("contactLists.updateStatus", left).await.ok();
    let plan = tenant.get("broadcasts.plan", &format!("id={id}")).await.ok();
    assert_eq!((plan["recipients"].as_u64(), plan["left_out"]["unsubscribed"].as_u64()), (Some(19), Some(1)));
    assert_eq!(plan["lists"], json!([{"list_id": "news", "active": 19}]));
    assert_eq!(plan["samples"].as_array().map(Vec::len), Some(3));
    assert_eq!(plan["samples"][0]["subject"], "June");
    assert!(plan["samples"][0]["html"].as_str().unwrap().contains("Hi c00000@shop.example"));
    assert_eq!(plan["warnings"], json!([]));
    tenant.template("bare", mjml("Bare", "<mj-text>Hi</mj-text>")).await;
    let other = json!({"name": "Bare", "audience": {"list": "news"},
        "test_settings": {"variations": [{"template_id": "bare"}]}});
    let other = tenant.post("broadcasts.create", other).await.ok()["broadcast"]["id"].clone();
    let warned = tenant.get("broadcasts.plan", &format!("id={}", other.as_str().unwrap())).await.ok();
    assert_eq!(warned["warnings"][0]["kind"], "missing_unsubscribe_link", "{warned}");
    let start = |hash: &Value| json!({"id": id, "send_now": true, "plan_hash": hash});
    tenant.post("broadcasts.schedule", start(&json!("nonsense"))).await.problem(400);
    let rows: Vec<_> = (100..120).map(|n| json!({"email": format!("c{n:05}@shop.example")})).collect();
    tenant.post("contacts.import", json!({"contacts": rows, "subscribe_to_lists": ["news"]})).await.ok();
    let refused = tenant.post("broadcasts.schedule", start(&plan["hash"])).await.problem(409);
    assert!(refused["error"].as_str().unwrap().contains("39 recipients"), "{refused}");
    let plan = tenant.get("broadcasts.plan", &format!("id={id}")).await.ok();
    tenant.post("broadcasts.schedule", start(&plan["hash"])).await.ok();
    assert_eq!(tenant.account(&id, 39).await["sent"], 39);
}

async fn what_is_not_built_yet_is_refused(server: &'static Server) {
    let tenant = server.tenant().await;
    draft(&tenant, 0).await;
    let body = json!({"name": "x", "audience": {"list": "news", "segments": ["vip"]},
        "test_settings": {"variations": [{"template_id": "june"}]}});
    tenant.post("broadcasts.create", body).await.problem(400);
}

on_both_databases! {
    everybody_is_mailed_once_and_the_counts_add_up
    the_mail_carries_a_working_way_out
    a_broadcast_starts_once
    a_mail_server_that_defers_everything_delays_the_broadcast_only
    pauses_and_resumes_lose_nobody_and_mail_nobody_twice
    a_cancelled_broadcast_accounts_for_everybody
    a_draft_is_replaced_as_a_whole
    who_failed_is_mailed_again_on_request_and_nobody_else
    a_scheduled_broadcast_is_moved_and_sent_at_its_moment
    a_scheduled_broadcast_is_a_draft_again_without_its_moment
    several_lists_reach_everybody_once_without_who_is_left_out
    contents_are_compared_on_a_sample_and_the_rest_gets_the_winner
    a_test_mail_goes_to_anybody_and_is_not_counted
    a_plan_tells_what_would_be_done_and_holds_the_start_to_it
    what_is_not_built_yet_is_refused
}
