//! Tailwater as a library. Decoding messages into rows stands outside of the clock, as interning
//! does for the typed program; keeping the rows by key, the dataflow and the results stand inside.

use tailwater::engine::{Batch, QueryId};
use tailwater::query::Query as Ir;
use tailwater::store::Decoder;

use crate::measure::Engine;
use crate::workload::{Op, Query, json_line, query_json};

pub(crate) struct Tailwater {
    engine: tailwater::engine::Engine,
    decoder: Decoder,
    queries: Vec<(Query, QueryId)>,
}

impl Engine for Tailwater {
    type Batch = Batch;

    fn new(queries: &[Query]) -> Self {
        let mut engine = tailwater::engine::Engine::new();
        let decoder = Decoder::new(engine.catalog().clone());
        let install = |query: &Query| {
            let ir = Ir::from_json(query_json(*query)).expect("the query is right");
            (*query, engine.install(&ir).expect("the query holds"))
        };
        let queries = queries.iter().map(install).collect();
        Tailwater {
            engine,
            decoder,
            queries,
        }
    }

    fn prepare(&mut self, ops: &[Op]) -> Batch {
        let decode = |op| {
            self.decoder
                .decode(&json_line(op))
                .expect("the message is right")
        };
        ops.iter().filter_map(decode).collect()
    }

    fn apply(&mut self, batch: &mut Batch) {
        std::hint::black_box(self.engine.apply(batch.drain(..)));
    }

    fn result(&mut self, query: Query) -> Vec<String> {
        let (_, id) = self
            .queries
            .iter()
            .find(|(q, _)| *q == query)
            .expect("the query is installed");
        let view = self.engine.view(*id).expect("the query is installed");
        let mut lines: Vec<String> = view.rows().map(|row| row.value().to_string()).collect();
        if !view.plan().ordered {
            lines.sort();
        }
        lines
    }
}
