//! A worker that does what the first one says.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use timely::communication::Allocator;
use timely::worker::Worker;

use super::orders::{Order, Text, post};
use super::{Crew, Health, Workers, WorkersError};
use crate::dataflow::local::Local;
use crate::plan::Node;
use crate::schema::Catalog;
use crate::store::Store;

/// Works for the first process of a cluster until that ends. The schema must be the same as there.
///
/// # Errors
///
/// If the processes cannot reach each other, or a worker is lost.
pub fn follow(catalog: &Arc<Catalog>, workers: &Workers) -> Result<(), WorkersError> {
    if workers.is_first() {
        let message = "process 0 has the sources and the results: it follows nobody";
        return Err(WorkersError::Invalid(message.into()));
    }
    let known = catalog.clone();
    let crew = Crew::start(workers, move |allocator, health| {
        run(allocator, &known, health);
    })?;
    crew.join().map_err(WorkersError::Lost)
}

/// Runs a follower on this thread.
pub(super) fn run(allocator: Allocator, catalog: &Arc<Catalog>, health: &Health) {
    let worked = catch_unwind(AssertUnwindSafe(|| work(allocator, catalog, health)));
    if let Err(panic) = worked {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
        health.lose(format!(
            "a worker panicked: {}",
            text.unwrap_or("it did not say why")
        ));
    }
}

fn work(allocator: Allocator, catalog: &Arc<Catalog>, health: &Health) {
    let config = timely::WorkerConfig::default();
    let mut local = Local::new(Worker::new(config, allocator, Some(Instant::now())));
    let (outbox, inbox, probe) = post(&mut local.worker);
    drop(outbox);
    let mut store = Store::new(catalog.clone());
    while !health.is_lost() && !probe.done() {
        local.worker.step_or_park(None);
        loop {
            let next = inbox.borrow_mut().pop_front();
            let Some(order) = next else { break };
            match order {
                Order::Install(plan, now) => drop(local.install(&plan, &mut store, now)),
                Order::Text(text) => read(&text, catalog, &mut local, &mut store),
            }
        }
    }
    if health.is_lost() {
        // What it shares with the connections is broken, and panics when it is dropped.
        return std::mem::forget(local);
    }
    health.ended.store(true, Ordering::Release);
    for dataflow in local.worker.installed_dataflows() {
        local.worker.drop_dataflow(dataflow);
    }
}

fn read(text: &str, catalog: &Catalog, local: &mut Local, store: &mut Store) {
    match serde_json::from_str(text) {
        Ok(Text::Columns(all)) => {
            for named in all {
                let known = catalog.by_name(&named.name);
                let known = known.filter(|known| known.id() == named.collection);
                match known {
                    Some(collection) => collection.adopt(named.columns),
                    None => panic!("`{}` is another collection here", named.name),
                }
            }
        }
        Ok(Text::Install { plan, now }) => match Node::from_text(&plan, catalog) {
            Ok(plan) => drop(local.install(&plan, store, now)),
            Err(error) => panic!("a plan cannot be read here: {error}"),
        },
        Err(error) => panic!("an order cannot be read here: {error}"),
    }
}
