//! How many instructions the main paths of the engine take, counted by valgrind's callgrind: a number
//! that is the same on a busy machine and on an idle one, so that a path that became dearer is seen.
//!
//! Without arguments it measures all paths, each in a process of its own, and compares them with
//! `expected.txt`; `--write` sets that anew. A path may take a quarter more than it says; one that takes a
//! quarter less should be written down, so that it stays so.

mod paths;

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::Write as _;
use std::process::{Command, ExitCode};

const EXPECTED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/expected.txt");
/// How much more a path may take: compilers differ, too.
const SLACK: f64 = 1.25;

fn main() -> ExitCode {
    let arg = std::env::args().nth(1);
    let done = match arg.as_deref() {
        None => measure_all(false),
        Some("--write") => measure_all(true),
        Some(path) => paths::run(path).map(|()| true),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn measure_all(write: bool) -> Result<bool, Box<dyn Error>> {
    let expected = match write {
        true => BTreeMap::new(),
        false => read(&std::fs::read_to_string(EXPECTED)?)?,
    };
    let (mut text, mut good) = (String::new(), true);
    for (path, what) in paths::ALL {
        let count = measure(path)?;
        writeln!(text, "{path} {count}")?;
        let verdict = match expected.get(*path) {
            _ if write => "written",
            None => {
                good = false;
                "not in expected.txt: --write it"
            }
            Some(known) if count as f64 > *known as f64 * SLACK => {
                good = false;
                "TOO MANY"
            }
            Some(known) if (count as f64) * SLACK < *known as f64 => "fewer: --write it",
            Some(_) => "as expected",
        };
        println!("{path:10} {count:>12} instructions, {verdict} ({what})");
    }
    if write {
        std::fs::write(EXPECTED, text)?;
    }
    Ok(good)
}

fn read(text: &str) -> Result<BTreeMap<String, u64>, Box<dyn Error>> {
    let line = |line: &str| {
        let (path, count) = line.split_once(' ').ok_or("a path and a number")?;
        Ok((path.to_owned(), count.parse()?))
    };
    text.lines().map(line).collect()
}

fn measure(path: &str) -> Result<u64, Box<dyn Error>> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .args(["--collect-atstart=no", "--toggle-collect=*measured*"])
        .arg(std::env::current_exe()?)
        .arg(path)
        .output()
        .map_err(|error| format!("valgrind does not start ({error}): is it installed?"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    let collected = said
        .lines()
        .find_map(|line| line.split_once("Collected : "));
    let count = collected.and_then(|(_, count)| count.trim().parse().ok());
    match count {
        Some(count) if output.status.success() && count > 0 => Ok(count),
        _ => Err(format!("{path} was not measured:\n{said}").into()),
    }
}
