//! Tries each target on its corpus and on seeded changes of it, with the stable toolchain.
//!
//!     tailwater-fuzz [--rounds N] [--seed N] [--seconds N] [TARGET…]   all targets by default
//!     tailwater-fuzz --round R [--seed N] TARGET                       one round, to look at a finding
//!
//! Each target runs in a process of its own, so that an abort (a stack that overflows, memory that
//! is not to be had) is told with its round, too.

mod mutate;

use std::fs::{self, File};
use std::io::{Seek, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use mutate::Mutator;
use tailwater_fuzz::{TARGETS, Target};

/// As large as that of a worker of a server.
const STACK: usize = 2 << 20;
/// A round that takes longer hangs.
const HANG: Duration = Duration::from_secs(120);

struct Args {
    rounds: u64,
    seconds: u64,
    seed: u64,
    round: Option<u64>,
    child: bool,
    targets: Vec<String>,
}

fn args() -> Result<Args, String> {
    let mut args = Args {
        rounds: 2000,
        seconds: u64::MAX,
        seed: 1,
        round: None,
        child: false,
        targets: Vec::new(),
    };
    let mut given = std::env::args().skip(1);
    while let Some(arg) = given.next() {
        let mut number = || {
            let value = given.next().and_then(|value| value.parse().ok());
            value.ok_or(format!("{arg} needs a number"))
        };
        match &*arg {
            "--rounds" => args.rounds = number()?,
            "--seconds" => (args.seconds, args.rounds) = (number()?, u64::MAX),
            "--seed" => args.seed = number()?,
            "--round" => args.round = Some(number()?),
            "--child" => args.child = true,
            name if TARGETS.iter().any(|(target, _)| *target == name) => args.targets.push(arg),
            other => return Err(format!("there is no target `{other}`")),
        }
    }
    Ok(args)
}

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn corpus(target: &str) -> Vec<Vec<u8>> {
    let entries = fs::read_dir(folder("corpus").join(target)).expect("the target has a corpus");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("a file").path()).collect();
    paths.sort();
    paths
        .iter()
        .map(|path| fs::read(path).expect("a file"))
        .collect()
}

fn main() -> ExitCode {
    let args = match args() {
        Ok(args) => args,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::from(2);
        }
    };
    let chosen = |(name, _): &&Target| {
        args.targets.is_empty() || args.targets.iter().any(|target| target == name)
    };
    let chosen: Vec<&Target> = TARGETS.iter().filter(chosen).collect();
    if args.child || args.round.is_some() {
        chosen
            .into_iter()
            .for_each(|target| on_small_stack(target, &args));
        return ExitCode::SUCCESS;
    }
    match chosen
        .into_iter()
        .filter(|target| !survives(target.0, &args))
        .count()
    {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

/// Where a running target says in which round it is.
fn progress(target: &str) -> PathBuf {
    folder("artifacts").join(format!("{target}.round"))
}

fn round_of(target: &str) -> Option<u64> {
    fs::read_to_string(progress(target))
        .ok()?
        .trim()
        .parse()
        .ok()
}

/// Runs a target in a process of its own.
fn survives(target: &str, args: &Args) -> bool {
    fs::create_dir_all(folder("artifacts")).expect("a folder for what is found");
    let _ = fs::remove_file(progress(target));
    let mut child = Command::new(std::env::current_exe().expect("this program"))
        .args(["--child", "--seed", &args.seed.to_string()])
        .args(match args.seconds {
            u64::MAX => ["--rounds".to_owned(), args.rounds.to_string()],
            seconds => ["--seconds".to_owned(), seconds.to_string()],
        })
        .arg(target)
        .spawn()
        .expect("it starts");
    let mut last = (None, Instant::now());
    let ended = loop {
        if let Some(status) = child.try_wait().expect("a child") {
            break status.success();
        }
        let round = round_of(target);
        if round != last.0 {
            last = (round, Instant::now());
        } else if last.1.elapsed() > HANG {
            let _ = child.kill();
            let _ = child.wait();
            eprintln!("{target}: a round takes longer than {HANG:?}");
            break false;
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    if !ended {
        let round = round_of(target).unwrap_or_default();
        let input = input(target, args.seed, round, &corpus(target));
        let path = folder("artifacts").join(format!("{target}-{}-{round}", args.seed));
        fs::write(&path, input).expect("what was found is kept");
        eprintln!(
            "{target}: found in round {round} of seed {}: {}",
            args.seed,
            path.display()
        );
    }
    ended
}

/// The input of a round: the corpus as it is, then changes of it.
fn input(target: &str, seed: u64, round: u64, corpus: &[Vec<u8>]) -> Vec<u8> {
    match corpus.get(round as usize) {
        Some(input) => input.clone(),
        None => Mutator::new(target, seed, round).input(corpus),
    }
}

fn on_small_stack(target: &Target, args: &Args) {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(STACK);
        let run = thread
            .spawn_scoped(scope, || run(target, args))
            .expect("a thread");
        if run.join().is_err() {
            std::process::exit(1);
        }
    });
}

fn run(&(name, target): &Target, args: &Args) {
    let corpus = corpus(name);
    if let Some(round) = args.round {
        let input = input(name, args.seed, round, &corpus);
        println!("{}", String::from_utf8_lossy(&input));
        return target(&input);
    }
    let mut progress = File::create(progress(name)).expect("a file");
    let begun = Instant::now();
    let mut slowest = (Duration::ZERO, 0);
    let mut round = 0;
    while round < args.rounds && begun.elapsed().as_secs() < args.seconds {
        progress
            .rewind()
            .and_then(|()| writeln!(progress, "{round:<20}"))
            .expect("a file");
        let input = input(name, args.seed, round, &corpus);
        let start = Instant::now();
        target(&input);
        slowest = slowest.max((start.elapsed(), round));
        round += 1;
    }
    let (time, at) = slowest;
    println!(
        "{name}: {round} rounds in {:.0?}, the slowest {time:.0?} (round {at})",
        begun.elapsed()
    );
}
