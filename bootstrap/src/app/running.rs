//! The application at work, and its orderly end.

use super::App;
use application::tracking::Tracking;
use http_api::ShutdownGate;
use poem::{Server, listener::TcpAcceptor};
use smtp::MailRouter;
use std::{net::SocketAddr, sync::Arc, time::Duration};
use store::{StoreBroker, WorkChannel};
use tokio::{net::TcpListener, sync::oneshot, task::JoinSet};
use worker::Stop;

/// How long requests under way may take once the end has begun.
const REQUESTS: Duration = Duration::from_secs(30);

/// How long leases of databases may last after the last request and the last mail.
const LEASES: Duration = Duration::from_secs(10);

/// A started application. Dropping it ends it at once, mails in flight included; [`Running::stop`]
/// ends it in order.
pub struct Running {
    address: SocketAddr,
    stop_serving: oneshot::Sender<()>,
    stop_working: Stop,
    serving: JoinSet<std::io::Result<()>>,
    working: JoinSet<()>,
    gate: ShutdownGate,
    mailers: [Arc<MailRouter>; 2],
    tracking: Arc<Tracking>,
    channel: Option<Arc<WorkChannel>>,
    telling: JoinSet<()>,
    store: StoreBroker,
}

impl Running {
    pub(super) fn start(app: App, listener: TcpListener) -> anyhow::Result<Self> {
        let address = listener.local_addr()?;
        let (stop_serving, stopped) = oneshot::channel();
        let stop_working = Stop::default();
        let (mut serving, mut working) = (JoinSet::new(), JoinSet::new());
        let server = Server::new_with_acceptor(TcpAcceptor::from_tokio(listener)?);
        serving.spawn(server.run_with_graceful_shutdown(
            app.endpoint,
            async move {
                let _ = stopped.await;
            },
            Some(REQUESTS),
        ));
        if let Some(worker) = app.worker {
            let stop = stop_working.clone();
            working.spawn(async move { worker.run(stop).await });
        }
        let mut telling = JoinSet::new();
        if let Some(channel) = app.channel.clone() {
            telling.spawn(async move { channel.run().await });
        }
        Ok(Self {
            address,
            stop_serving,
            stop_working,
            serving,
            working,
            gate: app.gate,
            mailers: app.mailers,
            tracking: app.tracking,
            channel: app.channel,
            telling,
            store: app.store,
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends when the server has failed by itself, which it does not while the machine is sound.
    pub async fn failed(&mut self) -> anyhow::Error {
        tokio::select! {
            Some(ended) = self.serving.join_next() => match ended {
                Ok(Ok(())) => anyhow::anyhow!("the HTTP server ended"),
                Ok(Err(error)) => anyhow::Error::new(error).context("the HTTP server ended"),
                Err(error) => anyhow::Error::new(error).context("the HTTP server ended"),
            },
            Some(ended) = self.working.join_next() => match ended {
                Ok(()) => anyhow::anyhow!("the worker ended"),
                Err(error) => anyhow::Error::new(error).context("the worker ended"),
            },
        }
    }

    /// Refuses new requests, finishes those under way and mails in flight, then closes everything.
    pub async fn stop(mut self) {
        self.gate.close();
        self.stop_working.ask();
        let _ = self.stop_serving.send(());
        while let Some(ended) = self.serving.join_next().await {
            if let Ok(Err(error)) = ended {
                tracing::warn!(error = &error as &dyn std::error::Error, "the HTTP server ended badly");
            }
        }
        while self.working.join_next().await.is_some() {}
        self.tracking.finish().await;
        if let Some(channel) = &self.channel {
            channel.stop();
        }
        while self.telling.join_next().await.is_some() {}
        for mailer in &self.mailers {
            mailer.close().await;
        }
        let report = self.store.shutdown(LEASES).await;
        tracing::debug!(?report, "the databases are closed");
    }
}
