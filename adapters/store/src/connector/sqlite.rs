//! Files: opened only when they exist, made aside and moved into place.

use super::{Handle, Names, schemas::Schemas};
use crate::{
    config::{Config, SqliteFiles},
    connection::{Connection, SqliteLink},
    failure::Failure,
};
use application::ports::StoreError;
use broker::{CloseProof, OpenError, OpenFailure, Target, Unusable};
use migration::{MigrationError, Migrator, SYSTEM, WORKSPACE};
use sea_orm::ConnectionTrait as _;
use std::{
    io::{self, ErrorKind},
    path::{Path, PathBuf},
};
use tokio::{fs, sync::Mutex};

/// The system file has no workspace's name: those have no dot.
const SYSTEM_FILE: &str = "system.db";

/// Opens files below a folder.
pub(crate) struct SqliteConnector {
    folder: PathBuf,
    link: SqliteLink,
    names: Names,
    schemas: Schemas,
    /// One file is made at a time. Its handle is the one that the broker leaves to us.
    making: Mutex<()>,
}

impl SqliteConnector {
    pub(super) fn new(config: &Config, files: &SqliteFiles, names: Names) -> Self {
        let link = SqliteLink {
            busy_timeout: files.busy_timeout,
            statement_timeout: config.statement_timeout,
            full_sync: files.full_sync,
            statement_cache: config.statement_cache,
        };
        let folder = files.folder.clone();
        Self { folder, link, names, schemas: Schemas::new(), making: Mutex::new(()) }
    }

    pub(super) async fn open(&self, target: &Target) -> Result<Connection, OpenError<Handle>> {
        let (file, name, migrator) = match target {
            Target::System => (self.folder.join(SYSTEM_FILE), SYSTEM_FILE.into(), &SYSTEM),
            Target::Workspace(key) => {
                let name =
                    self.names.database(key.as_str()).await.ok_or(OpenError::proven(OpenFailure::Other))?;
                (self.file(&name), name, &WORKSPACE)
            }
        };
        let Ok(connection) = self.link.open(&file, false).await else {
            return Err(OpenError::proven(why_not(&file).await));
        };
        if let Err(error) = self.schemas.bring_up_to_date(&name, migrator, &connection).await {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "a database could not be brought up to date"
            );
            // The handle is gone whatever the answer is.
            let _ = connection.close().await;
            return Err(OpenError::proven(OpenFailure::Other));
        }
        Ok(connection)
    }

    pub(super) async fn roll_back(&self, connection: &Connection) -> Result<(), Unusable> {
        // Without a transaction there is nothing to roll back, which the engine calls an error.
        if connection.execute_unprepared("ROLLBACK").await.is_ok() {
            return Ok(());
        }
        connection.execute_unprepared("BEGIN; ROLLBACK").await.map(drop).map_err(|_| Unusable)
    }

    pub(super) async fn close(&self, connection: Connection) -> CloseProof<Handle> {
        // The handle is gone whatever the answer is.
        let _ = connection.close().await;
        CloseProof::Free
    }

    pub(super) async fn create_system(&self) -> Result<(), StoreError> {
        self.make(&self.folder, &self.folder.join(SYSTEM_FILE), &SYSTEM).await
    }

    /// Makes the file of a workspace when it is absent.
    pub(crate) async fn create(&self, database: &str) -> Result<(), StoreError> {
        self.make(&self.folder.join("workspaces"), &self.file(database), &WORKSPACE).await
    }

    /// Deletes the file of a workspace. Nobody has it open.
    pub(crate) async fn remove(&self, database: &str) -> Result<(), StoreError> {
        let _one = self.making.lock().await;
        self.schemas.forget(database).await;
        let file = self.file(database);
        // The main file goes first: without it the others mean nothing.
        for file in [file.clone(), beside(&file, "-wal"), beside(&file, "-shm")] {
            remove_if_present(&file).await.map_err(file_error)?;
        }
        Ok(())
    }

    fn file(&self, database: &str) -> PathBuf {
        self.folder.join("workspaces").join(format!("{database}.db"))
    }

    async fn make(&self, folder: &Path, file: &Path, migrator: &Migrator) -> Result<(), StoreError> {
        let _one = self.making.lock().await;
        if fs::try_exists(file).await.map_err(file_error)? {
            return Ok(());
        }
        private_folder(folder).await.map_err(file_error)?;
        let aside = beside(file, ".new");
        for leftover in [aside.clone(), beside(&aside, "-wal"), beside(&aside, "-shm")] {
            remove_if_present(&leftover).await.map_err(file_error)?;
        }
        let connection =
            self.link.open(&aside, true).await.map_err(|_| Failure::Driver("no file could be made"))?;
        let migrated = migrator.up(&connection).await;
        connection.close().await.map_err(|_| Failure::Driver("a new file could not be closed"))?;
        migrated.map_err(migration_error)?;
        fs::rename(&aside, file).await.map_err(file_error)
    }
}

/// The user's eyes only.
async fn private_folder(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    builder.mode(0o700);
    builder.create(folder).await
}

async fn remove_if_present(file: &Path) -> io::Result<()> {
    match fs::remove_file(file).await {
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(()),
        outcome => outcome,
    }
}

fn beside(file: &Path, ending: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

/// Why a file could not be opened; the engine itself tells too little.
async fn why_not(file: &Path) -> OpenFailure {
    match fs::File::open(file).await {
        Err(e) if e.kind() == ErrorKind::NotFound => OpenFailure::DatabaseMissing,
        // EMFILE, ENFILE
        Err(e) if matches!(e.raw_os_error(), Some(24 | 23)) => OpenFailure::Limit,
        _ => OpenFailure::Other,
    }
}

fn file_error(error: io::Error) -> StoreError {
    StoreError::Internal(Box::new(error))
}

pub(super) fn migration_error(error: MigrationError) -> StoreError {
    StoreError::Internal(Box::new(error))
}
