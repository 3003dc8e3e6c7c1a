//! Tables, aligned for a terminal or in Markdown.

/// Rows of text under a head. The first column is aligned to the left, the others to the right.
#[derive(Debug)]
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new(head: &[&str]) -> Self {
        Self { rows: vec![head.iter().map(|&cell| cell.to_owned()).collect()] }
    }

    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }

    pub(crate) fn print(&self, markdown: bool) {
        println!("{}", if markdown { self.markdown() } else { self.aligned() });
    }

    fn widths(&self) -> Vec<usize> {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        (0..columns).map(width).collect()
    }

    fn aligned(&self) -> String {
        let widths = self.widths();
        let line = |row: &Vec<String>| {
            let cells = row.iter().zip(&widths).enumerate().map(|(column, (cell, &width))| {
                if column == 0 { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
            });
            cells.collect::<Vec<_>>().join("  ").trim_end().to_owned() + "\n"
        };
        self.rows.iter().map(line).collect()
    }

    fn markdown(&self) -> String {
        let line = |row: &Vec<String>| format!("| {} |\n", row.join(" | "));
        let mut lines = self.rows.iter().map(line);
        let head = lines.next().unwrap_or_default();
        let columns = self.rows.first().map_or(0, Vec::len);
        let rule = format!("| --- |{}\n", " ---: |".repeat(columns.saturating_sub(1)));
        head + &rule + &lines.collect::<String>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table = Table::new(&["what", "per second"]);
        table.row(["core".to_owned(), "12".to_owned()]);
        table
    }

    #[test]
    fn numbers_are_aligned_to_the_right() {
        assert_eq!(table().aligned(), "what  per second\ncore          12\n");
    }

    #[test]
    fn markdown_has_a_rule_below_its_head() {
        assert_eq!(table().markdown(), "| what | per second |\n| --- | ---: |\n| core | 12 |\n");
    }
}
