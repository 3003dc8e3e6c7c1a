//! The head of every run: where and with what it was measured.

use std::fs;

/// Prints machine, versions, settings and seed.
pub(crate) fn print(title: &str, settings: &[(&str, String)], seed: u64) {
    println!("{title}");
    println!("  machine    {} × {}, {}", cores(), processor(), memory());
    println!("  system     {}", system());
    println!(
        "  built      {} {}, {}, {}",
        env!("CARGO_PKG_NAME"),
        env!("CARGO_PKG_VERSION"),
        profile(),
        env!("COMPILER")
    );
    for (name, value) in settings {
        println!("  {name:<10} {value}");
    }
    println!("  seed       {seed}");
    println!();
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(0, usize::from)
}

const fn profile() -> &'static str {
    if cfg!(debug_assertions) { "debug (figures mean nothing)" } else { "release" }
}

fn processor() -> String {
    line_of("/proc/cpuinfo", "model name").unwrap_or_else(|| std::env::consts::ARCH.to_owned())
}

fn memory() -> String {
    let kilobytes = line_of("/proc/meminfo", "MemTotal")
        .and_then(|text| text.trim_end_matches(" kB").parse::<u64>().ok());
    kilobytes.map_or_else(|| "memory unknown".to_owned(), |kilobytes| format!("{} GB", kilobytes >> 20))
}

fn system() -> String {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!("{} {}", std::env::consts::OS, release.trim())
}

/// What follows the colon in the first line that begins with the name.
fn line_of(file: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}
