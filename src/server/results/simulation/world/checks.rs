//! What the engines did and what they show, held against a recomputation.

use std::rc::Rc;

use serde_json::Value;

use super::super::model::{ASKED, DUE, Rows, Says, State};
use super::super::upstream::offset;
use super::{Checked, Shown, World};
use crate::db::simulated::{self as engines, Did, Step};

impl World {
    /// Takes note of what the engines did, and looks at what they show.
    pub(super) fn observe(&mut self) -> Checked {
        if self.disk.is_dead() {
            self.say("it is killed while it writes");
            self.kill(false);
            return Ok(());
        }
        let done = engines::take_done();
        let any = !done.is_empty();
        for (engine, did) in done {
            self.note(engine, did)?;
        }
        if any {
            self.check_rows()?;
        }
        Ok(())
    }

    fn note(&mut self, engine: usize, did: Did) -> Checked {
        let known = self.engines.entry(engine).or_default();
        match did {
            Did::Takes {
                cursor,
                position,
                loading,
            } => {
                let number: Option<usize> = cursor.and_then(|cursor| cursor.parse().ok());
                let brought = &self.upstream.borrow().brought;
                let brought = number.and_then(|number| brought.get(number)).cloned();
                known.takes = brought.map(|brought| (position, brought));
                known.loading = loading;
            }
            Did::Turned => known.takes = None,
            // Nobody sees it before all steps are made again.
            Did::Ticked(step) if step.again => {}
            Did::Ticked(step) => {
                let shown = known.last.unwrap_or_default();
                let clock = step.clock;
                self.record(engine, &step, Shown { clock, ..shown })?;
            }
            Did::Stepped(step) => {
                let (mut of, mut finished) = (None, std::mem::take(&mut known.loading));
                if let Some((before, brought)) = &known.takes {
                    let taken =
                        usize::try_from(step.position - before).map_err(|e| e.to_string())?;
                    let upto = brought.upto.get(taken).ok_or_else(|| {
                        format!("it counts {taken} messages of {}", brought.upto.len() - 1)
                    })?;
                    of = Some((brought.stream, *upto));
                } else if let Ok(upto) = step.offset.parse::<usize>() {
                    // From a snapshot.
                    self.tally.snapshots += 1;
                    let stream = self.upstream.borrow().of(step.id.as_deref(), upto);
                    let stream = stream.ok_or("a snapshot is of a stream that never was")?;
                    of = Some((stream, upto));
                }
                // A reset that took effect has taken effect.
                finished |= known
                    .last
                    .is_some_and(|last| last.of == of && last.finished);
                let clock = step.clock;
                let shown = Shown {
                    of,
                    finished,
                    clock,
                };
                self.record(engine, &step, shown)?;
            }
        }
        Ok(())
    }

    fn record(&mut self, engine: usize, step: &Step, shown: Shown) -> Checked {
        self.tally.steps += 1;
        let (incarnation, epoch) = (step.incarnation, step.epoch);
        let place = (incarnation, epoch);
        if let Some(before) = self.history.get(&place).copied()
            && self.state(before).rows != self.state(shown).rows
        {
            return Err(format!(
                "step {epoch} of {incarnation} was {before:?}, and is {shown:?} now"
            ));
        }
        self.words
            .push(format!("  step {epoch} of {incarnation}: {shown:?}"));
        self.history.insert(place, shown);
        self.engines.entry(engine).or_default().last = Some(shown);
        Ok(())
    }

    // What has to be there.

    fn state(&mut self, shown: Shown) -> Rc<State> {
        let Some((stream, upto)) = shown.of else {
            return Rc::default();
        };
        let upstream = &self.upstream;
        let state = self.states.entry((stream, upto, shown.finished));
        let made = || {
            let mut state = upstream.borrow().streams[stream].state(upto);
            if shown.finished {
                state.finish();
            }
            Rc::new(state)
        };
        state.or_insert_with(made).clone()
    }

    /// What a query is to give at a step.
    pub(super) fn due(&mut self, name: &str, incarnation: u64, epoch: u64) -> Rows {
        let places = (incarnation, 0)..=(incarnation, epoch);
        let shown = self.history.range(places).next_back();
        let shown = shown.map(|(_, shown)| *shown).unwrap_or_default();
        let asked = &ASKED[self.queries[name]];
        (asked.gives)(&self.state(shown), shown.clock)
    }

    /// Compares all results that are shown with a recomputation.
    fn check_rows(&mut self) -> Checked {
        let Some(process) = &self.process else {
            return Ok(());
        };
        for entry in process.registry.clone().entries() {
            let Some(log) = entry.log() else {
                continue;
            };
            if let Some(error) = log.failed() {
                return Err(format!("`{}` was stopped: {error}", entry.name));
            }
            let Some(live) = log.live() else {
                continue;
            };
            let epoch = live.epoch();
            if self.seen.insert(log.id, epoch) == Some(epoch) {
                continue;
            }
            let read = live.read();
            let rows: Result<Rows, String> = (read.iter())
                .map(|row| {
                    let value = row.value().map_err(|error| error.to_string())?;
                    let value: Value = serde_json::from_str(&value.to_string())
                        .map_err(|error| error.to_string())?;
                    Ok((row.key(), value))
                })
                .collect();
            let due = self.due(&entry.name, log.db.incarnation(), epoch);
            same(&entry.name, &rows?, &due)?;
        }
        Ok(())
    }

    /// Lets all trouble end: then all has to become as it is to be.
    pub(in super::super) fn settle(&mut self) -> Checked {
        self.say("all trouble ends");
        self.full = false;
        self.disk.set_full(false);
        {
            let mut upstream = self.upstream.borrow_mut();
            upstream.away = false;
            upstream.calm = true;
            if upstream.now.is_none() {
                upstream.make(Vec::new());
            }
            upstream.wake();
        }
        let mut settled = None;
        for _ in 0..800 {
            if !self.is_up() {
                self.start()?;
            }
            self.turn(8)?;
            let mut which = 0;
            while which < engines::count() {
                which = match self.work(which)? {
                    true => 0,
                    false => which + 1,
                };
            }
            settled = self.is_settled()?;
            if settled.is_none() {
                break;
            }
            self.pass_to_next()?;
        }
        self.upstream.borrow_mut().calm = false;
        if let Some(why) = settled {
            return Err(format!("it does not come to rest: {why}"));
        }
        for which in 0..self.readers.len() {
            for _ in 0..200 {
                if !self.read(which)? {
                    break;
                }
            }
            let reader = &self.readers[which];
            let stream = self.upstream.borrow().now.expect("it is there");
            let upto = self.upstream.borrow().streams[stream].log.len();
            for name in reader.names.clone() {
                if name == DUE {
                    continue;
                }
                let asked = &ASKED[self.queries[name]];
                let state = self.state(Shown {
                    of: Some((stream, upto)),
                    finished: true,
                    clock: 0,
                });
                let rows = &self.readers[which].rows[name];
                same(name, rows, &(asked.gives)(&state, 0))
                    .map_err(|error| format!("the reader {which} at the end: {error}"))?;
            }
        }
        Ok(())
    }

    /// Why not all is as it is to be, if it is not.
    fn is_settled(&mut self) -> Result<Option<String>, String> {
        let Some(process) = &self.process else {
            return Ok(Some("there is no server".into()));
        };
        let registry = process.registry.clone();
        let upstream = self.upstream.borrow();
        let stream = upstream.now.expect("it is there");
        let (log, start) = (
            &upstream.streams[stream].log,
            upstream.streams[stream].start,
        );
        let upto = log.len();
        // Those of a snapshot that has not ended are not visible.
        let settled = State::of(log).is_settled();
        let txids: Vec<(usize, String)> = (log.iter().enumerate().skip(start))
            .filter(|(_, m)| settled && matches!(m.says, Says::Put(..) | Says::Delete(..)))
            .filter_map(|(at, message)| Some((at, message.txid.clone()?)))
            .collect();
        drop(upstream);
        for entry in registry.entries() {
            let state = entry.state();
            if state
                .error
                .as_deref()
                .is_some_and(|e| e.contains("panicked"))
            {
                return Err(format!("`{}`: {:?}", entry.name, state.error));
            }
            if !matches!(state.state, "live" | "ended") {
                return Ok(Some(format!("`{}` is {}", entry.name, state.state)));
            }
            let Some(log) = entry.log() else {
                return Ok(Some(format!("`{}` has no log", entry.name)));
            };
            if entry.name.as_ref() == DUE {
                continue;
            }
            let Some(live) = log.live() else {
                return Ok(Some(format!("`{}` is not live", entry.name)));
            };
            let rows: Rows = (live.read().iter())
                .map(|row| {
                    let value = row.value().map(|value| value.to_string());
                    let value = value.unwrap_or_default();
                    (row.key(), serde_json::from_str(&value).unwrap_or_default())
                })
                .collect();
            let shown = Shown {
                of: Some((stream, upto)),
                finished: true,
                clock: 0,
            };
            let due = (ASKED[self.queries[&*entry.name]].gives)(&self.state(shown), 0);
            if rows != due {
                return Ok(Some(format!(
                    "`{}` has {} rows of {}, read to {} of {upto}",
                    entry.name,
                    rows.len(),
                    due.len(),
                    log.db.offset()
                )));
            }
            // Rows may be equal by chance.
            if log.db.offset().to_string() != offset(upto) {
                let read = log.db.offset();
                return Ok(Some(format!(
                    "`{}` was read to {read} of {upto}",
                    entry.name
                )));
            }
            if let Some((at, txid)) = txids.iter().find(|(_, txid)| !log.db.has_seen(txid)) {
                return Ok(Some(format!("{txid} of message {at} was not seen")));
            }
        }
        Ok(None)
    }
}

pub(super) fn same(name: &str, rows: &Rows, due: &Rows) -> Checked {
    match rows == due {
        true => Ok(()),
        false => Err(format!("`{name}` is\n    {rows:?}\n  and not\n    {due:?}")),
    }
}
