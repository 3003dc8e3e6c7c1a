//! A broadcast from its making to its end, with nothing but requests, a clock and the turns of a worker.

use crate::house::{House, settings};
use application::ports::OutgoingMail;
use chrono::Duration;
use domain::ids::WorkspaceId;
use poem::http::StatusCode;
use serde_json::{Value, json};

const FIREFOX: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";

/// A client of the workspace `acme`.
struct Acme {
    house: House,
    token: String,
}

impl Acme {
    async fn post(&self, path: &str, mut body: Value) -> Value {
        body["workspace_id"] = json!("acme");
        let answer = self.house.post(&format!("/api/{path}"), Some(&self.token), &body).await;
        assert!(answer.status.is_success(), "{path}: {}", answer.body);
        answer.body
    }

    async fn get(&self, path: &str) -> Value {
        let answer = self.house.get(&format!("/api/{path}&workspace_id=acme"), Some(&self.token)).await;
        assert!(answer.status.is_success(), "{path}: {}", answer.body);
        answer.body
    }

    /// With a provider, tracking, forty members and two templates.
    async fn furnished() -> Self {
        let (house, token) = House::with_workspace().await;
        let acme = Self { house, token };
        let provider = json!({"kind": "smtp",
            "smtp": {"host": "mx.acme.example", "port": 587, "use_tls": true},
            "senders": [{"email": "hello@acme.example", "name": "Acme", "is_default": true}],
            "rate_limit_per_minute": 600_000});
        let relay = json!({"name": "Relay", "type": "email", "provider": provider});
        let made = acme.post("workspaces.createIntegration", relay).await;
        let mut wanted = settings();
        wanted["marketing_email_provider_id"] = made["integration_id"].clone();
        wanted["email_tracking_enabled"] = json!(true);
        acme.post("workspaces.update", json!({"id": "acme", "name": "Acme", "settings": wanted})).await;
        acme.post("lists.create", json!({"id": "news", "name": "News"})).await;
        let rows: Vec<_> = (0..40).map(|n| json!({"email": format!("c{n:05}@shop.example")})).collect();
        acme.post("contacts.import", json!({"contacts": rows, "subscribe_to_lists": ["news"]})).await;
        for id in ["first", "second"] {
            let email = json!({"editor_mode": "code", "subject": id,
                "mjml_source": "<mjml><mj-body>{{ contact.email }}</mj-body></mjml>"});
            let template =
                json!({"id": id, "name": id, "channel": "email", "category": "marketing", "email": email});
            acme.post("templates.create", template).await;
        }
        acme
    }

    /// Takes the turns of a worker until nothing is due.
    async fn work(&self) {
        let (broadcasts, deliveries) = (&self.house.broadcasts, &self.house.deliveries);
        let workspace = WorkspaceId::parse("acme").unwrap();
        while broadcasts.plan(&workspace).await.unwrap().more {}
        loop {
            let batch = deliveries.claim(&workspace).await.unwrap();
            let items: Vec<_> = batch.items().iter().collect();
            if items.is_empty() {
                return;
            }
            deliveries.begin(&batch, &items).await.unwrap();
            let mut settled = Vec::new();
            for item in items {
                settled.push(deliveries.deliver(&batch, item).await);
            }
            deliveries.record(&batch, &settled).await.unwrap();
        }
    }

    /// Fetches the image of a mail, as a mail program does.
    async fn open(&self, mail: &OutgoingMail) {
        let (_, rest) = mail.html.split_once("https://mail.host.example/t/").expect("an image");
        let token = rest.split('"').next().unwrap();
        let image = self.house.client.get(format!("/t/{token}")).header("user-agent", FIREFOX).send().await;
        assert_eq!(image.0.status(), StatusCode::OK);
    }

    async fn broadcast(&self, id: &str) -> Value {
        self.get(&format!("broadcasts.get?id={id}")).await["broadcast"].clone()
    }
}

#[tokio::test]
async fn the_content_that_is_opened_most_goes_to_the_rest_after_the_duration() {
    let acme = Acme::furnished().await;
    let draft = json!({"name": "June", "audience": {"list": "news"}, "test_settings": {
        "enabled": true, "sample_percentage": 50, "auto_send_winner": true,
        "auto_send_winner_metric": "open_rate", "test_duration_hours": 1,
        "variations": [{"variation_name": "A", "template_id": "first"},
            {"variation_name": "B", "template_id": "second"}]}});
    let made = acme.post("broadcasts.create", draft).await;
    let id = made["broadcast"]["id"].as_str().unwrap().to_owned();
    acme.post("broadcasts.schedule", json!({"id": id, "send_now": true})).await;
    acme.work().await;
    assert_eq!(acme.broadcast(&id).await["status"], "test_completed");
    let sample = acme.house.mailer.sent();
    let of = |mails: &[OutgoingMail], subject: &str| mails.iter().filter(|m| m.subject == subject).count();
    let (first, second) = (of(&sample, "first"), of(&sample, "second"));
    assert!(first > 0 && second > 0 && first + second < 40, "{first} {second}");

    acme.house.clock.advance(Duration::minutes(30));
    for mail in sample.iter().filter(|mail| mail.subject == "second") {
        acme.open(mail).await;
    }
    loop {
        // Opens are written down after their answers.
        let results = acme.get(&format!("broadcasts.getTestResults?id={id}")).await;
        let opened = &results["variation_results"]["second"];
        if opened["opens"] == second {
            assert_eq!((&opened["open_rate"], results.get("recommended_winner")), (&json!(1.0), None));
            break;
        }
        tokio::task::yield_now().await;
    }
    acme.work().await;
    assert_eq!(acme.broadcast(&id).await["status"], "test_completed", "its hour is not over");

    acme.house.clock.advance(Duration::minutes(31));
    acme.work().await;
    let done = acme.broadcast(&id).await;
    assert_eq!((&done["status"], &done["winning_template"]), (&json!("processed"), &json!("second")));
    let all = acme.house.mailer.sent();
    assert_eq!((of(&all, "first"), of(&all, "second")), (first, 40 - first));
    let mut reached: Vec<_> = all.iter().map(|mail| mail.to.address.to_string()).collect();
    reached.sort();
    reached.dedup();
    assert_eq!((reached.len(), all.len()), (40, 40), "nobody twice, nobody missing");
}
