//! Work that one process commits wakes the others.

use super::{Observer, until};
use crate::testing::{BUDGET, Place, another};
use application::ports::{WorkKind, WorkSignal};
use domain::ids::WorkspaceId;
use std::sync::Arc;
use tokio::{
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
    task::JoinHandle,
    time::{Duration, timeout},
};

#[derive(Debug, PartialEq, Eq)]
enum Call {
    Work(String, WorkKind),
    Missed,
}

struct Ear(UnboundedSender<Call>);

impl WorkSignal for Ear {
    fn notify(&self, workspace: &WorkspaceId, kind: WorkKind) {
        let _ = self.0.send(Call::Work(workspace.to_string(), kind));
    }

    fn missed(&self) {
        let _ = self.0.send(Call::Missed);
    }
}

/// One process at its channel.
struct Post {
    channel: Arc<crate::WorkChannel>,
    calls: UnboundedReceiver<Call>,
    running: JoinHandle<()>,
}

impl Post {
    fn of(store: &crate::StoreBroker) -> Self {
        let (ear, calls) = unbounded_channel();
        let channel = Arc::new(store.work_channel(Arc::new(Ear(ear))).unwrap());
        let at_work = Arc::clone(&channel);
        let running = tokio::spawn(async move { at_work.run().await });
        Self { channel, calls, running }
    }

    async fn next(&mut self) -> Call {
        timeout(Duration::from_mins(1), self.calls.recv()).await.expect("something is heard").unwrap()
    }

    async fn stop(self) {
        self.channel.stop();
        self.running.await.unwrap();
    }
}

fn work(workspace: &str) -> Call {
    Call::Work(workspace.to_owned(), WorkKind::Deliveries)
}

fn commit(post: &Post, workspace: &str) {
    post.channel.notify(&WorkspaceId::parse(workspace).unwrap(), WorkKind::Deliveries);
}

async fn listening() -> Place {
    Place::on_postgres_with(BUDGET, |config| config.listens = true).await
}

async fn listeners(observer: &Observer) -> u32 {
    let sql = "SELECT COUNT(*) FROM pg_stat_activity WHERE starts_with(application_name, $1)";
    observer.number(sql, [format!("notifuse/{}/listener/", observer.instance).into()]).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_process_commits_is_heard_by_the_other_and_once_by_itself() {
    let place = listening().await;
    // It only answers requests: it tells and does not listen.
    let front = another(place.databases.as_ref().unwrap().prefix(), |_| {});
    let (mut back, mut teller) = (Post::of(&place.store), Post::of(&front));
    assert_eq!(back.next().await, Call::Missed, "what was told before it listened");
    commit(&teller, "one");
    assert_eq!(back.next().await, work("one"));
    assert_eq!(teller.next().await, work("one"));
    commit(&back, "two");
    commit(&teller, "three");
    assert_eq!(back.next().await, work("two"));
    assert_eq!(back.next().await, work("three"), "its own is not heard again");
    assert_eq!(teller.next().await, work("three"));
    assert!(teller.calls.try_recv().is_err(), "who does not listen hears only itself");
    teller.stop().await;
    back.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_committed_just_before_the_end_is_told() {
    let place = listening().await;
    let front = another(place.databases.as_ref().unwrap().prefix(), |_| {});
    let (mut back, teller) = (Post::of(&place.store), Post::of(&front));
    assert_eq!(back.next().await, Call::Missed);
    for workspace in ["one", "two", "three"] {
        commit(&teller, workspace);
    }
    teller.stop().await;
    let mut heard = vec![back.next().await, back.next().await, back.next().await];
    heard.sort_by_key(|call| format!("{call:?}"));
    assert_eq!(heard, [work("one"), work("three"), work("two")]);
    back.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_session_is_followed_by_a_look_around_and_another_session() {
    let place = listening().await;
    let front = another(place.databases.as_ref().unwrap().prefix(), |_| {});
    let (mut back, teller) = (Post::of(&place.store), Post::of(&front));
    let observer = Observer::new(&place.instance).await;
    for _ in 0..3 {
        assert_eq!(back.next().await, Call::Missed);
        let sql = "SELECT COUNT(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE starts_with(application_name, $1)";
        let name = format!("notifuse/{}/listener/", place.instance);
        assert_eq!(observer.number(sql, [name.into()]).await, 1, "one session listens");
    }
    assert_eq!(back.next().await, Call::Missed);
    commit(&teller, "one");
    assert_eq!(back.next().await, work("one"));
    teller.stop().await;
    back.stop().await;
    observer.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_listening_session_is_a_part_of_the_budget_and_ends_with_the_process() {
    let place = Place::on_postgres_with(BUDGET, |config| {
        config.listens = true;
        config.limits.panic_on_nested = false;
    })
    .await;
    let workspaces = place.workspaces("w", 18).await;
    let mut back = Post::of(&place.store);
    assert_eq!(back.next().await, Call::Missed);
    let observer = Observer::new(&place.instance).await;
    let limits = place.store.broker.limits();
    assert_eq!(limits.effective_share(), BUDGET - 2);
    let mut held = Vec::new();
    for workspace in workspaces.iter().take(usize::try_from(limits.workspace_slots()).unwrap()) {
        held.push(place.session(workspace).await.unwrap());
    }
    assert!(observer.sessions().await <= BUDGET);
    assert_eq!(place.figures().server_refusals, 0);
    assert_eq!(listeners(&observer).await, 1);
    drop(held);
    back.stop().await;
    until("the session has ended", async || listeners(&observer).await == 0).await;
    observer.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_may_have_no_connections_does_not_listen() {
    let place = listening().await;
    let mut back = Post::of(&place.store);
    assert_eq!(back.next().await, Call::Missed);
    let observer = Observer::new(&place.instance).await;
    place.store.fence.close();
    until("the session has ended", async || listeners(&observer).await == 0).await;
    place.store.fence.open_until(std::time::Instant::now() + Duration::from_mins(10));
    assert_eq!(back.next().await, Call::Missed, "and listens again when it may");
    back.stop().await;
    observer.close().await;
}
