//! Writes mails to a folder, for development.

use crate::message;
use application::ports::{Clock, OutgoingMail, SendError};
use std::{
    io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};
use tokio::{fs, io::AsyncWriteExt as _};

/// Writes each mail to `<folder>/<message id>.eml`, readable by its owner only.
pub struct FileMailer {
    folder: PathBuf,
    clock: Arc<dyn Clock>,
    /// Tells the unfinished files of simultaneous writers apart.
    writes: AtomicU64,
}

impl FileMailer {
    /// Writes below `folder`, which is made when first needed.
    pub fn new(folder: impl Into<PathBuf>, clock: Arc<dyn Clock>) -> Self {
        Self { folder: folder.into(), clock, writes: AtomicU64::new(0) }
    }

    /// Writes one mail; one with the same identifier is replaced.
    ///
    /// # Errors
    /// [`SendError::Malformed`], or [`SendError::Provider`] when the folder cannot be written.
    pub async fn write(&self, mail: &OutgoingMail) -> Result<(), SendError> {
        let prepared = message::prepare(mail, self.clock.now())?;
        // an identifier is made of letters, digits, `_` and `-`: no path can hide in it
        let target = self.folder.join(format!("{}.eml", mail.message_id));
        let number = self.writes.fetch_add(1, Ordering::Relaxed);
        let draft = self.folder.join(format!(".{}-{}-{number}.draft", mail.message_id, std::process::id()));
        self.put(&draft, &target, prepared.content.as_bytes()).await.map_err(|error| SendError::Provider {
            reason: format!("the outbox cannot be written: {}", error.kind()),
        })
    }

    /// Whole or not at all.
    async fn put(&self, draft: &Path, target: &Path, content: &[u8]) -> io::Result<()> {
        let mut folder = fs::DirBuilder::new();
        folder.recursive(true);
        #[cfg(unix)]
        folder.mode(0o700);
        folder.create(&self.folder).await?;
        let mut options = fs::OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        options.mode(0o600);
        let written = async {
            let mut file = options.open(draft).await?;
            file.write_all(content).await?;
            file.flush().await?;
            fs::rename(draft, target).await
        };
        let written = written.await;
        if written.is_err() {
            let _ = fs::remove_file(draft).await;
        }
        written
    }
}
