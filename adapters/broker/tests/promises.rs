//! The table of invariants in the operator's page names tests that exist.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/connection-broker.md");

/// Invariants with the tests that the page names for each.
fn promises() -> Vec<(String, Vec<String>)> {
    let page = fs::read_to_string(PAGE).unwrap();
    let rows = page.lines().filter_map(|line| {
        let mut cells = line.strip_prefix("| I")?.split('|').map(str::trim);
        let number: u32 = cells.next()?.parse().ok()?;
        let tests = cells.nth(1)?.split('`').skip(1).step_by(2).map(str::to_owned);
        Some((format!("I{number}"), tests.collect()))
    });
    rows.collect()
}

fn collect(folder: &Path, names: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path: PathBuf = entry.unwrap().path();
        if path.is_dir() && !path.ends_with("target") && !path.ends_with(".git") {
            collect(&path, names);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            let tests = text.lines().filter_map(|line| line.split_once("fn ")?.1.split_once("()"));
            names.extend(tests.map(|(name, _)| name.to_owned()));
        }
    }
}

#[test]
fn every_invariant_has_tests_that_exist() {
    let promises = promises();
    let numbers: Vec<_> = promises.iter().map(|(number, _)| number.clone()).collect();
    assert_eq!(numbers, (1..=17).map(|number| format!("I{number}")).collect::<Vec<_>>());
    let mut names = BTreeSet::new();
    for folder in ["adapters", "application", "benches", "bootstrap", "tests"] {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap();
        collect(&root.join(folder), &mut names);
    }
    for (number, tests) in promises {
        assert!(!tests.is_empty(), "{number} has no test");
        let missing: Vec<_> = tests.iter().filter(|test| !names.contains(*test)).collect();
        assert!(missing.is_empty(), "{number}: there is no {missing:?}");
    }
}
