//! What the collections and queries take in memory.

use std::fmt;
use std::sync::Arc;

use serde::Serialize;

use super::flows::FlowId;
use super::{Engine, Materialized, QueryId, read};
use crate::dataflow::OperatorFigures;
use crate::plan::Expr;
use crate::schema::CollectionDef;
use crate::store::{CollectionSize, IndexSize};

/// What an engine takes in memory, by collection and by query.
///
/// The figures are counted where the memory is taken: the room of tables and lists as it is, the
/// bytes of rows and keys as they were asked for. A row's bytes count once: in its collection, or in
/// the operator of a query that made it. What recursive queries keep is estimated from the number of
/// their records, ordered maps (`min`, `max`, `countDistinct`, conditions on the clock) from that of
/// their entries. Not counted are the plans and the frame of a query (20 to 40 KiB), and what
/// the allocator needs for itself.
///
/// ```
/// use tailwater::engine::Engine;
/// use tailwater::query::Query;
///
/// let mut engine = Engine::new();
/// let all = engine.install(&Query::from_json(
///     r#"{"from":{"type":"collectionRef","collection":"user","alias":"u"}}"#,
/// )?)?;
/// let ada = r#"{"type":"user","key":"1","value":{"name":"Ada"},"headers":{"operation":"insert"}}"#;
/// engine.apply(engine.decode([ada])?);
///
/// let report = engine.memory();
/// assert_eq!((report.collections[0].name.as_str(), report.collections[0].rows), ("user", 1));
/// let query = report.queries.iter().find(|query| query.id == all).unwrap();
/// assert_eq!(query.rows, 1);
/// assert!(report.total > 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct MemoryReport {
    /// The collections that had rows at some time.
    pub collections: Vec<CollectionMemory>,
    /// The bytes of snapshots (`snapshot-start`) that have not ended, whose rows are not visible.
    pub snapshots: usize,
    /// The queries, effects included. Of queries that have one result all bytes are told with each,
    /// and count once in `total`.
    pub queries: Vec<QueryMemory>,
    /// The operators of parts that several queries have in common.
    pub common: Vec<OperatorMemory>,
    /// The bytes of buffers that are kept to be used again.
    pub buffers: usize,
    /// The sum of all bytes.
    pub total: usize,
}

/// What a collection takes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct CollectionMemory {
    /// Its name.
    pub name: String,
    /// The number of rows.
    pub rows: usize,
    /// The bytes of the rows, of the table that finds them by key, and of pending changes.
    pub bytes: usize,
    /// What joins find its rows by. They are shared by the queries, and go with the last one.
    pub indexes: Vec<IndexMemory>,
}

/// What an index of a collection takes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct IndexMemory {
    /// The expressions that its key is made of.
    pub keys: Vec<String>,
    /// The conditions that its rows meet.
    pub filter: Vec<String>,
    /// The number of rows in it.
    pub rows: usize,
    /// Its bytes, without the rows themselves.
    pub bytes: usize,
}

/// What a query takes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct QueryMemory {
    /// Which query it is.
    pub id: QueryId,
    /// The number of rows in its result; 0 of an effect, which keeps none.
    pub rows: usize,
    /// The bytes of its operators and of its result.
    pub bytes: usize,
    /// The operators, as the plan explains them, in the order of the data; at last the `result`.
    pub operators: Vec<OperatorMemory>,
}

/// What an operator of a query takes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct OperatorMemory {
    /// What it does, as [`Plan::explain`](crate::plan::Plan::explain) says it.
    pub name: String,
    /// The bytes that it holds.
    pub bytes: usize,
}

impl CollectionMemory {
    /// The bytes of the rows and of the indexes.
    pub fn all_bytes(&self) -> usize {
        self.bytes + self.indexes.iter().map(|index| index.bytes).sum::<usize>()
    }

    /// The bytes for each row, those of the indexes included; 0 without rows.
    pub fn bytes_per_row(&self) -> usize {
        self.all_bytes().checked_div(self.rows).unwrap_or(0)
    }
}

/// A number of bytes, for people: `512 MiB`.
///
/// ```
/// use tailwater::engine::Bytes;
/// assert_eq!(Bytes(900).to_string(), "900 bytes");
/// assert_eq!(Bytes(512 << 20).to_string(), "512 MiB");
/// assert_eq!(Bytes(1_600_000_000).to_string(), "1.5 GiB");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bytes(pub usize);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
        let (mut amount, mut unit) = (self.0 as f64, "bytes");
        for larger in UNITS {
            if amount < 1024.0 {
                break;
            }
            (amount, unit) = (amount / 1024.0, larger);
        }
        match (amount * 10.0).round() % 10.0 {
            0.0 => write!(f, "{amount:.0} {unit}"),
            _ => write!(f, "{amount:.1} {unit}"),
        }
    }
}

impl Engine {
    /// What everything takes in memory. It costs what there are collections, indexes, and operators
    /// of queries, however many rows they have.
    pub fn memory(&self) -> MemoryReport {
        let known = self.catalog().collections();
        let collections = self.store.sizes().map(|size| collection(&known, &size));
        let collections: Vec<_> = collections.collect();
        let query = |(id, flow): (&QueryId, &FlowId)| {
            let operators = self.operators_and_result(*flow);
            QueryMemory {
                id: *id,
                rows: self.result_rows(*flow),
                bytes: operators.iter().map(|operator| operator.bytes).sum(),
                operators,
            }
        };
        let queries: Vec<_> = self.queries.iter().map(query).collect();
        let commons = self.flows.commons();
        let common = commons
            .into_iter()
            .flat_map(|flow| self.flows.operators(flow));
        let common: Vec<_> = common.map(OperatorMemory::from).collect();
        let snapshots = self.store.snapshot_bytes();
        let buffers = self.flows.runtime().bytes();
        let of_collections = collections.iter().map(CollectionMemory::all_bytes);
        let of_results = self
            .results
            .keys()
            .flat_map(|flow| self.operators_and_result(*flow));
        let of_operators = of_results.map(|operator| operator.bytes);
        let of_common = common.iter().map(|operator| operator.bytes);
        let parts = of_collections.chain(of_operators).chain(of_common);
        MemoryReport {
            total: parts.sum::<usize>() + snapshots + buffers,
            collections,
            snapshots,
            queries,
            common,
            buffers,
        }
    }

    pub(super) fn result_rows(&self, flow: FlowId) -> usize {
        match self.results.get(&flow) {
            Some(Materialized::View(view, _)) => read(view).len(),
            _ => 0,
        }
    }

    /// What the operators of a flow hold, and its result.
    pub(super) fn operators_and_result(&self, flow: FlowId) -> Vec<OperatorMemory> {
        let result = OperatorMemory {
            name: "result".to_owned(),
            bytes: self.result_bytes(flow),
        };
        let operators = self.flows.operators(flow).into_iter();
        let operators = operators.map(OperatorMemory::from);
        operators.chain([result]).collect()
    }
}

impl From<OperatorFigures> for OperatorMemory {
    fn from(operator: OperatorFigures) -> OperatorMemory {
        OperatorMemory {
            name: operator.name,
            bytes: operator.bytes,
        }
    }
}

fn collection(known: &[Arc<CollectionDef>], size: &CollectionSize<'_>) -> CollectionMemory {
    let name = known.get(size.id).map(|collection| collection.name());
    let texts = |exprs: &[Expr]| exprs.iter().map(ToString::to_string).collect();
    let index = |index: IndexSize<'_>| IndexMemory {
        keys: texts(index.keys),
        filter: texts(index.filter),
        rows: index.rows,
        bytes: index.bytes,
    };
    CollectionMemory {
        name: name.map(ToString::to_string).unwrap_or_default(),
        rows: size.rows,
        bytes: size.bytes,
        indexes: size.indexes().map(index).collect(),
    }
}
