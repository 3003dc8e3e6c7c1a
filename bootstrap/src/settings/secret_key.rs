//! The key of the installation: configured, or generated once and kept in the data folder.

use application::ports::Random;
use domain::secret::Secret;
use std::{
    fs::{self, OpenOptions},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

/// The name of the file in the data folder.
const FILE: &str = "secret_key";

/// The key of the installation and where it comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretKey {
    /// The key.
    pub key: Secret,
    /// The file it is kept in; `None` when it was configured.
    pub file: Option<PathBuf>,
}

/// The key can be neither read nor kept.
#[derive(Debug, thiserror::Error)]
#[error("the secret key in {} cannot be used: {problem}", path.display())]
pub struct SecretKeyError {
    path: PathBuf,
    problem: String,
}

impl SecretKey {
    /// Warns of a configured key that could be guessed.
    pub fn warn_if_short(&self) {
        if self.key.expose().len() < 32 {
            tracing::warn!(
                "SECRET_KEY has less than 32 characters: it protects all stored passwords and tokens"
            );
        }
    }

    /// The configured key, else the one kept in the folder, else a new one that is then kept there,
    /// readable by its owner alone. Makes the folder when it is absent.
    ///
    /// # Errors
    /// When the folder or the file cannot be used.
    pub fn ensure(
        configured: Option<&Secret>,
        data_dir: &Path,
        random: &dyn Random,
    ) -> Result<Self, SecretKeyError> {
        let path = data_dir.join(FILE);
        let failed = |problem: String| SecretKeyError { path: path.clone(), problem };
        make_folder(data_dir).map_err(|e| failed(format!("the folder cannot be made ({e})")))?;
        if let Some(key) = configured {
            return Ok(Self { key: key.clone(), file: None });
        }
        match keep(&path, &random.secret_key()) {
            Ok(()) => {}
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
            Err(e) => return Err(failed(format!("it cannot be written ({e})"))),
        }
        let text = fs::read_to_string(&path).map_err(|e| failed(format!("it cannot be read ({e})")))?;
        let key = text.trim();
        if key.is_empty() {
            return Err(failed("it is empty; put the key back, or remove the file to start anew".to_owned()));
        }
        Ok(Self { key: Secret::new(key), file: Some(path) })
    }
}

/// Makes the data folder for its owner alone; one that exists is left as it is.
fn make_folder(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

/// Writes the whole key under another name first, so that the file is never seen half written, and
/// never replaces a key that is there.
fn keep(path: &Path, key: &Secret) -> io::Result<()> {
    if path.exists() {
        return Ok(());
    }
    let draft = path.with_extension(format!("new-{}", std::process::id()));
    let _ = fs::remove_file(&draft);
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&draft)?;
    file.write_all(format!("{}\n", key.expose()).as_bytes())?;
    file.sync_all()?;
    let kept = fs::hard_link(&draft, path);
    fs::remove_file(&draft)?;
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fixed(&'static str);

    impl Random for Fixed {
        fn sign_in_code(&self) -> Secret {
            Secret::new("000000")
        }

        fn secret_key(&self) -> Secret {
            Secret::new(self.0)
        }

        fn jitter(&self) -> f64 {
            0.0
        }
    }

    #[test]
    fn a_configured_key_leaves_no_file() {
        let folder = tempfile::tempdir().unwrap();
        let found = SecretKey::ensure(Some(&Secret::new("mine")), folder.path(), &Fixed("new")).unwrap();
        assert_eq!(found, SecretKey { key: Secret::new("mine"), file: None });
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_key_is_generated_once_and_kept() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let first = SecretKey::ensure(None, &data, &Fixed("first")).unwrap();
        let again = SecretKey::ensure(None, &data, &Fixed("second")).unwrap();
        assert_eq!(first.key, Secret::new("first"));
        assert_eq!(again, first);
        assert_eq!(fs::read_dir(&data).unwrap().count(), 1);
    }

    #[cfg(unix)]
    #[test]
    fn only_the_owner_reads_the_folder_and_the_kept_key() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let found = SecretKey::ensure(None, &data, &Fixed("first")).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&data), mode(&found.file.unwrap())), (0o700, 0o600));
    }

    #[test]
    fn an_empty_file_is_no_key() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(FILE), "\n").unwrap();
        let error = SecretKey::ensure(None, folder.path(), &Fixed("first")).unwrap_err();
        assert!(error.to_string().contains("it is empty"));
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_named() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("data"), "a file").unwrap();
        let data = folder.path().join("data");
        let error = SecretKey::ensure(None, &data, &Fixed("first")).unwrap_err();
        assert!(error.to_string().contains("the folder cannot be made"));
    }
}
