//! The sample contacts: a CSV file as a shop would export it, with its mistakes.

use anyhow::Context as _;
use serde_json::{Map, Value};

const CSV: &str = include_str!("../../demo/contacts.csv");

/// Reads rows of the sample as objects of the API; more than there are by repeating them under
/// other addresses.
pub(super) fn rows(wanted: u32) -> anyhow::Result<Vec<Value>> {
    let mut reader = csv::Reader::from_reader(CSV.as_bytes());
    let names = reader.headers()?.clone();
    let sample = reader
        .records()
        .map(|record| Ok(object(&names, &record?)))
        .collect::<Result<Vec<_>, csv::Error>>()
        .context("the sample contacts cannot be read")?;
    let wanted = usize::try_from(wanted).unwrap_or(usize::MAX);
    Ok((0..wanted).map(|n| again(&sample[n % sample.len()], n / sample.len())).collect())
}

/// An empty cell says nothing about its field. Numbers are numbers when they can be.
fn object(names: &csv::StringRecord, record: &csv::StringRecord) -> Value {
    let cells = names.iter().zip(record).filter(|(name, cell)| *name == "email" || !cell.is_empty());
    let value = |name: &str, cell: &str| match cell.parse::<i64>() {
        Ok(number) if name.starts_with("custom_number_") => Value::from(number),
        _ => Value::from(cell),
    };
    Value::Object(cells.map(|(name, cell)| (name.to_owned(), value(name, cell))).collect::<Map<_, _>>())
}

fn again(row: &Value, round: usize) -> Value {
    let mut row = row.clone();
    if round > 0
        && let Some((local, domain)) = row["email"].as_str().and_then(|email| email.split_once('@'))
        && !local.is_empty()
    {
        row["email"] = Value::from(format!("{local}+{round}@{domain}"));
        row["external_id"] = Value::from(format!("{}-{round}", row["external_id"].as_str().unwrap_or("row")));
    }
    row
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::contacts::ContactPatch;
    use std::collections::HashSet;

    #[test]
    fn the_sample_has_good_rows_repeated_rows_and_bad_rows() {
        let patches: Vec<_> = rows(1_000).unwrap().iter().map(ContactPatch::from_json).collect();
        let good: Vec<_> = patches.iter().flatten().collect();
        let addresses: HashSet<_> = good.iter().map(|patch| &patch.email).collect();
        assert_eq!(
            (patches.len() - good.len(), good.len() - addresses.len(), addresses.len()),
            (25, 15, 960)
        );
    }

    #[test]
    fn fewer_rows_are_the_first_ones() {
        assert_eq!(rows(3).unwrap(), rows(1_000).unwrap()[..3]);
    }

    #[test]
    fn more_rows_have_other_addresses() {
        let patches: Vec<_> =
            rows(3_000).unwrap().iter().filter_map(|r| ContactPatch::from_json(r).ok()).collect();
        let addresses: HashSet<_> = patches.iter().map(|patch| &patch.email).collect();
        assert_eq!(addresses.len(), 3 * 960);
    }
}
