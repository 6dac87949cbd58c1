//! Effects: what a batch changes in a result that nobody keeps.

use std::fmt;
use std::sync::Arc;

use super::change::{ChangeKind, ChangeSet, ResultRow, pair};
use crate::dataflow::Updates;
use crate::plan::Plan;

type OnRow = Box<dyn FnMut(ResultRow<'_>)>;
type OnUpdate = Box<dyn FnMut(ResultRow<'_>, ResultRow<'_>)>;
type OnBatch = Box<dyn FnMut(&ChangeSet)>;

/// What to do when rows enter a query's result, change in it, or leave it.
///
/// It mirrors `createEffect` of TanStack DB. The callbacks of a batch are called when all results
/// are up to date: first the one of the batch, then those of its rows, by key.
///
/// ```
/// use std::{cell::RefCell, rc::Rc};
/// use tailwater::{engine::Engine, query::Query, view::Effect};
///
/// let log = Rc::new(RefCell::new(Vec::new()));
/// let (entered, left) = (log.clone(), log.clone());
/// let mut engine = Engine::new();
/// let open = Query::from_json(
///     r#"{"from":{"type":"collectionRef","collection":"ticket","alias":"t"},
///         "where":[{"type":"func","name":"eq","args":[
///             {"type":"ref","path":["t","state"]},{"type":"val","value":"open"}]}]}"#,
/// )?;
/// let effect = Effect::new()
///     .on_enter(move |row| entered.borrow_mut().push(format!("{} opened", row.key())))
///     .on_exit(move |row| left.borrow_mut().push(format!("{} closed", row.key())));
/// engine.effect(&open, effect)?;
/// for state in ["open", "done"] {
///     let ticket = format!(
///         r#"{{"type":"ticket","key":"7","value":{{"state":"{state}"}},"headers":{{"operation":"upsert"}}}}"#
///     );
///     engine.apply(engine.decode([ticket.as_str()])?);
/// }
/// assert_eq!(*log.borrow(), ["7 opened", "7 closed"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Default)]
pub struct Effect {
    enter: Option<OnRow>,
    update: Option<OnUpdate>,
    exit: Option<OnRow>,
    batch: Option<OnBatch>,
    skip_initial: bool,
}

impl fmt::Debug for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Effect")
            .field("skip_initial", &self.skip_initial)
            .finish_non_exhaustive()
    }
}

impl Effect {
    /// An effect that does nothing.
    pub fn new() -> Effect {
        Effect::default()
    }

    /// What to do with a row that enters the result.
    pub fn on_enter(mut self, f: impl FnMut(ResultRow<'_>) + 'static) -> Effect {
        self.enter = Some(Box::new(f));
        self
    }

    /// What to do with a row that changes: the row as it is, and as it was.
    pub fn on_update(mut self, f: impl FnMut(ResultRow<'_>, ResultRow<'_>) + 'static) -> Effect {
        self.update = Some(Box::new(f));
        self
    }

    /// What to do with a row that leaves the result: the row as it was.
    pub fn on_exit(mut self, f: impl FnMut(ResultRow<'_>) + 'static) -> Effect {
        self.exit = Some(Box::new(f));
        self
    }

    /// What to do with all changes of a batch.
    pub fn on_batch(mut self, f: impl FnMut(&ChangeSet) + 'static) -> Effect {
        self.batch = Some(Box::new(f));
        self
    }

    /// Does not call for the rows that are there when the effect begins.
    pub fn skip_initial(mut self) -> Effect {
        self.skip_initial = true;
        self
    }
}

/// A running effect.
#[derive(Debug)]
pub(crate) struct Watch {
    plan: Arc<Plan>,
    effect: Effect,
}

impl Watch {
    /// An effect, and what it is told first.
    pub(crate) fn new(plan: Arc<Plan>, effect: Effect, initial: &mut Updates) -> Watch {
        let mut watch = Watch { plan, effect };
        let changes = watch.changes(initial);
        if !watch.effect.skip_initial && !changes.is_empty() {
            watch.call(&changes);
        }
        watch
    }

    /// What a batch brought out of the dataflow, as changes of rows. Empties `updates`.
    pub(crate) fn changes(&self, updates: &mut Updates) -> ChangeSet {
        let mut changes = pair(updates);
        changes.retain(|change| match (&change.old, &change.new) {
            (Some(old), Some(new)) => !self.plan.output.same(old, new),
            _ => true,
        });
        ChangeSet::new(self.plan.clone(), false, changes)
    }

    pub(crate) fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    pub(crate) fn call(&mut self, changes: &ChangeSet) {
        let Effect {
            enter,
            update,
            exit,
            batch,
            ..
        } = &mut self.effect;
        if let Some(f) = batch {
            f(changes);
        }
        if enter.is_none() && update.is_none() && exit.is_none() {
            return;
        }
        for change in changes.iter() {
            let (row, previous) = (change.row(), change.previous());
            match (
                change.kind(),
                enter.as_mut(),
                update.as_mut(),
                exit.as_mut(),
            ) {
                (ChangeKind::Insert, Some(f), ..) => row.into_iter().for_each(f),
                (ChangeKind::Update, _, Some(f), _) => {
                    row.into_iter()
                        .zip(previous)
                        .for_each(|(row, old)| f(row, old));
                }
                (ChangeKind::Delete, .., Some(f)) => previous.into_iter().for_each(f),
                _ => {}
            }
        }
    }
}
