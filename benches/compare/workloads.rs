//! The workloads: their queries, who can answer them, how much of each is measured.

use std::fs;
use std::path::Path;

use crate::engines::{self, Pace};
use crate::{events, headline};

pub(crate) struct Query {
    pub(crate) name: &'static str,
    /// Whether the order of the rows is part of the result.
    pub(crate) ordered: bool,
    /// As JSON, in TanStack DB's query IR.
    json: &'static str,
    /// For the engines that recompute; empty where there is none.
    sql: &'static str,
}

/// Which queries of a workload an engine answers.
#[derive(Clone, Copy)]
pub(crate) enum Covers {
    /// Each, and all at once.
    All,
    /// Each, but only one at a time.
    Each,
    /// Only these, one at a time.
    Only(&'static [&'static str]),
}

pub(crate) struct Workload {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    pub(crate) queries: &'static [Query],
    pub(crate) engines: &'static [(&'static str, Covers)],
    /// What an SQL engine is told first: tables whose first column is the key, and indexes.
    schema: &'static str,
    index: &'static str,
    /// Single changes and changes in batches, for each pace, in full and quick.
    full: [(usize, usize); 3],
    quick: [(usize, usize); 3],
}

macro_rules! query {
    ($workload:literal, $name:literal, $ordered:expr) => {
        Query {
            name: $name,
            ordered: $ordered,
            json: include_str!(concat!("queries/", $workload, "/", $name, ".json")),
            sql: include_str!(concat!("queries/", $workload, "/", $name, ".sql")),
        }
    };
}

macro_rules! files {
    ($workload:literal, $name:literal) => {
        include_str!(concat!("queries/", $workload, "/", $name))
    };
}

use Covers::{All, Each, Only};

const EVENTS: Workload = Workload {
    name: "events",
    about: "10,000 users and 200,000 events, then 40 % inserts, 45 % updates and 10 % deletes of events, \
            and 5 % updates of users",
    queries: &[
        query!("events", "Q1", false),
        query!("events", "Q2", true),
        query!("events", "Q3", false),
        query!("events", "Q4", true),
        query!("events", "Q5", false),
    ],
    engines: &[
        ("tailwater", All),
        ("tailwater-workers", All),
        ("tailwater-cli", Each),
        ("differential-interned", All),
        ("differential-string", All),
        ("dbsp", All),
        ("tanstack-db", All),
        ("db-ivm", All),
        ("duckdb", All),
        ("sqlite", All),
    ],
    schema: files!("events", "schema.sql"),
    index: files!("events", "index.sql"),
    full: [(20_000, 80_000), (1_000, 3_000), (20, 2_000)],
    quick: [(2_000, 8_000), (200, 2_000), (20, 2_000)],
};

const TPCH: Workload = Workload {
    name: "tpch",
    about: "TPC-H at scale factor 0.05; a change is a new order with its lines, or one that goes, in turn",
    queries: &[
        query!("tpch", "Q1", true),
        query!("tpch", "Q3", true),
        query!("tpch", "Q5", true),
        query!("tpch", "Q6", false),
        query!("tpch", "Q10", true),
    ],
    engines: &[
        ("tailwater", All),
        ("tailwater-cli", Each),
        ("differential-interned", All),
        ("dbsp", All),
        ("duckdb", All),
        ("sqlite", All),
    ],
    schema: files!("tpch", "schema.sql"),
    index: files!("tpch", "index.sql"),
    full: [(5_000, 10_000), (500, 1_000), (40, 1_000)],
    quick: [(500, 1_000), (50, 100), (20, 100)],
};

const NEXMARK: Workload = Workload {
    name: "nexmark",
    about: "300,000 events of NEXMark (persons, auctions and 92 % bids), then more of them; nothing is updated or deleted",
    queries: &[
        query!("nexmark", "q0", false),
        query!("nexmark", "q1", false),
        query!("nexmark", "q2", false),
        query!("nexmark", "q3", false),
        query!("nexmark", "q4", false),
        query!("nexmark", "q5", false),
        query!("nexmark", "q7", false),
        query!("nexmark", "q8", false),
        query!("nexmark", "q9", false),
        query!("nexmark", "q12", false),
        query!("nexmark", "q13", false),
        query!("nexmark", "q14", false),
        query!("nexmark", "q15", false),
        query!("nexmark", "q16", false),
        query!("nexmark", "q17", false),
        query!("nexmark", "q18", false),
    ],
    engines: &[
        ("tailwater", All),
        ("tailwater-cli", Each),
        ("dbsp", All),
        ("tanstack-db", Only(&["q0", "q1", "q3", "q4"])),
        ("duckdb", All),
        ("sqlite", All),
    ],
    schema: files!("nexmark", "schema.sql"),
    index: files!("nexmark", "index.sql"),
    full: [(20_000, 80_000), (1_000, 3_000), (10, 1_000)],
    quick: [(2_000, 8_000), (200, 2_000), (10, 2_000)],
};

const HEADLINE: Workload = Workload {
    name: "headline",
    about: "a live query of 100,000 rows in order, of which one is updated at a time",
    queries: &[query!("headline", "Q1", true)],
    engines: &[("tailwater", All), ("tanstack-db", All)],
    schema: files!("headline", "schema.sql"),
    index: files!("headline", "index.sql"),
    full: [(2_000, 0), (2_000, 0), (40, 0)],
    quick: [(200, 0), (200, 0), (20, 0)],
};

pub(crate) const WORKLOADS: &[Workload] = &[EVENTS, TPCH, NEXMARK, HEADLINE];

pub(crate) fn workload(name: &str) -> Option<&'static Workload> {
    WORKLOADS.iter().find(|workload| workload.name == name)
}

impl Workload {
    pub(crate) fn covers(&self, engine: &str) -> Option<Covers> {
        let found = self.engines.iter().find(|(name, _)| *name == engine);
        found.map(|(_, covers)| *covers)
    }

    pub(crate) fn query(&self, name: &str) -> Option<&Query> {
        self.queries.iter().find(|query| query.name == name)
    }

    /// The queries of a set: one, or `all`.
    pub(crate) fn set(&self, name: &str) -> Option<Vec<&'static str>> {
        if name == "all" {
            return Some(self.queries.iter().map(|query| query.name).collect());
        }
        self.query(name).map(|query| vec![query.name])
    }

    /// The names of all sets.
    pub(crate) fn sets(&self) -> Vec<&'static str> {
        let mut sets: Vec<&str> = self.queries.iter().map(|query| query.name).collect();
        if sets.len() > 1 {
            sets.push("all");
        }
        sets
    }

    /// How many changes are measured one by one, and how many in batches.
    pub(crate) fn changes(&self, pace: Pace, quick: bool) -> (usize, usize) {
        (if quick { self.quick } else { self.full })[pace as usize]
    }

    /// Writes the work into a folder, unless it is there: `load.jsonl` and `changes.jsonl`, State
    /// Protocol messages; `queries/NAME.json` and `.sql`; `queries/schema.sql` and
    /// `index.sql`.
    pub(crate) fn write(&self, dir: &Path, quick: bool) -> Result<(), String> {
        let failed = |error: std::io::Error| format!("{}: {error}", dir.display());
        let queries = dir.join("queries");
        fs::create_dir_all(&queries).map_err(failed)?;
        for query in self.queries {
            let file = queries.join(query.name);
            fs::write(file.with_extension("json"), query.json).map_err(failed)?;
            fs::write(file.with_extension("sql"), query.sql).map_err(failed)?;
        }
        fs::write(queries.join("schema.sql"), self.schema).map_err(failed)?;
        fs::write(queries.join("index.sql"), self.index).map_err(failed)?;
        let done = dir.join("done");
        if !done.exists() {
            eprintln!("making the workload {} in {}", self.name, dir.display());
            match self.name {
                "events" => events::write(dir, quick).map_err(failed)?,
                "headline" => headline::write(dir, quick).map_err(failed)?,
                name => engines::generate(name, dir, quick)?,
            }
            fs::write(done, "").map_err(failed)?;
        }
        Ok(())
    }
}

impl Covers {
    pub(crate) fn set(self, name: &str) -> bool {
        match self {
            All => true,
            Each => name != "all",
            Covers::Only(names) => names.contains(&name),
        }
    }
}
