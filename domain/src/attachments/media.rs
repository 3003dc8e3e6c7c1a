//! Finding the media type of a file.

/// Names of media types whose files can be run.
pub(super) const RUNNABLE: &[&str] = &[
    "x-msdownload",
    "x-msdos-program",
    "x-dosexec",
    "x-executable",
    "x-elf",
    "x-sh",
    "x-msi",
    "x-ms-shortcut",
    "vnd.microsoft.portable-executable",
    "hta",
    "javascript",
    "x-javascript",
    "java-archive",
    "x-java-archive",
];

const UNKNOWN: &str = "application/octet-stream";
const ZIP: &str = "application/zip";

/// How files begin.
const BEGINNINGS: &[(&[u8], &str)] = &[
    (b"%PDF-", "application/pdf"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"BM", "image/bmp"),
    (b"II*\0", "image/tiff"),
    (b"MM\0*", "image/tiff"),
    (b"\x1f\x8b", "application/gzip"),
    (b"PK\x03\x04", ZIP),
];

/// How names end.
const ENDINGS: &[(&str, &str)] = &[
    ("pdf", "application/pdf"),
    ("doc", "application/msword"),
    ("docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
    ("xls", "application/vnd.ms-excel"),
    ("xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
    ("ppt", "application/vnd.ms-powerpoint"),
    ("pptx", "application/vnd.openxmlformats-officedocument.presentationml.presentation"),
    ("zip", ZIP),
    ("gz", "application/gzip"),
    ("csv", "text/csv"),
    ("txt", "text/plain"),
    ("json", "application/json"),
    ("xml", "application/xml"),
    ("ics", "text/calendar"),
    ("jpg", "image/jpeg"),
    ("jpeg", "image/jpeg"),
    ("png", "image/png"),
    ("gif", "image/gif"),
    ("webp", "image/webp"),
    ("svg", "image/svg+xml"),
    ("bmp", "image/bmp"),
    ("ico", "image/x-icon"),
    ("tiff", "image/tiff"),
    ("tif", "image/tiff"),
];

/// The bytes count for more than the name, but for an archive, which is what several kinds of
/// documents are.
pub(super) fn guess(filename: &str, content: &[u8]) -> &'static str {
    let begins = beginning(content);
    if let Some(found) = begins.filter(|found| *found != ZIP) {
        return found;
    }
    let ending = filename.trim().rsplit_once('.').map_or("", |(_, ending)| ending).to_ascii_lowercase();
    let named = ENDINGS.iter().find(|(known, _)| *known == ending).map(|(_, found)| *found);
    named.or(begins).unwrap_or_else(|| if is_text(content) { "text/plain" } else { UNKNOWN })
}

fn beginning(content: &[u8]) -> Option<&'static str> {
    if content.starts_with(b"RIFF") && content.get(8..12) == Some(b"WEBP") {
        return Some("image/webp");
    }
    BEGINNINGS.iter().find(|(beginning, _)| content.starts_with(beginning)).map(|(_, found)| *found)
}

fn is_text(content: &[u8]) -> bool {
    std::str::from_utf8(content).is_ok_and(|text| !text.chars().any(|c| c.is_control() && !c.is_whitespace()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_count_for_more_than_the_name() {
        assert_eq!(guess("photo.jpg", b"\x89PNG\r\n\x1a\n"), "image/png");
        assert_eq!(guess("photo", b"RIFF\0\0\0\0WEBPVP8"), "image/webp");
    }

    #[test]
    fn a_document_that_is_an_archive_is_named_by_its_ending() {
        assert!(guess("letter.docx", b"PK\x03\x04").ends_with("wordprocessingml.document"));
        assert_eq!(guess("letter", b"PK\x03\x04"), "application/zip");
    }

    #[test]
    fn what_nothing_tells_is_text_or_unknown() {
        assert_eq!(guess("table.CSV", b"a;b"), "text/csv");
        assert_eq!(guess("readme", "grüß dich\n".as_bytes()), "text/plain");
        assert_eq!(guess("readme", b"\0\x01"), "application/octet-stream");
    }
}
