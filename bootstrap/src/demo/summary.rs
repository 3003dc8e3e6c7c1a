//! What the demo tells at its end.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

/// What became of the rows of the import.
#[derive(Debug, Default)]
pub(super) struct Imported {
    pub(super) rows: usize,
    pub(super) stored: usize,
    /// Rows whose address came again; of these the last one counts.
    pub(super) repeated: usize,
    /// How many rows were rejected for which reason.
    pub(super) rejected: BTreeMap<String, usize>,
    pub(super) lasted: Duration,
}

/// What became of the mails of the newsletter.
#[derive(Debug, Default)]
pub(super) struct Newsletter {
    pub(super) planned: u64,
    pub(super) sent: u64,
    /// How many mails failed, with the words of the mail server.
    pub(super) failed: BTreeMap<String, u64>,
    pub(super) lasted: Duration,
}

/// How the demo went.
#[derive(Debug)]
pub(super) struct Summary {
    pub(super) imported: Imported,
    pub(super) newsletter: Newsletter,
    /// The From header of the transactional mail, as it arrived.
    pub(super) welcome_from: String,
    pub(super) mails: Vec<PathBuf>,
}

impl Summary {
    pub(super) fn print(&self) {
        print!("{}", self.text(peak_memory()));
    }

    fn text(&self, peak_memory: Option<u64>) -> String {
        let Imported { rows, stored, repeated, rejected, lasted } = &self.imported;
        let mut lines = vec![
            String::new(),
            "Summary".to_owned(),
            format!(
                "  contacts     {rows} rows: {stored} stored, {repeated} repeated an address, {} rejected, in {}",
                rejected.values().sum::<usize>(),
                seconds(*lasted)
            ),
        ];
        lines.extend(rejected.iter().map(|(reason, count)| format!("               {count:>4} × {reason}")));
        let Newsletter { planned, sent, failed, lasted } = &self.newsletter;
        lines.push(format!("  welcome      1 sent, From: {}", self.welcome_from));
        lines.push(format!(
            "  newsletter   {planned} planned: {sent} sent, {} failed, in {} ({:.0} mails/s)",
            failed.values().sum::<u64>(),
            seconds(*lasted),
            rate(*sent, *lasted)
        ));
        lines.extend(failed.iter().map(|(reason, count)| format!("               {count:>4} × {reason}")));
        if let Some(kilobytes) = peak_memory {
            lines.push(format!("  peak memory  {} MB", kilobytes / 1024));
        }
        lines.extend(self.mails.iter().map(|mail| format!("  to read      {}", mail.display())));
        lines.push(String::new());
        lines.join("\n")
    }
}

fn seconds(duration: Duration) -> String {
    format!("{:.2} s", duration.as_secs_f64())
}

fn rate(mails: u64, duration: Duration) -> f64 {
    let mails = f64::from(u32::try_from(mails).unwrap_or(u32::MAX));
    mails / duration.as_secs_f64().max(0.001)
}

/// The most memory that the process had at once, in kilobytes, where the system tells.
fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().trim_end_matches("kB").trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_that_happened_is_told() {
        let summary = Summary {
            imported: Imported {
                rows: 10,
                stored: 7,
                repeated: 1,
                rejected: BTreeMap::from([("email is required".to_owned(), 2)]),
                lasted: Duration::from_millis(1_500),
            },
            newsletter: Newsletter {
                planned: 7,
                sent: 6,
                failed: BTreeMap::from([("550 no such mailbox".to_owned(), 1)]),
                lasted: Duration::from_secs(2),
            },
            welcome_from: "Nina <shop@nordlys.example>".to_owned(),
            mails: vec![PathBuf::from("/tmp/demo/newsletter.eml")],
        };
        let expected = "
Summary
  contacts     10 rows: 7 stored, 1 repeated an address, 2 rejected, in 1.50 s
                  2 × email is required
  welcome      1 sent, From: Nina <shop@nordlys.example>
  newsletter   7 planned: 6 sent, 1 failed, in 2.00 s (3 mails/s)
                  1 × 550 no such mailbox
  peak memory  3 MB
  to read      /tmp/demo/newsletter.eml
";
        assert_eq!(summary.text(Some(3_200)), expected);
    }
}
