//! Files that go with a mail.

mod media;

use crate::validation::{Check, Invalid};
use std::sync::Arc;

/// Most files of one message.
pub const MOST_FILES: usize = 20;
/// Most bytes of one file.
pub const LARGEST_FILE: usize = 3 << 20;
/// Most bytes of all files of one message.
pub const LARGEST_TOTAL: usize = 10 << 20;

/// How a file is shown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Disposition {
    /// Beside the mail.
    #[default]
    Attachment,
    /// Inside the mail, which refers to it as `cid:` and its name.
    Inline,
}

/// A file of a message, without its bytes.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct AttachedFile {
    /// SHA-256 of the bytes in lower-case hexadecimal: equal files are stored once.
    pub checksum: String,
    /// Its name.
    pub filename: FileName,
    /// Its media type.
    pub content_type: MediaType,
    /// How it is shown.
    pub disposition: Disposition,
}

/// A file that a request brings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewFile {
    /// Its name.
    pub filename: FileName,
    /// Its media type.
    pub content_type: MediaType,
    /// How it is shown.
    pub disposition: Disposition,
    /// Its bytes.
    pub content: Arc<[u8]>,
}

impl NewFile {
    /// Reads a file: a media type that is absent or empty is found from the bytes and the name.
    ///
    /// # Errors
    /// Every bad field.
    pub fn parse(
        filename: &str,
        content: Vec<u8>,
        content_type: Option<&str>,
        disposition: Option<&str>,
    ) -> Result<Self, Invalid> {
        let mut check = Check::default();
        let name = check.field("/filename", FileName::parse(filename));
        let given = content_type.map(str::trim).filter(|text| !text.is_empty());
        let content_type = match given {
            Some(text) => check.field("/content_type", MediaType::parse(text)),
            None => Some(MediaType::of(filename, &content)),
        };
        let disposition = match disposition.map(str::trim).filter(|text| !text.is_empty()) {
            None | Some("attachment") => Disposition::Attachment,
            Some("inline") => Disposition::Inline,
            Some(_) => {
                check.problem("/disposition", "must be attachment or inline");
                Disposition::Attachment
            }
        };
        check.require(!content.is_empty(), "/content", "must not be empty");
        check.require(content.len() <= LARGEST_FILE, "/content", "must have at most 3 MiB");
        check.finish()?;
        let (Some(filename), Some(content_type)) = (name, content_type) else {
            return Err(Invalid::one("", "is incomplete"));
        };
        Ok(Self { filename, content_type, disposition, content: content.into() })
    }
}

/// Checks what one message may carry in all.
///
/// # Errors
/// When there are too many files or bytes, or two inline files of one name.
pub fn check_together(files: &[NewFile]) -> Result<(), Invalid> {
    let mut check = Check::default();
    check.require(files.len() <= MOST_FILES, "", "a message takes at most 20 attachments");
    let total: usize = files.iter().map(|file| file.content.len()).sum();
    check.require(total <= LARGEST_TOTAL, "", "all attachments together must have at most 10 MiB");
    for (n, file) in files.iter().enumerate() {
        let twice = file.disposition == Disposition::Inline
            && files[..n].iter().any(|f| f.disposition == Disposition::Inline && f.filename == file.filename);
        check.require(!twice, &format!("/{n}/filename"), "two inline attachments have this name");
    }
    check.finish()
}

/// The name of a file: 1 to 255 characters without folders, control characters or an ending that
/// mail programs block because it can be run.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct FileName(String);

/// Why a text is no name of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FileNameError {
    /// Nothing but white space and dots.
    #[error("is required")]
    Missing,
    /// Longer than 255 characters.
    #[error("must have at most 255 characters")]
    TooLong,
    /// A folder, a control character, or one that changes the direction of writing.
    #[error("must be a plain name, without folders, line breaks or other control characters")]
    NotPlain,
    /// Can be run.
    #[error("has an ending that mail programs block")]
    Blocked,
}

/// Endings of files that can be run or change a system.
const BLOCKED: &[&str] = &[
    "ade", "adp", "app", "asp", "bas", "bat", "cer", "chm", "cmd", "com", "cpl", "crt", "csh", "der", "exe",
    "fxp", "gadget", "hlp", "hta", "inf", "ins", "isp", "its", "jar", "js", "jse", "ksh", "lib", "lnk",
    "mad", "maf", "mag", "mam", "maq", "mar", "mas", "mat", "mau", "mav", "maw", "mda", "mdb", "mde", "mdt",
    "mdw", "mdz", "msc", "msh", "msh1", "msh1xml", "msh2", "msh2xml", "mshxml", "msi", "msp", "mst", "ops",
    "pcd", "pif", "plg", "prf", "prg", "ps1", "ps1xml", "ps2", "ps2xml", "psc1", "psc2", "reg", "scf", "scr",
    "sct", "shb", "shs", "sys", "tmp", "url", "vb", "vbe", "vbs", "vps", "vsmacros", "vss", "vst", "vsw",
    "vxd", "ws", "wsc", "wsf", "wsh", "xnk",
];

impl FileName {
    /// # Errors
    /// When the text is no plain name, or its ending is blocked.
    pub fn parse(text: &str) -> Result<Self, FileNameError> {
        let text = text.trim();
        // Some systems drop dots and spaces at the end, and would find another ending behind them.
        let bare = text.trim_end_matches(['.', ' ']);
        if bare.is_empty() {
            return Err(FileNameError::Missing);
        }
        if text.chars().count() > 255 {
            return Err(FileNameError::TooLong);
        }
        let turns = |c: char| matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{2028}' | '\u{2029}');
        if text.chars().any(|c| c.is_control() || matches!(c, '/' | '\\') || turns(c)) {
            return Err(FileNameError::NotPlain);
        }
        let ending = bare.rsplit_once('.').map_or("", |(_, ending)| ending).trim().to_ascii_lowercase();
        if BLOCKED.contains(&ending.as_str()) {
            return Err(FileNameError::Blocked);
        }
        Ok(Self(text.to_owned()))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for FileName {
    type Error = FileNameError;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text)
    }
}

impl From<FileName> for String {
    fn from(name: FileName) -> Self {
        name.0
    }
}

/// The media type of a file (RFC 2045 §5.1): a kind and a name, perhaps with parameters, none of the
/// kinds that hold other parts or can be run.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MediaType(String);

/// Why a text is no media type of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MediaTypeError {
    /// No kind and name.
    #[error("must be a media type such as application/pdf, of at most 255 ASCII characters")]
    Malformed,
    /// Holds other parts, or can be run.
    #[error("is a media type that cannot be attached")]
    Blocked,
}

impl MediaType {
    /// # Errors
    /// When the text is no media type, or of a kind that cannot be attached.
    pub fn parse(text: &str) -> Result<Self, MediaTypeError> {
        let text = text.trim();
        let (essence, parameters) = text.split_once(';').unwrap_or((text, ""));
        let (kind, name) = essence.trim().split_once('/').ok_or(MediaTypeError::Malformed)?;
        let plain = text.len() <= 255 && parameters.bytes().all(|b| b == b' ' || b.is_ascii_graphic());
        if !(plain && is_token(kind) && is_token(name)) {
            return Err(MediaTypeError::Malformed);
        }
        let (kind, name) = (kind.to_ascii_lowercase(), name.to_ascii_lowercase());
        if matches!(kind.as_str(), "multipart" | "message") || media::RUNNABLE.contains(&name.as_str()) {
            return Err(MediaTypeError::Blocked);
        }
        Ok(Self(text.to_owned()))
    }

    /// Finds the type of a file from its first bytes, then from the ending of its name.
    #[must_use]
    pub fn of(filename: &str, content: &[u8]) -> Self {
        Self(media::guess(filename, content).to_owned())
    }

    /// The media type as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for MediaType {
    type Error = MediaTypeError;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text)
    }
}

impl From<MediaType> for String {
    fn from(media_type: MediaType) -> Self {
        media_type.0
    }
}

/// RFC 2045: visible ASCII but the characters that part things.
fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic() && !b"()<>@,;:\\\"/[]?=".contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_plain() {
        for good in ["invoice.pdf", " Rechnung März.pdf ", "archive.tar.gz", ".profile", "no ending"] {
            assert!(FileName::parse(good).is_ok(), "{good}");
        }
        for bad in ["../a.pdf", "a\\b.pdf", "/etc/passwd", "a\r\nX: y.pdf", "a\0.pdf", "a\u{202e}fdp.pdf"] {
            assert_eq!(FileName::parse(bad), Err(FileNameError::NotPlain), "{bad:?}");
        }
        for empty in ["", "  ", "..", ". . "] {
            assert_eq!(FileName::parse(empty), Err(FileNameError::Missing), "{empty:?}");
        }
        assert_eq!(FileName::parse(&"é".repeat(256)), Err(FileNameError::TooLong));
    }

    #[test]
    fn what_can_be_run_is_blocked() {
        for bad in ["a.exe", "invoice.pdf.EXE", "a.js", "a.ps1", "a.exe.", "a.scr . .", "a.vbs "] {
            assert_eq!(FileName::parse(bad), Err(FileNameError::Blocked), "{bad}");
        }
        assert!(FileName::parse("exe").is_ok());
        assert!(FileName::parse("a.exe.txt").is_ok());
    }

    #[test]
    fn a_media_type_has_a_kind_and_a_name() {
        for good in ["application/pdf", "text/plain; charset=utf-8", " image/svg+xml "] {
            assert!(MediaType::parse(good).is_ok(), "{good}");
        }
        for bad in ["pdf", "application/", "/pdf", "a b/c", "a/b\r\nX: y", "text/plain; a=\"\n\"", "é/x"] {
            assert_eq!(MediaType::parse(bad), Err(MediaTypeError::Malformed), "{bad:?}");
        }
        for bad in ["multipart/mixed", "Message/RFC822", "application/x-msdownload"] {
            assert_eq!(MediaType::parse(bad), Err(MediaTypeError::Blocked), "{bad}");
        }
    }

    #[test]
    fn every_bad_field_of_a_file_is_reported() {
        let bad = NewFile::parse("a.exe", Vec::new(), Some("pdf"), Some("hidden")).unwrap_err();
        let pointers: Vec<_> = bad.0.iter().map(|p| p.pointer.as_str()).collect();
        assert_eq!(pointers, ["/filename", "/content_type", "/disposition", "/content"]);
        let large = NewFile::parse("a.bin", vec![0; LARGEST_FILE + 1], None, None).unwrap_err();
        assert_eq!(large.0[0].pointer, "/content");
    }

    #[test]
    fn a_message_carries_so_much_and_no_more() {
        let file = |bytes: usize| NewFile::parse("a.bin", vec![0; bytes], None, None).unwrap();
        assert!(check_together(&vec![file(1); MOST_FILES]).is_ok());
        assert!(check_together(&vec![file(1); MOST_FILES + 1]).is_err());
        let mut full = vec![file(LARGEST_FILE); 3];
        full.push(file(LARGEST_TOTAL - 3 * LARGEST_FILE));
        assert!(check_together(&full).is_ok());
        full.push(file(1));
        assert!(check_together(&full).is_err());
    }

    #[test]
    fn inline_files_are_told_apart_by_name() {
        let file = |how| NewFile::parse("logo.png", vec![1], None, Some(how)).unwrap();
        assert!(check_together(&[file("attachment"), file("inline")]).is_ok());
        let twice = check_together(&[file("inline"), file("inline")]).unwrap_err();
        assert_eq!(twice.0[0].pointer, "/1/filename");
    }
}
