//! Random valid queries over the collections of `generate`.
//!
//! Expressions are made by type from "atoms", the expressions a clause may start from: columns
//! before grouping, group keys and aggregates after it, `$selected` fields where those are known.
//! Numbers are of three types, so that results never hang on the order in which floats are added:
//! only `Num` (small multiples of a power of two) and `Big` (whole) are ever summed.

use super::expressions::{agg, func, reference, val};
use super::generate::{COLLECTIONS, Ty};
use fastrand::Rng;
use serde_json::{Map, Value, json};

/// An expression to build others from.
#[derive(Clone)]
pub(crate) struct Atom {
    pub(crate) expression: Value,
    pub(crate) ty: Ty,
}

/// A field of a row: its path and type.
type Field = (Vec<String>, Ty);

/// A random query.
pub(crate) fn query(rng: &mut Rng) -> Value {
    let mut maker = Maker { rng, aliases: 0 };
    let mut query = maker.query(2, true).0;
    if maker.chance(4) {
        query["singleResult"] = json!(true);
    }
    query
}

/// Makes one query.
pub(crate) struct Maker<'a> {
    pub(crate) rng: &'a mut Rng,
    /// How many aliases were given out; they are distinct in the whole query.
    aliases: usize,
}

impl Maker<'_> {
    pub(crate) fn chance(&mut self, percent: u32) -> bool {
        self.rng.u32(..100) < percent
    }

    pub(crate) fn pick<T: Clone>(&mut self, items: &[T]) -> T {
        items[self.rng.usize(..items.len())].clone()
    }

    /// A query, and the fields its rows have. `depth`: how many more levels of subqueries there may
    /// be.
    fn query(&mut self, depth: u32, top: bool) -> (Value, Vec<Field>) {
        let mut query = json!({});
        let (from, alias, fields) = self.source(depth);
        query["from"] = from;
        let mut atoms = columns(&alias, &fields);
        let mut sources = vec![(alias, fields)];
        let joins = self.pick(if top {
            &[0, 0, 0, 1, 1, 1, 1, 2, 2, 3]
        } else {
            &[0, 0, 0, 0, 0, 0, 1, 1, 1, 2]
        });
        for _ in 0..joins {
            let (source, alias, fields) = self.source(depth);
            let new = columns(&alias, &fields);
            let join = self.join(source, &atoms, &new);
            query
                .as_object_mut()
                .unwrap()
                .entry("join")
                .or_insert(json!([]))
                .as_array_mut()
                .unwrap()
                .push(join);
            atoms.extend(new);
            sources.push((alias, fields));
        }
        if self.chance(if top { 70 } else { 45 }) {
            query["where"] = self.conditions(&atoms, 2);
        }
        let mut fields = match sources.as_slice() {
            [(_, fields)] => fields.clone(),
            _ => sources
                .iter()
                .flat_map(|(alias, fields)| under(alias, fields))
                .collect(),
        };
        let grouped = self.chance(50);
        if grouped {
            (atoms, fields) = self.group(&mut query, &atoms);
        } else if self.chance(60) {
            let (select, selected) = self.select(&atoms);
            query["select"] = select;
            fields = selected;
        }
        self.finish(&mut query, atoms, &fields, top);
        (query, fields)
    }

    /// A FROM or JOIN source, its alias and its fields.
    fn source(&mut self, depth: u32) -> (Value, String, Vec<Field>) {
        let sub = (depth > 0 && self.chance(22)).then(|| self.query(depth - 1, false));
        let alias = format!("t{}", self.aliases);
        self.aliases += 1;
        if let Some((query, fields)) = sub {
            return (
                json!({"type": "queryRef", "query": query, "alias": alias}),
                alias,
                fields,
            );
        }
        let (collection, columns) = self.pick(&COLLECTIONS);
        let mut fields: Vec<Field> = columns
            .iter()
            .map(|(name, ty)| (vec![(*name).to_owned()], *ty))
            .collect();
        if columns.iter().any(|(_, ty)| *ty == Ty::Obj) {
            fields.push((vec!["obj".into(), "p".into()], Ty::Num));
            fields.push((vec!["obj".into(), "q".into()], Ty::Str));
        }
        (
            json!({"type": "collectionRef", "collection": collection, "alias": alias}),
            alias,
            fields,
        )
    }

    fn join(&mut self, source: Value, old: &[Atom], new: &[Atom]) -> Value {
        let kind = self.pick(&[
            "inner", "inner", "inner", "left", "left", "left", "right", "right", "full", "outer",
        ]);
        if self.chance(4) {
            return json!({"type": "cross", "from": source});
        }
        let mut join = json!({"type": kind, "from": source});
        let (left, right) = self.equality(old, new);
        if self.chance(15) {
            join["left"] = left;
            join["right"] = right;
            return join;
        }
        let mut all = vec![self.turned(left, right)];
        if self.chance(15) {
            let (left, right) = self.equality(old, new);
            all.push(self.turned(left, right));
        }
        if self.chance(25) {
            let both: Vec<Atom> = old.iter().chain(new).cloned().collect();
            all.push(self.condition(&both, 1));
        }
        self.rng.shuffle(&mut all);
        join["on"] = if all.len() == 1 {
            all.remove(0)
        } else {
            func("and", all)
        };
        join
    }

    fn turned(&mut self, left: Value, right: Value) -> Value {
        func(
            "eq",
            if self.chance(50) {
                vec![left, right]
            } else {
                vec![right, left]
            },
        )
    }

    /// The two sides of a join equality.
    fn equality(&mut self, old: &[Atom], new: &[Atom]) -> (Value, Value) {
        let key = |atoms: &[Atom]| {
            atoms
                .iter()
                .find(|atom| atom.expression["path"][1] == "$key")
                .unwrap()
                .expression
                .clone()
        };
        let link = |atom: &&Atom| atom.expression["path"][1] == "link";
        match (old.iter().find(link), new.iter().find(link)) {
            (Some(atom), _) if self.chance(35) => return (atom.expression.clone(), key(new)),
            (_, Some(atom)) if self.chance(35) => return (key(old), atom.expression.clone()),
            _ => {}
        }
        let ty = self.pick(&[
            Ty::Str,
            Ty::Str,
            Ty::Str,
            Ty::Num,
            Ty::Num,
            Ty::Num,
            Ty::Mixed,
            Ty::Big,
            Ty::Arr,
            Ty::Obj,
        ]);
        let (left_ty, right_ty) = if ty == Ty::Mixed && self.chance(50) {
            (ty, Ty::Num)
        } else {
            (ty, ty)
        };
        if self.chance(12) && ty == Ty::Str {
            let side = |maker: &mut Self, atoms| func("upper", vec![maker.column(atoms, Ty::Str)]);
            return (side(self, old), side(self, new));
        }
        if self.chance(12) && ty == Ty::Num {
            let side = func("add", vec![self.column(old, ty), val(json!(1))]);
            return (side, self.column(new, ty));
        }
        (self.column(old, left_ty), self.column(new, right_ty))
    }

    /// A column of this type; one of another type, else the key, where there is none.
    fn column(&mut self, atoms: &[Atom], ty: Ty) -> Value {
        for wanted in [ty, Ty::Str] {
            let fitting: Vec<&Atom> = atoms.iter().filter(|atom| atom.ty == wanted).collect();
            if !fitting.is_empty() {
                return self.pick(&fitting).expression.clone();
            }
        }
        unreachable!("every source has its key")
    }

    /// One to three items of `where` or `having`, some as `{expression}`.
    fn conditions(&mut self, atoms: &[Atom], depth: u32) -> Value {
        let count = self.pick(&[1, 1, 1, 2, 2, 3]);
        let mut items = Vec::new();
        for _ in 0..count {
            let item = self.condition(atoms, depth);
            items.push(if self.chance(20) {
                json!({"expression": item})
            } else {
                item
            });
        }
        Value::Array(items)
    }

    /// A select of columns, expressions, whole rows and nested objects; and the fields it makes.
    fn select(&mut self, atoms: &[Atom]) -> (Value, Vec<Field>) {
        let (mut select, mut fields) = (Map::new(), Vec::new());
        for i in 0..self.rng.usize(1..=4) {
            let name = format!("f{i}");
            if self.chance(12) {
                let mut nested = Map::new();
                for j in 0..self.rng.usize(1..=2) {
                    let (expression, ty) = self.any(atoms, 1);
                    nested.insert(format!("h{j}"), expression);
                    fields.push((vec![name.clone(), format!("h{j}")], ty));
                }
                select.insert(name, Value::Object(nested));
            } else {
                let (expression, ty) = self.any(atoms, 2);
                select.insert(name.clone(), expression);
                fields.push((vec![name], ty));
            }
        }
        (Value::Object(select), fields)
    }

    /// Adds groupBy, select and having; gives the atoms for ORDER BY and the fields of the result.
    fn group(&mut self, query: &mut Value, atoms: &[Atom]) -> (Vec<Atom>, Vec<Field>) {
        let mut pool: Vec<Atom> = Vec::new();
        for _ in 0..self.pick(&[0, 1, 1, 1, 1, 1, 1, 2, 2, 3]) {
            let key = self.group_key(atoms);
            if pool.iter().all(|atom| atom.expression != key.expression) {
                pool.push(key);
            }
        }
        let keys = pool.clone();
        let aggregates = self.rng.usize(1..=3);
        for _ in 0..aggregates {
            pool.push(self.aggregate(atoms));
        }
        let mut fields = Vec::new();
        if !keys.is_empty() {
            query["groupBy"] = keys.iter().map(|key| key.expression.clone()).collect();
        }
        if !keys.is_empty() && self.chance(8) {
            fields = keys
                .iter()
                .enumerate()
                .map(|(i, key)| (vec![format!("__key_{i}")], key.ty))
                .collect();
        } else {
            let mut wanted: Vec<Atom> = keys
                .iter()
                .filter(|_| self.rng.u32(..100) < 85)
                .cloned()
                .collect();
            wanted.extend(pool[keys.len()..].iter().cloned());
            if self.chance(40) {
                let (expression, ty) = self.any(&pool, 2);
                wanted.push(Atom { expression, ty });
            }
            self.rng.shuffle(&mut wanted);
            let nest = self.chance(12);
            let mut select = Map::new();
            for (i, Atom { expression, ty }) in wanted.into_iter().enumerate() {
                let name = format!("f{i}");
                fields.push((
                    if nest {
                        vec![name.clone(), "h".into()]
                    } else {
                        vec![name.clone()]
                    },
                    ty,
                ));
                select.insert(
                    name,
                    if nest {
                        json!({"h": expression})
                    } else {
                        expression
                    },
                );
            }
            query["select"] = Value::Object(select);
        }
        if self.chance(40) {
            pool.push(self.aggregate(atoms)); // one that is not selected
        }
        if self.chance(if keys.is_empty() { 20 } else { 50 }) {
            let mut known = pool.clone();
            if query.get("select").is_some() {
                known.extend(columns("$selected", &fields).split_off(2));
            }
            query["having"] = self.conditions(&known, 1);
        }
        (pool, fields)
    }

    fn group_key(&mut self, atoms: &[Atom]) -> Atom {
        let ty = self.pick(&[
            Ty::Str,
            Ty::Str,
            Ty::Str,
            Ty::Bool,
            Ty::Mixed,
            Ty::Num,
            Ty::Num,
            Ty::Big,
            Ty::Obj,
            Ty::Arr,
        ]);
        let fitting: Vec<Atom> = atoms
            .iter()
            .filter(|atom| atom.ty == ty && atom.expression["path"][1] != "$key")
            .cloned()
            .collect();
        if fitting.is_empty() || self.chance(15) {
            let ty = self.pick(&[Ty::Str, Ty::Bool, Ty::Num]);
            return Atom {
                expression: self.expression(atoms, ty, 1),
                ty,
            };
        }
        self.pick(&fitting)
    }

    fn aggregate(&mut self, atoms: &[Atom]) -> Atom {
        let (expression, ty) = match self.rng.u32(..10) {
            0..=2 => (agg("count", self.pick(atoms).expression), Ty::Num),
            3 | 4 => (agg("sum", self.expression(atoms, Ty::Num, 1)), Ty::Num),
            5 => match self.atom(atoms, Ty::Big) {
                Some(big) => (agg("sum", big), Ty::Real),
                None => (agg("count", self.pick(atoms).expression), Ty::Num),
            },
            6 => (agg("avg", self.expression(atoms, Ty::Num, 1)), Ty::Real),
            _ => {
                let (argument, ty) = self.any(atoms, 1);
                let name = self.pick(&["min", "max"]);
                (agg(name, argument), ty)
            }
        };
        Atom { expression, ty }
    }

    /// Adds distinct, orderBy and the window.
    fn finish(&mut self, query: &mut Value, mut atoms: Vec<Atom>, fields: &[Field], top: bool) {
        let has_select = query.get("select").is_some();
        let selected = if has_select {
            columns("$selected", fields).split_off(2)
        } else {
            Vec::new()
        };
        if self.chance(14) {
            query["distinct"] = json!(true);
            // Only what all the rows that are equal agree on.
            if has_select {
                atoms.clear();
            } else {
                let keys = |atom: &Atom| {
                    query
                        .get("groupBy")
                        .is_none_or(|keys| keys.as_array().unwrap().contains(&atom.expression))
                };
                atoms.retain(|atom| atom.expression["path"][1] != "$key" && keys(atom));
            }
        }
        atoms.extend(selected);
        let ordered = !atoms.is_empty() && self.chance(if top { 60 } else { 25 });
        if ordered {
            let count = self.pick(&[1, 1, 2, 2, 3]);
            let keys: Vec<Value> = (0..count).map(|_| self.order_key(&atoms)).collect();
            query["orderBy"] = Value::Array(keys);
        }
        let often = match (ordered, top) {
            (true, true) => 50,
            (false, true) => 12,
            (true, false) => 60,
            (false, false) => 8,
        };
        if self.chance(often) {
            query["limit"] = json!(self.pick(&[0, 1, 1, 2, 2, 3, 3, 4, 5, 7, 10]));
        }
        if self.chance(often / 2) {
            query["offset"] = json!(self.pick(&[0, 1, 1, 2, 3]));
        }
    }

    fn order_key(&mut self, atoms: &[Atom]) -> Value {
        let expression = if self.chance(80) {
            self.pick(atoms).expression
        } else {
            self.any(atoms, 1).0
        };
        let mut options = json!({"direction": self.pick(&["asc", "desc"])});
        if self.chance(70) {
            options["nulls"] = json!(self.pick(&["first", "last"]));
            options["stringSort"] = json!("lexical");
        }
        json!({"expression": expression, "compareOptions": options})
    }
}

/// The atoms of a source: its row as a whole, its key, its fields.
fn columns(alias: &str, fields: &[Field]) -> Vec<Atom> {
    let path = |rest: &[String]| reference(&[&[alias.to_owned()], rest].concat());
    let mut atoms = vec![
        Atom {
            expression: path(&[]),
            ty: Ty::Obj,
        },
        Atom {
            expression: path(&["$key".to_owned()]),
            ty: Ty::Str,
        },
    ];
    atoms.extend(fields.iter().map(|(field, ty)| Atom {
        expression: path(field),
        ty: *ty,
    }));
    atoms
}

/// The fields of a source inside the row of a join that has no select.
fn under(alias: &str, fields: &[Field]) -> Vec<Field> {
    let inside = fields
        .iter()
        .map(|(path, ty)| ([&[alias.to_owned()], path.as_slice()].concat(), *ty));
    std::iter::once((vec![alias.to_owned()], Ty::Obj))
        .chain(inside)
        .collect()
}
