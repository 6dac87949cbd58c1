//! Tailwater as a library. Decoding messages into rows stands outside of the clock, as interning
//! does for the typed program; keeping the rows by key, the dataflow and the results stand inside.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tailwater::engine::{self, Batch, QueryId, Workers};
use tailwater::query::Query;
use tailwater::schema::Catalog;
use tailwater::store::Decoder;

use crate::program::Engine;

pub(crate) struct Tailwater<const WORKERS: usize = 1> {
    dir: PathBuf,
    engine: engine::Engine,
    decoder: Decoder,
    queries: Vec<(String, QueryId)>,
}

impl<const WORKERS: usize> Engine for Tailwater<WORKERS> {
    type Batch = Batch;

    fn new(workload: &Path) -> Self {
        let (catalog, workers) = (Arc::new(Catalog::open()), Workers::threads(WORKERS));
        let engine = engine::Engine::with_workers(catalog, &workers).expect("threads start");
        let decoder = Decoder::new(engine.catalog().clone());
        Tailwater {
            dir: workload.to_owned(),
            engine,
            decoder,
            queries: Vec::new(),
        }
    }

    fn install(&mut self, queries: &[String]) {
        for name in queries {
            let file = self.dir.join(format!("queries/{name}.json"));
            let text = fs::read_to_string(&file).expect("the query's file is there");
            let query = Query::from_json(&text).expect("the query is right");
            let id = self.engine.install(&query).expect("the query holds");
            self.queries.push((name.clone(), id));
        }
    }

    fn prepare(&mut self, messages: &[&str]) -> Batch {
        let decode = |text: &&str| self.decoder.decode(text).expect("the message is right");
        messages.iter().filter_map(decode).collect()
    }

    fn apply(&mut self, batch: &mut Batch) {
        std::hint::black_box(self.engine.apply(batch.drain(..)));
    }

    fn rows(&mut self, query: &str) -> Vec<String> {
        let (_, id) = self
            .queries
            .iter()
            .find(|(name, _)| name == query)
            .expect("the query is installed");
        let view = self.engine.view(*id).expect("the query is installed");
        view.rows().map(|row| row.value().to_string()).collect()
    }
}
