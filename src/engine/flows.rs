//! The running dataflows: who is told of which change, and in which order they work.
//!
//! A flow reads collections and, where several queries have a part in common, the flow that computes
//! this part. A step sends each change to the flows that it may concern, and these work level by
//! level, so that whoever reads another flow comes after it.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::share::{hash_of, inputs_mut, is_sharable, reads, repeated};
use crate::dataflow::workers::Leader;
use crate::dataflow::{Dataflow, Feed, OperatorFigures, Origin, Runtime, Stopped, Updates};
use crate::plan::Node;
use crate::store::{Changes, Router, Store};
use crate::value::share;

/// Names a flow.
pub(super) type FlowId = u64;

/// A feed of a flow.
type Place = (FlowId, usize);

/// A running dataflow.
#[derive(Debug)]
pub(super) struct Flow {
    dataflow: Dataflow,
    /// What it computes.
    plan: Node,
    /// The same, with the parts that other flows compute for it.
    built: Node,
    /// The hashes of what it computes by itself and others might have as well.
    parts: Vec<u64>,
    /// One more than that of any flow it reads.
    level: usize,
    /// Who reads it, if it is a part that queries have in common.
    readers: Vec<Place>,
}

/// All running dataflows.
#[derive(Debug, Default)]
pub(super) struct Flows {
    runtime: Runtime,
    all: BTreeMap<FlowId, Flow>,
    /// Who reads a collection.
    routers: Vec<Router<Place>>,
    /// The flows that compute a part by themselves, by the part's hash.
    parts: HashMap<u64, Vec<FlowId>>,
    /// The flows that are a part that queries have in common, by its hash.
    commons: HashMap<u64, Vec<FlowId>>,
    /// The flows that depend on the clock.
    clocks: BTreeSet<FlowId>,
    next: FlowId,
}

/// What a flow is started on.
pub(super) struct Ground<'a> {
    pub(super) store: &'a mut Store,
    /// The time that `now()` stands for, in milliseconds since 1970.
    pub(super) now: i64,
    /// How many bytes a flow may take.
    pub(super) limit: Option<usize>,
}

/// How many tuples a new dataflow takes at a time: what fits into the processor's cache is done in
/// less time, and needs less room. Few without optimisation, so that tests have such parts.
const PART: usize = if cfg!(debug_assertions) { 3 } else { 8_192 };

/// All tuples of common parts, as far as they were computed while a query is started.
type Known = HashMap<FlowId, Updates>;

/// How the parts of a plan are shared.
struct Sharing<'k> {
    /// The hashes of those that the plan computes by itself and others might have as well.
    parts: Vec<u64>,
    /// Of those that it has more than once.
    repeated: HashSet<u64>,
    known: &'k mut Known,
}

impl Flows {
    pub(super) fn on_workers(leader: Leader) -> Flows {
        Flows {
            runtime: Runtime::on_workers(leader),
            ..Flows::default()
        }
    }

    pub(super) fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    /// Sets how many bytes there may be, and of these are held, in all flows and beside them.
    pub(super) fn set_limit(&mut self, limit: Option<usize>, held: usize) {
        self.runtime.set_limit(limit, held);
    }

    pub(super) fn ids(&self) -> impl Iterator<Item = FlowId> {
        self.all.keys().copied()
    }

    pub(super) fn runs(&self, id: FlowId) -> bool {
        self.all.contains_key(&id)
    }

    /// The flows of parts that queries have in common.
    pub(super) fn commons(&self) -> Vec<FlowId> {
        self.commons.values().flatten().copied().collect()
    }

    /// What each operator of a flow does, holds and did.
    pub(super) fn operators(&self, id: FlowId) -> Vec<OperatorFigures> {
        self.all[&id].dataflow.operators()
    }

    /// What a flow computes, with the parts that other flows compute for it.
    pub(super) fn built(&self, id: FlowId) -> &Node {
        &self.all[&id].built
    }

    /// Lets operators take the time, or not.
    pub(super) fn set_timing(&mut self, on: bool) {
        self.runtime.set_timing(on);
    }

    /// The flows whose output is a result and depends on a flow: this one, or those that read it.
    pub(super) fn results_of(&self, id: FlowId) -> BTreeSet<FlowId> {
        let mut results = BTreeSet::new();
        self.collect_results(id, &mut results);
        results
    }

    fn flow(&mut self, id: FlowId) -> &mut Flow {
        self.all.get_mut(&id).expect("what is read runs")
    }

    pub(super) fn dataflow(&mut self, id: FlowId) -> &mut Dataflow {
        &mut self.flow(id).dataflow
    }

    /// Whether time alone may change something.
    pub(super) fn has_clock(&self) -> bool {
        !self.clocks.is_empty()
    }

    pub(super) fn is_cut(&self, id: FlowId) -> bool {
        self.all[&id].dataflow.is_cut()
    }

    /// How many parts are computed once for several queries.
    pub(super) fn common_count(&self) -> usize {
        self.commons.values().map(Vec::len).sum()
    }

    /// The flows whose results have a part in common, if it is computed once for several.
    pub(super) fn having(&self, part: &Node) -> Option<BTreeSet<FlowId>> {
        let mut there = self.commons.get(&hash_of(part)).into_iter().flatten();
        let id = there.find(|id| self.all[id].plan == *part)?;
        Some(self.results_of(*id))
    }

    fn collect_results(&self, id: FlowId, results: &mut BTreeSet<FlowId>) {
        match &self.all[&id].readers[..] {
            [] => drop(results.insert(id)),
            readers => {
                let readers = readers.iter();
                readers.for_each(|(reader, _)| self.collect_results(*reader, results));
            }
        }
    }

    /// Starts a flow on the rows that are there; its output is all tuples. What it has in common
    /// with other queries is computed once from now on.
    ///
    /// # Errors
    ///
    /// If that takes more memory than there may be.
    pub(super) fn start(
        &mut self,
        plan: &Node,
        ground: &mut Ground<'_>,
    ) -> Result<FlowId, Stopped> {
        let mut known = Known::new();
        let (built, parts) = self.share(plan, false, ground, &mut known);
        let launched = self.launch(&built, ground, &mut known);
        if launched.is_err() {
            self.stop_unread(&built, ground.store);
        }
        Ok(self.add(plan.clone(), built, parts, launched?))
    }

    /// All tuples of a plan as they are now.
    ///
    /// # Errors
    ///
    /// If that takes more memory than there may be.
    pub(super) fn once(
        &mut self,
        plan: &Node,
        ground: &mut Ground<'_>,
    ) -> Result<Updates, Stopped> {
        let dataflow = self.launch(plan, ground, &mut Known::new())?;
        let tuples = std::mem::take(&mut *dataflow.output());
        self.runtime.drop_dataflow(dataflow);
        release(plan, ground.store);
        Ok(tuples)
    }

    /// Builds a dataflow and runs it on what is there.
    fn launch(
        &mut self,
        built: &Node,
        ground: &mut Ground<'_>,
        known: &mut Known,
    ) -> Result<Dataflow, Stopped> {
        for id in reads(built) {
            if let Entry::Vacant(entry) = known.entry(id) {
                let part = self.all[&id].plan.clone();
                entry.insert(self.once(&part, ground)?);
            }
        }
        let mut dataflow = self.runtime.install(built, ground.store, ground.now);
        dataflow.set_limit(ground.limit, 0);
        let in_parts = dataflow.begin_parts();
        for place in 0..dataflow.feeds.len() {
            match dataflow.feeds[place].origin.clone() {
                Origin::Common(id) => {
                    for (tuple, diff) in &known[&id] {
                        dataflow.feeds[place].send(share(tuple), *diff);
                        if in_parts && dataflow.feeds[place].len() >= PART {
                            self.run_part(&mut dataflow);
                        }
                    }
                }
                Origin::Scan(scan) => {
                    for row in ground.store.rows(&scan.collection) {
                        dataflow.feeds[place].offer(&Some(row.clone()), 1);
                        if in_parts && dataflow.feeds[place].len() >= PART {
                            self.run_part(&mut dataflow);
                        }
                    }
                }
            }
        }
        self.runtime.begin(&mut dataflow);
        self.runtime.finish(&mut dataflow);
        dataflow.end_parts();
        if let Some(stopped) = dataflow.stopped() {
            self.runtime.drop_dataflow(dataflow);
            release(built, ground.store);
            return Err(stopped);
        }
        Ok(dataflow)
    }

    fn run_part(&mut self, dataflow: &mut Dataflow) {
        self.runtime.begin(dataflow);
        self.runtime.finish(dataflow);
        dataflow.end_part();
    }

    /// What is to be built for a plan, and the hashes of the parts that it computes by itself: parts
    /// that other queries have, too, come from flows of their own.
    fn share(
        &mut self,
        plan: &Node,
        is_common: bool,
        ground: &mut Ground<'_>,
        known: &mut Known,
    ) -> (Node, Vec<u64>) {
        let mut built = plan.clone();
        let mut sharing = Sharing {
            parts: Vec::new(),
            repeated: repeated(plan),
            known,
        };
        if !self.runtime.is_alone() {
            // What goes from flow to flow would come to the first worker and leave it again.
        } else if is_common {
            for input in inputs_mut(&mut built) {
                self.share_within(input, false, ground, &mut sharing);
            }
        } else {
            self.share_within(&mut built, true, ground, &mut sharing);
        }
        (built, sharing.parts)
    }

    fn share_within(
        &mut self,
        node: &mut Node,
        is_root: bool,
        ground: &mut Ground<'_>,
        sharing: &mut Sharing<'_>,
    ) {
        let holds_window = is_root && node.holds_window();
        if !holds_window && is_sharable(node) {
            let hash = hash_of(node);
            if let Some(id) = self.common(hash, node, ground, sharing) {
                let arity = node.arity();
                *node = Node::Common { id, arity };
                return;
            }
            sharing.parts.push(hash);
        }
        let above_window = holds_window && !node.is_window();
        let mut inputs = inputs_mut(node);
        let last = inputs.pop();
        for input in inputs {
            self.share_within(input, false, ground, sharing);
        }
        if let Some(input) = last {
            self.share_within(input, above_window, ground, sharing);
        }
    }

    /// The flow of a part that several queries have, or one has several times: the one there is, or one
    /// that is made because another flow computes the same, or this plan would do so twice.
    fn common(
        &mut self,
        hash: u64,
        part: &Node,
        ground: &mut Ground<'_>,
        sharing: &mut Sharing<'_>,
    ) -> Option<FlowId> {
        let mut there = self.commons.get(&hash).into_iter().flatten();
        if let Some(id) = there.find(|id| self.all[id].plan == *part) {
            return Some(*id);
        }
        let mut others = self.parts.get(&hash).into_iter().flatten();
        let has_part = |id: &&FlowId| self.all[id].plan.any(&mut |node| node == part);
        let other = others.find(has_part).copied();
        if other.is_none() && !sharing.repeated.contains(&hash) {
            return None;
        }
        if let Some(other) = other {
            // What is within the part is the part's from now on.
            self.forget_parts(other);
        }
        let known = &mut *sharing.known;
        let (built, parts) = self.share(part, true, ground, known);
        let Ok(dataflow) = self.launch(&built, ground, known) else {
            // There is no room for it, and so there is none for what would read it.
            self.stop_unread(&built, ground.store);
            if let Some(other) = other {
                self.rebuild(other, ground, known);
            }
            return None;
        };
        let tuples = std::mem::take(&mut *dataflow.output());
        let id = self.add(part.clone(), built, parts, dataflow);
        known.insert(id, tuples);
        self.commons.entry(hash).or_default().push(id);
        if let Some(other) = other {
            self.rebuild(other, ground, known);
        }
        Some(id)
    }

    /// Builds a flow anew, as others compute more of its plan for it than before.
    fn rebuild(&mut self, id: FlowId, ground: &mut Ground<'_>, known: &mut Known) {
        let plan = self.all[&id].plan.clone();
        let is_common = self.is_common(id);
        let (built, parts) = self.share(&plan, is_common, ground, known);
        let Ok(dataflow) = self.launch(&built, ground, known) else {
            // There is no room for both, so the old one stays.
            self.stop_unread(&built, ground.store);
            return;
        };
        // Whoever reads it has all of this.
        dataflow.output().clear();
        self.disconnect(id);
        let flow = self.flow(id);
        let old = std::mem::replace(&mut flow.dataflow, dataflow);
        let old_built = std::mem::replace(&mut flow.built, built);
        flow.parts = parts;
        self.connect(id);
        self.drop_dataflow(old, &old_built, ground.store);
    }

    fn is_common(&self, id: FlowId) -> bool {
        let same = self.commons.get(&hash_of(&self.all[&id].plan));
        same.is_some_and(|same| same.contains(&id))
    }

    fn add(&mut self, plan: Node, built: Node, parts: Vec<u64>, dataflow: Dataflow) -> FlowId {
        let id = self.next;
        self.next += 1;
        let flow = Flow {
            dataflow,
            plan,
            built,
            parts,
            level: 0,
            readers: Vec::new(),
        };
        self.all.insert(id, flow);
        self.connect(id);
        id
    }

    /// Lets a flow be told of changes, and its parts be found.
    fn connect(&mut self, id: FlowId) {
        let flow = &self.all[&id];
        let (mut level, mut commons) = (flow.level, Vec::new());
        for (place, feed) in flow.dataflow.feeds.iter().enumerate() {
            match &feed.origin {
                Origin::Scan(scan) => {
                    let collection = scan.collection.id();
                    if self.routers.len() <= collection {
                        self.routers.resize_with(collection + 1, Router::default);
                    }
                    self.routers[collection].insert(&scan.filter, (id, place));
                }
                Origin::Common(common) => {
                    level = level.max(self.all[common].level + 1);
                    commons.push((*common, place));
                }
            }
        }
        for part in &flow.parts {
            self.parts.entry(*part).or_default().push(id);
        }
        if flow.dataflow.has_clock() {
            self.clocks.insert(id);
        }
        for (common, place) in commons {
            self.flow(common).readers.push((id, place));
        }
        self.lift(id, level);
    }

    /// Sets the level of a flow, and lets those that read it be above.
    fn lift(&mut self, id: FlowId, level: usize) {
        let flow = self.flow(id);
        flow.level = level;
        for (reader, _) in flow.readers.clone() {
            if self.all[&reader].level <= level {
                self.lift(reader, level + 1);
            }
        }
    }

    /// Undoes [`Flows::connect`].
    fn disconnect(&mut self, id: FlowId) {
        self.forget_parts(id);
        self.clocks.remove(&id);
        let mut commons = Vec::new();
        for (place, feed) in self.all[&id].dataflow.feeds.iter().enumerate() {
            match &feed.origin {
                Origin::Scan(scan) => {
                    self.routers[scan.collection.id()].remove(&scan.filter, (id, place));
                }
                Origin::Common(common) => commons.push(*common),
            }
        }
        for common in commons {
            let readers = &mut self.flow(common).readers;
            readers.retain(|(reader, _)| *reader != id);
        }
    }

    fn forget_parts(&mut self, id: FlowId) {
        for part in std::mem::take(&mut self.flow(id).parts) {
            if let Some(flows) = self.parts.get_mut(&part) {
                flows.retain(|other| *other != id);
                if flows.is_empty() {
                    self.parts.remove(&part);
                }
            }
        }
    }

    /// Stops a flow that nobody reads, and with it what it alone has read.
    pub(super) fn stop(&mut self, id: FlowId, store: &mut Store) {
        self.disconnect(id);
        let Some(flow) = self.all.remove(&id) else {
            return;
        };
        debug_assert!(flow.readers.is_empty(), "what is read goes on");
        let hash = hash_of(&flow.plan);
        if let Some(same) = self.commons.get_mut(&hash) {
            same.retain(|other| *other != id);
            if same.is_empty() {
                self.commons.remove(&hash);
            }
        }
        self.drop_dataflow(flow.dataflow, &flow.built, store);
    }

    /// Frees a dataflow that was disconnected, and what it alone has read.
    fn drop_dataflow(&mut self, dataflow: Dataflow, built: &Node, store: &mut Store) {
        self.runtime.drop_dataflow(dataflow);
        release(built, store);
        self.stop_unread(built, store);
    }

    /// Stops the parts that a plan has read and nobody reads any more.
    fn stop_unread(&mut self, built: &Node, store: &mut Store) {
        for common in reads(built) {
            if self
                .all
                .get(&common)
                .is_some_and(|flow| flow.readers.is_empty())
            {
                self.stop(common, store);
            }
        }
    }

    /// Tells the flows of changes, lets them work, and says which ones did whose output is a result.
    pub(super) fn step(&mut self, changes: BTreeMap<usize, Changes>) -> Vec<FlowId> {
        let mut touched = Vec::new();
        for (collection, changes) in changes {
            self.route(collection, changes, &mut touched);
        }
        touched.sort_unstable();
        touched.dedup();
        if self.commons.is_empty() {
            self.tick(&touched);
            return touched;
        }
        self.climb(touched)
    }

    /// Sends what changed in a collection to all that it concerns.
    fn route(&mut self, collection: usize, changes: Changes, touched: &mut Vec<FlowId>) {
        let Some(router) = self.routers.get(collection) else {
            return;
        };
        fn feed(flows: &mut BTreeMap<FlowId, Flow>, (id, place): Place) -> &mut Feed {
            let flow = flows.get_mut(&id).expect("readers run");
            &mut flow.dataflow.feeds[place]
        }
        let rows = || {
            let both = changes.iter().flat_map(|(old, new)| [(old, -1), (new, 1)]);
            both.filter(|(row, _)| row.is_some())
        };
        if router.is_indexed() {
            let mut scratch = Vec::new();
            for (row, diff) in rows() {
                router.of(row, &mut scratch, |place| {
                    if feed(&mut self.all, place).offer(row, diff)
                        && touched.last() != Some(&place.0)
                    {
                        touched.push(place.0);
                    }
                });
            }
        }
        let Some((last, others)) = router.rest().split_last() else {
            return;
        };
        let count = 2 * changes.len();
        for place in others {
            let feed = feed(&mut self.all, *place);
            self.runtime.make_room(feed, count);
            let sent = rows().filter(|(row, diff)| feed.offer(row, *diff)).count();
            if sent > 0 {
                touched.push(place.0);
            }
        }
        let feed = feed(&mut self.all, *last);
        self.runtime.make_room(feed, count);
        let mut sent = false;
        for (old, new) in changes {
            for (row, diff) in [(old, -1), (new, 1)] {
                sent |= row.is_some_and(|row| feed.give(row, diff));
            }
        }
        if sent {
            touched.push(last.0);
        }
    }

    /// One tick of flows that do not read each other.
    fn tick(&mut self, flows: &[FlowId]) {
        for id in flows {
            let flow = self.all.get_mut(id).expect("what is told runs");
            self.runtime.begin(&mut flow.dataflow);
        }
        for id in flows {
            let flow = self.all.get_mut(id).expect("what is told runs");
            self.runtime.finish(&mut flow.dataflow);
        }
    }

    /// One tick of flows and of those that read them, level by level.
    fn climb(&mut self, touched: Vec<FlowId>) -> Vec<FlowId> {
        let mut levels: BTreeMap<usize, BTreeSet<FlowId>> = BTreeMap::new();
        for id in touched {
            levels.entry(self.all[&id].level).or_default().insert(id);
        }
        let mut results = Vec::new();
        while let Some((_, flows)) = levels.pop_first() {
            let flows: Vec<FlowId> = flows.into_iter().collect();
            self.tick(&flows);
            for id in flows {
                let flow = self.flow(id);
                if flow.readers.is_empty() {
                    results.push(id);
                    continue;
                }
                let mut tuples = std::mem::take(&mut *flow.dataflow.output());
                let readers = flow.readers.clone();
                for (reader, place) in readers.iter().filter(|_| !tuples.is_empty()) {
                    let reading = self.flow(*reader);
                    let feed = &mut reading.dataflow.feeds[*place];
                    for (tuple, diff) in &tuples {
                        feed.send(share(tuple), *diff);
                    }
                    levels.entry(reading.level).or_default().insert(*reader);
                }
                tuples.clear();
                let dataflow = self.dataflow(id);
                *dataflow.output() = tuples;
                dataflow.shrink();
            }
        }
        results
    }

    /// Moves the clock, and says whose results that may change.
    pub(super) fn set_clock(&mut self, now: i64) -> Vec<FlowId> {
        let mut touched = Vec::new();
        for id in &self.clocks {
            let flow = self.all.get_mut(id).expect("it runs");
            if self.runtime.set_clock(&mut flow.dataflow, now) {
                touched.push(*id);
            }
        }
        touched
    }

    /// Moves the window of a result; false if it has none.
    pub(super) fn set_window(&mut self, id: FlowId, offset: usize, limit: Option<usize>) -> bool {
        let flow = self.all.get_mut(&id).expect("it runs");
        let dataflow = &mut flow.dataflow;
        let moved = self.runtime.set_window(dataflow, offset, limit);
        if moved {
            flow.plan.move_window(offset, limit);
            flow.built.move_window(offset, limit);
        }
        moved
    }
}

/// Forgets the arrangements that a plan has used and nobody uses any more.
fn release(built: &Node, store: &mut Store) {
    built.any(&mut |node| {
        if let Node::Join(join) = node {
            for side in [&join.left, &join.right] {
                if let Node::Scan(scan) = side {
                    store.release(&scan.collection);
                }
            }
        }
        false
    });
}
