//! The random expressions of `queries`.

use super::generate::{Ty, sample};
use super::queries::{Atom, Maker};
use serde_json::{Value, json};

pub(crate) fn reference(path: &[String]) -> Value {
    json!({"type": "ref", "path": path})
}

pub(crate) fn val(value: Value) -> Value {
    json!({"type": "val", "value": value})
}

pub(crate) fn func(name: &str, args: Vec<Value>) -> Value {
    json!({"type": "func", "name": name, "args": args})
}

pub(crate) fn agg(name: &str, arg: Value) -> Value {
    json!({"type": "agg", "name": name, "args": [arg]})
}

impl Maker<'_> {
    /// An atom of a type, if there is one.
    pub(crate) fn atom(&mut self, atoms: &[Atom], ty: Ty) -> Option<Value> {
        let fitting: Vec<&Atom> = atoms.iter().filter(|atom| atom.ty == ty).collect();
        (!fitting.is_empty()).then(|| self.pick(&fitting).expression.clone())
    }

    fn literal(&mut self, ty: Ty) -> Value {
        val(sample(self.rng, ty))
    }

    /// An expression of whatever type.
    pub(crate) fn any(&mut self, atoms: &[Atom], depth: u32) -> (Value, Ty) {
        if !atoms.is_empty() && self.chance(50) {
            let atom = self.pick(atoms);
            return (atom.expression, atom.ty);
        }
        let ty = self.pick(&[
            Ty::Num,
            Ty::Num,
            Ty::Str,
            Ty::Str,
            Ty::Bool,
            Ty::Real,
            Ty::Real,
            Ty::Mixed,
            Ty::Big,
            Ty::Arr,
            Ty::Arr,
        ]);
        (self.expression(atoms, ty, depth), ty)
    }

    /// An expression of a type (or null, or missing).
    pub(crate) fn expression(&mut self, atoms: &[Atom], ty: Ty, depth: u32) -> Value {
        // Texts and lists are made from others more often: there are many ways.
        let plain = if matches!(ty, Ty::Arr | Ty::Real) {
            25
        } else {
            50
        };
        if depth == 0 || self.chance(plain) {
            return match self.atom(atoms, ty) {
                Some(atom) if !self.chance(8) => atom,
                _ => self.literal(ty),
            };
        }
        let depth = depth - 1;
        if self.chance(15) {
            return func(
                "coalesce",
                vec![
                    self.expression(atoms, ty, depth),
                    self.expression(atoms, ty, depth),
                ],
            );
        }
        if self.chance(15) {
            let mut args = vec![
                self.condition(atoms, depth),
                self.expression(atoms, ty, depth),
            ];
            if self.chance(70) {
                args.push(self.expression(atoms, ty, depth));
            }
            return func("caseWhen", args);
        }
        match ty {
            Ty::Num => self.number(atoms, depth),
            Ty::Real if self.chance(45) => {
                let name = self.pick(&["power", "power", "power", "round"]);
                let other = self.pick(if name == "power" {
                    &[0, 1, 2, 3]
                } else {
                    &[1, -1, 2, 0]
                });
                let base = self.expression(atoms, Ty::Num, 0);
                func(name, vec![base, val(json!(other))])
            }
            Ty::Real => {
                if self.chance(30) {
                    return func(
                        "add",
                        vec![self.expression(atoms, Ty::Big, depth), val(json!(1))],
                    );
                }
                func(
                    "divide",
                    vec![
                        self.expression(atoms, Ty::Num, depth),
                        self.expression(atoms, Ty::Num, depth),
                    ],
                )
            }
            Ty::Str => {
                if self.chance(20) {
                    return self.strict_text(atoms, depth);
                }
                if self.chance(40) {
                    let name = self.pick(&["upper", "lower", "trim"]);
                    return func(name, vec![self.expression(atoms, Ty::Str, depth)]);
                }
                if self.chance(45) {
                    return self.part(atoms, depth);
                }
                let count = self.rng.usize(1..=3);
                func(
                    "concat",
                    (0..count).map(|_| self.printable(atoms, depth)).collect(),
                )
            }
            Ty::Bool => self.condition(atoms, depth),
            Ty::Arr if self.chance(45) => {
                let count = self.rng.usize(0..=3);
                let items = (0..count).map(|_| self.printable(atoms, depth));
                func("array", items.collect())
            }
            Ty::Arr => {
                let text = self.expression(atoms, Ty::Str, depth);
                let separator = self.pick(&[",", "x", "1"]);
                func("split", vec![text, val(json!(separator))])
            }
            Ty::Big if self.chance(30) => func("abs", vec![self.expression(atoms, ty, 0)]),
            Ty::Mixed | Ty::Big | Ty::Obj | Ty::Time => self.expression(atoms, ty, 0),
        }
    }

    /// A text by one of SQL's functions.
    fn strict_text(&mut self, atoms: &[Atom], depth: u32) -> Value {
        let ty = self.pick(&[Ty::Str, Ty::Str, Ty::Mixed]);
        let first = self.expression(atoms, ty, depth);
        match self.rng.u32(..4) {
            0 => func("append", vec![first, self.printable(atoms, depth)]),
            1 => func("toText", vec![first]),
            2 => {
                let start = val(json!(self.pick(&[-1, 0, 1, 2])));
                func(
                    "substr",
                    vec![first, start, val(json!(self.pick(&[0, 1, 3])))],
                )
            }
            _ => {
                let name = self.pick(&["nullIf", "greatest", "least"]);
                func(name, vec![first, self.expression(atoms, Ty::Str, depth)])
            }
        }
    }

    /// A text made of another one.
    fn part(&mut self, atoms: &[Atom], depth: u32) -> Value {
        let ty = self.pick(&[Ty::Str, Ty::Str, Ty::Str, Ty::Mixed]);
        let text = self.expression(atoms, ty, depth);
        if self.chance(50) {
            let find = self.pick(&["x", "1", "ß", "a", "x,"]);
            let with = self.pick(&["", "y", "xx", "é"]);
            return func("replace", vec![text, val(json!(find)), val(json!(with))]);
        }
        let mut args = vec![text, val(json!(self.pick(&[0, 0, 1, 1, 2, -1, -2])))];
        if self.chance(60) {
            args.push(val(json!(self.pick(&[0, 1, 1, 2, 3]))));
        }
        func("substring", args)
    }

    fn number(&mut self, atoms: &[Atom], depth: u32) -> Value {
        if self.chance(20) {
            let ty = self.pick(&[Ty::Num, Ty::Num, Ty::Mixed]);
            let first = self.expression(atoms, ty, depth);
            let one = ["toNumber", "toInteger", "charLength"];
            let two = ["plus", "minus", "times", "quotient", "div", "nullIf"];
            return match self.chance(25) {
                true => func(self.pick(&one), vec![first]),
                false => {
                    let second = self.expression(atoms, Ty::Num, depth);
                    func(self.pick(&two), vec![first, second])
                }
            };
        }
        let first = self.expression(atoms, Ty::Num, depth);
        match self.rng.u32(..10) {
            6 | 7 => {
                let name = self.pick(&["abs", "floor", "ceil", "round"]);
                func(name, vec![first])
            }
            8 => {
                let by = self.pick(&[json!(2), json!(3), json!(-2), json!(0), json!(0.5)]);
                func("mod", vec![first, val(by)])
            }
            0 => func("add", vec![first, self.expression(atoms, Ty::Num, depth)]),
            1 => func(
                "subtract",
                vec![first, self.expression(atoms, Ty::Num, depth)],
            ),
            2 => func(
                "multiply",
                vec![
                    first,
                    val(self.pick(&[json!(2), json!(-1), json!(0.5), json!(3), json!(null)])),
                ],
            ),
            3 => func(
                "divide",
                vec![
                    first,
                    val(self.pick(&[json!(2), json!(4), json!(0), json!(null)])),
                ],
            ),
            _ => {
                let ty = self.pick(&[Ty::Str, Ty::Arr, Ty::Mixed]);
                func("length", vec![self.expression(atoms, ty, depth)])
            }
        }
    }

    /// A value whose text nobody disputes: no fractions but small ones.
    fn printable(&mut self, atoms: &[Atom], depth: u32) -> Value {
        let ty = self.pick(&[
            Ty::Str,
            Ty::Str,
            Ty::Str,
            Ty::Num,
            Ty::Big,
            Ty::Bool,
            Ty::Mixed,
            Ty::Arr,
            Ty::Obj,
        ]);
        self.expression(atoms, ty, depth)
    }

    /// A boolean expression (which may be unknown).
    pub(crate) fn condition(&mut self, atoms: &[Atom], depth: u32) -> Value {
        if depth > 0 && self.chance(35) {
            let depth = depth - 1;
            let name = self.pick(&["and", "or", "or", "or", "not", "not"]);
            let count = if name == "not" {
                1
            } else {
                self.rng.usize(2..=3)
            };
            let mut args: Vec<Value> = (0..count).map(|_| self.condition(atoms, depth)).collect();
            if self.chance(4) {
                args[0] = self.expression(atoms, Ty::Mixed, 0); // a value that is no boolean
            }
            return func(name, args);
        }
        match self.rng.u32(..21) {
            20 => {
                let name = self.pick(&["startsWith", "endsWith"]);
                let part = if self.chance(60) {
                    val(json!(self.pick(&["x", "1", "", "É", "e", "😀"])))
                } else {
                    self.expression(atoms, Ty::Str, 0)
                };
                func(name, vec![self.operand(atoms, Ty::Str, depth), part])
            }
            0..=6 => {
                let ty = self.pick(&[
                    Ty::Num,
                    Ty::Num,
                    Ty::Num,
                    Ty::Num,
                    Ty::Str,
                    Ty::Str,
                    Ty::Big,
                    Ty::Real,
                ]);
                let other = if matches!(ty, Ty::Big | Ty::Real) && self.chance(40) {
                    Ty::Num
                } else {
                    ty
                };
                let name = self.pick(&["gt", "gte", "lt", "lte"]);
                func(
                    name,
                    vec![
                        self.operand(atoms, ty, depth),
                        self.expression(atoms, other, 0),
                    ],
                )
            }
            7..=9 => {
                let ty = self.pick(&[
                    Ty::Str,
                    Ty::Str,
                    Ty::Num,
                    Ty::Num,
                    Ty::Mixed,
                    Ty::Big,
                    Ty::Arr,
                    Ty::Obj,
                    Ty::Bool,
                ]);
                func(
                    "eq",
                    vec![
                        self.operand(atoms, ty, depth),
                        self.expression(atoms, ty, 0),
                    ],
                )
            }
            10 | 11 => {
                let ty = self.pick(&[Ty::Str, Ty::Num, Ty::Mixed, Ty::Big]);
                let mut items: Vec<Value> = (0..self.rng.usize(2..=5))
                    .map(|_| sample(self.rng, ty))
                    .collect();
                if self.chance(20) {
                    items.push(Value::Null);
                }
                let list = if self.chance(10) {
                    self.expression(atoms, Ty::Arr, 0)
                } else {
                    val(Value::Array(items))
                };
                func("in", vec![self.operand(atoms, ty, depth), list])
            }
            12 | 13 => {
                let pattern = self.pick(&["x%", "%", "_", "%é%", "_%", "%1", "x", "S%"]);
                let name = self.pick(&["like", "ilike"]);
                func(
                    name,
                    vec![self.operand(atoms, Ty::Str, depth), val(json!(pattern))],
                )
            }
            14..=16 => {
                let name = self.pick(&["isNull", "isUndefined"]);
                let tested = func(name, vec![self.any(atoms, 0).0]);
                if self.chance(60) {
                    func("not", vec![tested])
                } else {
                    tested
                }
            }
            17 => {
                let name = self.pick(&["gt", "gte", "lt", "lte"]);
                let other = self.pick(&[Ty::Mixed, Ty::Num, Ty::Str]);
                func(
                    name,
                    vec![
                        self.expression(atoms, Ty::Mixed, 0),
                        self.expression(atoms, other, 0),
                    ],
                )
            }
            _ => self.operand(atoms, Ty::Bool, 0),
        }
    }

    /// The first side of a comparison: an atom when there is one.
    fn operand(&mut self, atoms: &[Atom], ty: Ty, depth: u32) -> Value {
        match self.atom(atoms, ty) {
            Some(atom) if self.chance(75) => atom,
            _ => self.expression(atoms, ty, depth),
        }
    }
}
