//! The engines by name: how each is had, and how many changes it is given.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env, fs};

/// How fast an engine is, which decides how many changes are measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Pace {
    /// A change takes microseconds.
    Library,
    /// A change takes milliseconds.
    Script,
    /// Every change runs the whole query again.
    Recompute,
}

enum Program {
    /// This program, as a process that measures.
    Own,
    /// A package in `peers/`, with its own lock file; the engine's name is its first argument.
    Cargo(&'static str),
    /// A script in `peers/node`.
    Node(&'static str),
}

pub(crate) struct Engine {
    pub(crate) name: &'static str,
    pub(crate) pace: Pace,
    program: Program,
    /// How it is used, for the table's notes.
    pub(crate) used: &'static str,
}

/// The first is what the others are compared with.
pub(crate) const ENGINES: &[Engine] = &[
    Engine {
        name: "tailwater",
        pace: Pace::Library,
        program: Program::Own,
        used: "the library, queries as JSON",
    },
    Engine {
        name: "tailwater-workers",
        pace: Pace::Library,
        program: Program::Own,
        used: "the same on two workers, which share nothing between queries",
    },
    Engine {
        name: "tailwater-cli",
        pace: Pace::Library,
        program: Program::Own,
        used: "`tailwater query`: files and pipes, JSON in and out, and the process' start are in its figures",
    },
    Engine {
        name: "differential-interned",
        pace: Pace::Library,
        program: Program::Cargo("differential"),
        used: "a program for just these queries on differential-dataflow, strings interned: the limit, not a peer",
    },
    Engine {
        name: "differential-string",
        pace: Pace::Library,
        program: Program::Cargo("differential"),
        used: "the same program with strings in its rows",
    },
    Engine {
        name: "dbsp",
        pace: Pace::Library,
        program: Program::Cargo("dbsp"),
        used: "circuits written by hand, upserts by `add_input_map`, one worker",
    },
    Engine {
        name: "tanstack-db",
        pace: Pace::Script,
        program: Program::Node("tanstack-db.mjs"),
        used: "live queries over collections with a sync function",
    },
    Engine {
        name: "db-ivm",
        pace: Pace::Script,
        program: Program::Node("db-ivm.mjs"),
        used: "TanStack's operators alone, pipelines written by hand",
    },
    Engine {
        name: "duckdb",
        pace: Pace::Recompute,
        program: Program::Node("duckdb.mjs"),
        used: "in memory, every query run again after each step",
    },
    Engine {
        name: "sqlite",
        pace: Pace::Recompute,
        program: Program::Cargo("sqlite"),
        used: "in memory, with indexes, every query run again after each step",
    },
];

pub(crate) fn engine(name: &str) -> Option<&'static Engine> {
    ENGINES.iter().find(|engine| engine.name == name)
}

/// The folder of the peers.
fn peers() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/compare/peers")
}

impl Engine {
    /// Builds or installs what it needs; an error says what cannot be had.
    pub(crate) fn prepare(&self) -> Result<(), String> {
        match self.program {
            Program::Own => Ok(()),
            Program::Cargo(package) => build(package),
            Program::Node(_) => install_node(),
        }
    }

    /// The command that measures it, without the work's arguments.
    pub(crate) fn command(&self) -> Command {
        match self.program {
            Program::Own => {
                let program = env::current_exe().expect("this program has a path");
                let mut command = Command::new(program);
                command.args(["--program", self.name]);
                command
            }
            Program::Cargo(package) => {
                let mut command = Command::new(binary(package));
                command.arg(self.name);
                command
            }
            Program::Node(script) => {
                let mut command = Command::new("node");
                command.args(["--expose-gc", "--max-old-space-size=8192"]);
                command.arg(peers().join("node").join(script));
                command
            }
        }
    }
}

fn binary(package: &str) -> PathBuf {
    let dir = peers().join(package);
    dir.join(format!(
        "target/release/compare-{package}{}",
        env::consts::EXE_SUFFIX
    ))
}

/// Builds a package of `peers/`; where nothing changed, that takes a moment.
fn build(package: &str) -> Result<(), String> {
    if !binary(package).exists() {
        eprintln!("building peers/{package}, which takes minutes the first time");
    }
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or("cargo".into()));
    cargo.args([
        "build",
        "--release",
        "--locked",
        "--quiet",
        "--manifest-path",
    ]);
    cargo.arg(peers().join(package).join("Cargo.toml"));
    // Variables of the cargo that runs this bench would make the build another one.
    cargo.env_remove("CARGO_TARGET_DIR").env_remove("RUSTFLAGS");
    succeed(cargo, &format!("building peers/{package}"))
}

/// Makes a workload that has a generator of its own in `peers/generate`.
pub(crate) fn generate(workload: &str, dir: &Path, quick: bool) -> Result<(), String> {
    build("generate")?;
    let mut command = Command::new(binary("generate"));
    command.arg(workload).arg(dir);
    command.arg(if quick { "quick" } else { "full" });
    succeed(command, "making the workload")
}

fn install_node() -> Result<(), String> {
    let dir = peers().join("node");
    if dir.join("node_modules/.package-lock.json").exists()
        && newer(
            &dir.join("node_modules/.package-lock.json"),
            &dir.join("package-lock.json"),
        )
    {
        return Ok(());
    }
    eprintln!("installing peers/node");
    let mut npm = Command::new("npm");
    npm.args(["ci", "--silent", "--no-audit", "--no-fund", "--prefix"]);
    npm.arg(&dir);
    succeed(npm, "npm ci in peers/node")
}

fn newer(a: &Path, b: &Path) -> bool {
    let changed = |path: &Path| fs::metadata(path).and_then(|data| data.modified()).ok();
    changed(a) >= changed(b)
}

fn succeed(mut command: Command, what: &str) -> Result<(), String> {
    command.stdin(Stdio::null()).stdout(Stdio::null());
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("{what} failed: {status}")),
        Err(error) => Err(format!("{what} failed: {error}")),
    }
}
