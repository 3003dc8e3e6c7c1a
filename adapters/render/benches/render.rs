//! What one recipient costs, next to copying the finished mail once. Run with
//! `cargo bench -p render`; it prints and checks nothing.

#[path = "../tests/it/fixtures.rs"]
#[expect(dead_code, reason = "the bench needs some of the fixtures only")]
mod fixtures;

use application::ports::{Overrides, Renderer};
use serde_json::{Value, json};
use std::{hint::black_box, time::Instant};

const ROUNDS: u32 = 2_000;

fn data() -> Value {
    let story = |n: u32| {
        json!({"title": format!("Story {n} & more"), "url": format!("https://news.example/{n}"),
            "text": "one two three four five six seven eight nine ten eleven twelve thirteen", "tags": ["a", "b"]})
    };
    json!({
        "broadcast": {"id": "b1", "name": "March & April"},
        "contact": {"first_name": "Zoë", "external_id": "a b", "custom_number_1": 42.0},
        "workspace": {"name": "Acme", "website_url": "https://acme.example", "footer": "<p>Street 1</p>"},
        "since": "2026-03-04T05:06:07Z",
        "stories": (0..10).map(story).collect::<Vec<_>>(),
        "products": [{"name": "Tea", "price": 10}, {"name": "Milk", "price": 1.25}],
        "unsubscribe_url": "https://app.example/notification-center?action=unsubscribe&lid=l"
    })
}

fn micros(mut work: impl FnMut()) -> f64 {
    work();
    let start = Instant::now();
    for _ in 0..ROUNDS {
        work();
    }
    start.elapsed().as_secs_f64() * 1e6 / f64::from(ROUNDS)
}

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime can be built");
    let source = include_str!("../tests/it/newsletter.mjml");
    let content = fixtures::code(source);
    let start = Instant::now();
    let prepared =
        runtime.block_on(fixtures::renderer().prepare(&fixtures::key(1), &content)).expect("it compiles");
    println!(
        "prepare            {:>9.1} µs ({} bytes of MJML)",
        start.elapsed().as_secs_f64() * 1e6,
        source.len()
    );
    let data = data();
    let render = |links| prepared.render(&data, &Overrides::default(), links).expect("it renders");
    let mail = render(None);
    let copy = micros(|| {
        black_box((mail.html.clone(), mail.text.clone()));
    });
    println!("copy               {copy:>9.1} µs ({} + {} bytes)", mail.html.len(), mail.text.len());
    for (name, links) in [
        ("render", None),
        ("render with links", Some(&fixtures::Tracked as &dyn application::ports::LinkPolicy)),
    ] {
        let took = micros(|| {
            black_box(render(links));
        });
        println!("{name:<18} {took:>9.1} µs, {:.0} times a copy", took / copy);
    }
}
