//! The random conditions that ask for the time.

use super::expressions::{func, val};
use super::generate::Ty;
use super::queries::{Atom, Maker};
use serde_json::{Value, json};

impl Maker<'_> {
    /// A comparison of a time in the row with the clock's, if there is one.
    pub(crate) fn time_condition(&mut self, atoms: &[Atom]) -> Option<Value> {
        let at = self.atom(atoms, Ty::Time)?;
        let now = || func("now", vec![]);
        let span = val(json!(self.pick(&[0, 1, 250, 500, 1000, 1500, 2000, -500])));
        let name = self.pick(&["gt", "gte", "lt", "lte", "gt", "gte", "lt", "lte", "eq"]);
        let mut sides = match self.rng.u32(..10) {
            0 | 1 => vec![at, now()],
            2 | 3 => vec![at, func("subtract", vec![now(), span])],
            4 => vec![at, func("add", vec![now(), span])],
            5 => {
                let seconds = func("floor", vec![func("divide", vec![now(), val(json!(1000))])]);
                vec![at, func("multiply", vec![seconds, val(json!(1000))])]
            }
            6 => vec![func("add", vec![at, span]), now()],
            // The clock beside something of the row.
            7 | 8 => vec![func("subtract", vec![now(), at]), span],
            _ => {
                let number = self.column(atoms, Ty::Num);
                let number = match self.atom(atoms, Ty::Num) {
                    Some(_) => func("multiply", vec![number, val(json!(500))]),
                    None => at,
                };
                let limit = val(json!(self.pick(&[1500, 2000, 2500, 3000, 4000])));
                let name = self.pick(&["add", "subtract"]);
                vec![func(name, vec![now(), number]), limit]
            }
        };
        if self.chance(30) {
            sides.reverse();
        }
        let compared = func(name, sides);
        Some(match self.rng.u32(..10) {
            0 => func("not", vec![compared]),
            1 => func("or", vec![compared, self.condition(atoms, 0)]),
            2 => func("and", vec![compared, self.condition(atoms, 0)]),
            3 => json!({"expression": compared}),
            _ => compared,
        })
    }
}
