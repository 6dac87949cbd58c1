//! The command line.

use crate::engines::{ENGINES, engine};
use crate::many::SCENARIOS;
use crate::workloads::{WORKLOADS, Workload, workload};

pub(crate) const HELP: &str = "\
Tailwater and its peers on the same work, side by side.

cargo bench --bench compare -- [OPTIONS]
  --workload NAME   events (the default), tpch, nexmark, headline, many; README.md tells what each is
  --engines A,B     tailwater, tailwater-workers, tailwater-cli, differential-interned,
                    differential-string, dbsp, tanstack-db, db-ivm, duckdb, sqlite (all that
                    the workload has)
  --queries A,B     query sets: Q1, Q2 and so on, and all, which is all of them at once (every set)
  --runs N          runs of each engine and query set, half as many of the slow ones; medians are given (3)
  --quick           a tenth of the work and, unless --engines and --runs say otherwise, Tailwater alone, once
  --markdown FILE   also write the table to a file
  --json FILE       write the figures: an object a line, with engine, query, phase, value, unit
  --svg FILE        write a picture of the largest query set

What a peer needs is built or installed the first time: cargo for those in Rust, node 20 and npm for
the others. An engine that cannot be had is left out, and said so. Progress goes to stderr, the table
to stdout; the exit status is 1 if an engine gave a wrong result.";

pub(crate) struct Options {
    pub(crate) workload: String,
    pub(crate) engines: Vec<String>,
    pub(crate) queries: Vec<String>,
    pub(crate) runs: usize,
    pub(crate) quick: bool,
    pub(crate) markdown: Option<String>,
    pub(crate) json: Option<String>,
    pub(crate) svg: Option<String>,
}

impl Options {
    /// `None` asks for help.
    pub(crate) fn parse(args: impl Iterator<Item = String>) -> Result<Option<Options>, String> {
        let mut args = args;
        let mut options = Options {
            workload: "events".into(),
            engines: Vec::new(),
            queries: Vec::new(),
            runs: 0,
            quick: false,
            markdown: None,
            json: None,
            svg: None,
        };
        while let Some(arg) = args.next() {
            let mut value = || args.next().ok_or_else(|| format!("{arg} needs a value"));
            let list = |text: String| text.split(',').map(str::to_owned).collect();
            match arg.as_str() {
                "--bench" => {} // cargo adds it
                "--help" | "-h" => return Ok(None),
                "--quick" => options.quick = true,
                "--workload" => options.workload = value()?,
                "--engines" => options.engines = list(value()?),
                "--queries" => options.queries = list(value()?),
                "--runs" => {
                    let runs = value()?;
                    options.runs = runs
                        .parse()
                        .map_err(|_| format!("--runs {runs}: no number"))?;
                }
                "--markdown" => options.markdown = Some(value()?),
                "--json" => options.json = Some(value()?),
                "--svg" => options.svg = Some(value()?),
                _ => return Err(format!("unknown option {arg}\n\n{HELP}")),
            }
        }
        options.complete()?;
        Ok(Some(options))
    }

    /// Checks the names, and fills in what was not said.
    fn complete(&mut self) -> Result<(), String> {
        let many = self.workload == "many";
        let workload = workload(&self.workload);
        if workload.is_none() && !many {
            let known: Vec<&str> = WORKLOADS.iter().map(|workload| workload.name).collect();
            return Err(format!(
                "unknown workload {}; known are {} many",
                self.workload,
                known.join(" ")
            ));
        }
        if let Some(name) = self.engines.iter().find(|name| engine(name).is_none()) {
            let known: Vec<&str> = ENGINES.iter().map(|engine| engine.name).collect();
            return Err(format!(
                "unknown engine {name}; known are {}",
                known.join(" ")
            ));
        }
        let sets = workload.map_or_else(|| SCENARIOS.to_vec(), Workload::sets);
        if let Some(name) = self
            .queries
            .iter()
            .find(|name| !sets.contains(&name.as_str()))
        {
            return Err(format!(
                "unknown query set {name}; known are {}",
                sets.join(" ")
            ));
        }
        if self.engines.is_empty() {
            let all = workload.map_or(&[][..], |workload| workload.engines);
            let all = all.iter().map(|(name, _)| (*name).to_owned());
            self.engines = all.take(if self.quick { 1 } else { usize::MAX }).collect();
        }
        if self.queries.is_empty() {
            self.queries = sets.iter().map(|set| (*set).to_owned()).collect();
        }
        if self.runs == 0 {
            self.runs = if self.quick { 1 } else { 3 };
        }
        Ok(())
    }
}
