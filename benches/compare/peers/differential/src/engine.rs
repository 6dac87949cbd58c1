//! What all workloads share: a worker that is stepped on this thread, and one tick a batch.

use std::path::Path;

use timely::WorkerConfig;
use timely::communication::{Allocator, allocator::Thread};
use timely::dataflow::Scope;
use timely::worker::Worker;

use crate::live::Live;
use crate::operators::T;
use crate::program::Engine;
use crate::shared::Message;

/// The collections of a workload, and its queries.
pub(crate) trait World: Default {
    type Change;

    fn decode(&mut self, message: &Message<'_>) -> Self::Change;
    fn apply(&mut self, change: Self::Change);
    fn advance(&mut self, to: T);
    fn build(&mut self, scope: Scope<'_, T>, queries: &[String]) -> Vec<(String, Box<dyn Live>)>;
}

pub(crate) struct Typed<W> {
    worker: Worker,
    now: T,
    world: W,
    live: Vec<(String, Box<dyn Live>)>,
}

impl<W: World> Typed<W> {
    /// One tick: every subscriber's result is up to date when it returns.
    fn tick(&mut self) {
        self.now += 1;
        self.world.advance(self.now);
        while self.live.iter().any(|(_, live)| live.reached() < self.now) {
            self.worker.step();
        }
        for (_, live) in &mut self.live {
            live.settle();
        }
    }
}

impl<W: World> Engine for Typed<W> {
    type Batch = Vec<W::Change>;

    fn new(_: &Path) -> Self {
        let allocator = Allocator::Thread(Thread::default());
        Typed {
            worker: Worker::new(WorkerConfig::default(), allocator, None),
            now: 0,
            world: W::default(),
            live: Vec::new(),
        }
    }

    fn install(&mut self, queries: &[String]) {
        let world = &mut self.world;
        self.live = self.worker.dataflow(|scope| world.build(scope, queries));
        self.tick();
    }

    fn prepare(&mut self, messages: &[&str]) -> Self::Batch {
        let decode = |text: &&str| self.world.decode(&Message::parse(text));
        messages.iter().map(decode).collect()
    }

    fn apply(&mut self, batch: &mut Self::Batch) {
        batch.drain(..).for_each(|change| self.world.apply(change));
        self.tick();
    }

    fn rows(&mut self, query: &str) -> Vec<String> {
        let live = self.live.iter().find(|(name, _)| name == query);
        live.map(|(_, live)| live.lines()).unwrap_or_default()
    }
}
