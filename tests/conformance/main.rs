//! What every store must do: each case runs against memory, SQLite and PostgreSQL.

mod attachments;
mod backends;
mod broadcasts;
mod contacts;
mod contacts_filter;
mod deliveries;
mod feedback;
mod gates;
mod idempotency;
mod integrations;
mod lists;
mod members;
mod messages;
mod publications;
mod samples;
mod templates;
mod tracking;
mod transactional;
mod units;
mod users;
mod work;
mod workspaces;

/// Makes a test of each case for each backend. A case that is not listed is reported as dead code.
macro_rules! cases {
    ($($case:ident),+ $(,)?) => {
        cases!(@backend memory $($case)+);
        cases!(@backend sqlite $($case)+);
        cases!(@backend postgres $($case)+);
    };
    (@backend $backend:ident $($case:ident)+) => {
        mod $backend {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $case() {
                    let store = crate::backends::$backend().await;
                    super::$case(&store).await;
                    store.close().await;
                }
            )+
        }
    };
}
use cases;
