//! A machine that goes down leaves what was not brought to its disk as it happens to be there: the last
//! commit in parts, in any order. What was acknowledged before is there all the same.

use std::process::{Command, Stdio};

use fastrand::Rng;

use super::server_cli::Program;
use super::server_help::{Dir, Streams};

const JSON: &str = "application/json";
const FILE: &str = "streams.redb";
/// What a disk writes at once.
const SECTOR: usize = 512;
const APPENDS: usize = 30;
const TRIALS: u64 = 40;

fn file(dir: &Dir) -> std::path::PathBuf {
    dir.path().join(FILE)
}

/// The messages of the stream as a server finds them that starts with a file.
async fn found(bytes: &[u8]) -> String {
    let dir = Dir::new();
    std::fs::create_dir_all(dir.path()).unwrap();
    std::fs::write(file(&dir), bytes).unwrap();
    let program = Program::start(&["--data", dir.path().to_str().unwrap()]);
    let streams = Streams::at(&program.url);
    let content = streams.content("s").await;
    // It takes more, too.
    assert_eq!(streams.post("s", JSON, "\"later\"").await.status, 204);
    assert!(streams.content("s").await.ends_with("\"later\""));
    program.kill();
    content
}

/// What is said of a file by a server that does not start with it.
fn refused(bytes: &[u8]) -> Result<String, ()> {
    let dir = Dir::new();
    std::fs::create_dir_all(dir.path()).unwrap();
    std::fs::write(file(&dir), bytes).unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_tailwater"))
        .args(["serve", "--listen", "127.0.0.1:0", "--data"])
        .arg(dir.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // It ends, or says that it listens.
    let mut line = String::new();
    let stdout = child.stdout.as_mut().unwrap();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(stdout), &mut line).unwrap();
    let started = line.starts_with("listening");
    if started {
        child.kill().unwrap();
    }
    let output = child.wait_with_output().unwrap();
    match started {
        true => Err(()),
        false => Ok(String::from_utf8(output.stderr).unwrap()),
    }
}

fn message(number: usize) -> String {
    format!(
        "[{{\"n\":{number},\"filler\":\"{}\"}}]",
        "x".repeat(number * 37 % 3000)
    )
}

/// The file after some appends, and after one more.
async fn before_and_after(dir: &Dir) -> (Vec<u8>, Vec<u8>, String, String) {
    let program = Program::start(&["--data", dir.path().to_str().unwrap()]);
    let streams = Streams::at(&program.url);
    assert_eq!(streams.put("s", JSON, "").await.status, 201);
    for number in 0..APPENDS {
        let status = streams.post("s", JSON, &message(number)).await.status;
        assert_eq!(status, 204);
    }
    let acknowledged = streams.content("s").await;
    let before = std::fs::read(file(dir)).unwrap();
    let status = streams.post("s", JSON, &message(APPENDS)).await.status;
    assert_eq!(status, 204);
    let all = streams.content("s").await;
    program.kill();
    (before, std::fs::read(file(dir)).unwrap(), acknowledged, all)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_was_torn_costs_nothing_before_it() {
    let dir = Dir::new();
    let (before, after, acknowledged, all) = before_and_after(&dir).await;
    assert_ne!(before, after);
    let mut whole = 0;
    for seed in 0..TRIALS {
        let mut random = Rng::with_seed(seed);
        // Some of its sectors got there, and the file grew or did not.
        let mut torn = after.clone();
        if random.bool() {
            torn.truncate(before.len().max(after.len() / 2));
            torn.resize(after.len().max(before.len()), 0);
        }
        let often = random.u32(1..10);
        for start in (0..torn.len()).step_by(SECTOR) {
            let end = (start + SECTOR).min(torn.len());
            let lost = random.u32(..10) < often;
            match before.get(start..end) {
                Some(old) if lost => torn[start..end].copy_from_slice(old),
                // It was never written.
                None if lost => torn[start..end].fill(0),
                _ => {}
            }
        }
        let content = found(&torn).await;
        assert!(
            content == acknowledged || content == all,
            "seed {seed}: {content}"
        );
        whole += usize::from(content == all);
    }
    assert!(whole < TRIALS as usize, "nothing was lost");
    assert_eq!(found(&after).await, all);
    assert_eq!(found(&before).await, acknowledged);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_lost_what_was_on_disk_is_refused_or_right() {
    let dir = Dir::new();
    let (_, after, acknowledged, all) = before_and_after(&dir).await;
    let mut refusals = 0;
    for seed in 0..TRIALS {
        let mut random = Rng::with_seed(seed);
        let mut damaged = after.clone();
        match seed % 3 {
            0 => damaged.truncate(random.usize(1..after.len())),
            kind => {
                let start = random.usize(..after.len() / SECTOR) * SECTOR;
                let part = &mut damaged[start..start + SECTOR];
                match kind {
                    1 => part.fill(0),
                    _ => part.fill_with(|| random.u8(..)),
                }
            }
        }
        match refused(&damaged) {
            Ok(said) => {
                refusals += 1;
                assert!(
                    said.contains(FILE) && said.contains("damaged"),
                    "seed {seed}: {said}"
                );
            }
            Err(()) => {
                let content = found(&damaged).await;
                assert!(
                    content == all || content == acknowledged,
                    "seed {seed}: {content}"
                );
            }
        }
    }
    assert!(refusals > 0);
}
