//! What all workloads share: a circuit, and one transaction a batch.

use std::path::Path;

use dbsp::{DBSPHandle, RootCircuit, Runtime};

use crate::live::Subscriber;
use crate::program::Engine;
use crate::shared::Message;

/// The inputs of a workload, and its queries.
pub(crate) trait World: Sized + Send + 'static {
    type Change;

    fn decode(message: &Message<'_>) -> Self::Change;
    fn build(circuit: &RootCircuit, queries: &[String]) -> (Self, Subscribers);
    fn push(&self, change: Self::Change);
}

/// The subscribers by their queries' names.
pub(crate) type Subscribers = Vec<(String, Subscriber)>;

pub(crate) struct Dbsp<W: World> {
    running: Option<Running<W>>,
    /// What came before there was a circuit: a circuit does not change once it is made.
    early: Vec<W::Change>,
}

struct Running<W> {
    circuit: DBSPHandle,
    world: W,
    live: Subscribers,
}

impl<W: World> Running<W> {
    fn step(&mut self, batch: &mut Vec<W::Change>) {
        batch.drain(..).for_each(|change| self.world.push(change));
        self.circuit.transaction().expect("the circuit runs");
        for (_, live) in &mut self.live {
            live.settle();
        }
    }
}

impl<W: World> Engine for Dbsp<W> {
    type Batch = Vec<W::Change>;

    fn new(_: &Path) -> Self {
        Dbsp {
            running: None,
            early: Vec::new(),
        }
    }

    fn install(&mut self, queries: &[String]) {
        let queries = queries.to_vec();
        let built = Runtime::init_circuit(1, move |circuit| Ok(W::build(circuit, &queries)));
        let (circuit, (world, live)) = built.expect("the circuit holds");
        let mut running = Running {
            circuit,
            world,
            live,
        };
        running.step(&mut self.early);
        self.running = Some(running);
    }

    fn prepare(&mut self, messages: &[&str]) -> Self::Batch {
        let decode = |text: &&str| W::decode(&Message::parse(text));
        messages.iter().map(decode).collect()
    }

    fn apply(&mut self, batch: &mut Self::Batch) {
        match &mut self.running {
            Some(running) => running.step(batch),
            None => self.early.append(batch),
        }
    }

    fn rows(&mut self, query: &str) -> Vec<String> {
        let live = self.running.as_ref().and_then(|running| {
            let mut live = running.live.iter();
            live.find(|(name, _)| name == query)
        });
        live.map(|(_, live)| live.lines()).unwrap_or_default()
    }
}
