//! The random recursive queries of `queries`: walks over the links between rows. Their fields are
//! columns of the data, so that there is an end; one that counts has `maxRounds`.

use super::expressions::{func, reference, val};
use super::generate::{COLLECTIONS, Ty};
use super::queries::{Atom, Field, Maker, columns, fields_of};
use serde_json::{Map, Value, json};

/// The fields of a recursive query's rows: `a` and `b` are ends of a walk, `c` comes along.
struct Shape {
    third: Option<Third>,
}

#[derive(Clone, Copy, PartialEq)]
enum Third {
    /// A column of the data.
    Column,
    /// How many steps the walk has.
    Counter,
}

impl Shape {
    fn fields(&self) -> Vec<Field> {
        let mut fields = vec![(vec!["a".into()], Ty::Str), (vec!["b".into()], Ty::Str)];
        match self.third {
            Some(Third::Column) => fields.push((vec!["c".into()], Ty::Str)),
            Some(Third::Counter) => fields.push((vec!["c".into()], Ty::Num)),
            None => {}
        }
        fields
    }
}

/// A collection with links: an alias for it, where a link starts and where it goes.
struct Links {
    source: Value,
    alias: String,
    atoms: Vec<Atom>,
    from: Value,
    to: Value,
}

impl Maker<'_> {
    /// Adds `withRecursive`; what follows refers to it.
    pub(crate) fn recursion(&mut self, query: &mut Value) {
        let third = self.pick(&[None, None, Some(Third::Column), Some(Third::Counter)]);
        let shape = Shape { third };
        let name = self.name("walk");
        let mut definitions = Map::new();
        let mut cut = third == Some(Third::Counter);
        if self.chance(30) {
            // Two that refer to each other.
            let other = self.name("walk");
            let mut first = vec![self.base(&shape), self.step(&shape, &other)];
            let mut second = vec![self.step(&shape, &name)];
            if self.chance(30) {
                second.push(self.base(&shape));
            }
            if self.chance(30) {
                first.push(self.step(&shape, &name));
            }
            definitions.insert(name.clone(), self.union(first));
            definitions.insert(other.clone(), self.union(second));
            self.recursive.push((other, shape.fields()));
        } else {
            let mut branches = vec![self.base(&shape)];
            for _ in 0..self.pick(&[1, 1, 1, 2]) {
                branches.push(self.step(&shape, &name));
            }
            if self.chance(20) {
                branches.push(self.base(&shape));
            }
            cut |= self.chance(12);
            definitions.insert(name.clone(), self.union(branches));
        }
        query["withRecursive"] = Value::Object(definitions);
        if cut {
            query["maxRounds"] = json!(self.rng.u32(1..=6));
        } else if self.chance(10) {
            query["maxRounds"] = json!(100);
        }
        self.recursive.push((name.clone(), shape.fields()));
        self.due = Some((name, shape.fields()));
    }

    fn union(&mut self, mut branches: Vec<Value>) -> Value {
        if branches.len() == 1 && self.chance(70) {
            return branches.remove(0);
        }
        if branches.len() == 1 {
            branches.push(branches[0].clone());
        }
        self.rng.shuffle(&mut branches);
        let mut query = json!({"from": {"type": "unionAll", "queries": branches}});
        match self.rng.u32(..10) {
            0 => query["distinct"] = json!(true),
            1 => {
                query["where"] = json!([func(
                    "not",
                    vec![func("eq", vec![reference(&["a".into()]), val(json!("4")),])]
                )])
            }
            _ => {}
        }
        query
    }

    fn links(&mut self) -> Links {
        let (collection, from, to) = self.pick(&[
            ("edges", "from", "to"),
            ("edges", "from", "to"),
            ("edges", "to", "from"),
            ("people", "$key", "link"),
            ("orders", "link", "$key"),
            ("orders", "$key", "link"),
        ]);
        let at = COLLECTIONS.iter().position(|(name, _)| *name == collection);
        let alias = self.name("t");
        Links {
            source: json!({"type": "collectionRef", "collection": collection, "alias": alias}),
            atoms: columns(&alias, &fields_of(at.unwrap())),
            from: reference(&[alias.clone(), from.into()]),
            to: reference(&[alias.clone(), to.into()]),
            alias,
        }
    }

    /// A row for each link.
    fn base(&mut self, shape: &Shape) -> Value {
        let links = self.links();
        let mut query = json!({"from": links.source});
        if self.chance(50) {
            query["where"] = self.wheres(&links.atoms, 1);
        }
        let third = match shape.third {
            Some(Third::Column) => self.atom(&links.atoms, Ty::Str),
            Some(Third::Counter) => Some(val(json!(0))),
            None => None,
        };
        query["select"] = selected(links.from, links.to, third);
        if self.chance(10) {
            query["orderBy"] = json!([{"expression": reference(&[links.alias, "$key".into()])}]);
            query["limit"] = json!(4);
        }
        query
    }

    /// A recursive query's rows, each with one more link.
    fn step(&mut self, shape: &Shape, name: &str) -> Value {
        let walk = self.name("t");
        let field = |alias: &str, name: &str| reference(&[alias.into(), name.into()]);
        let mut source = json!({"type": "collectionRef", "collection": name, "alias": walk});
        if self.chance(12) {
            // In a subquery.
            let inner = self.name("t");
            let from = json!({"type": "collectionRef", "collection": name, "alias": inner});
            let mut query = json!({"from": from});
            if self.chance(50) {
                query["where"] = self.conditions(&columns(&inner, &shape.fields()), 1);
            }
            source = json!({"type": "queryRef", "query": query, "alias": walk});
        }
        let links = self.links();
        let nonlinear = shape.third.is_none() && self.chance(12);
        let (alias, other, start, end) = if nonlinear {
            let alias = self.name("t");
            let other = json!({"type": "collectionRef", "collection": name, "alias": alias});
            let (start, end) = (field(&alias, "a"), field(&alias, "b"));
            (alias, other, start, end)
        } else {
            (links.alias, links.source, links.from, links.to)
        };
        let on = self.turned(field(&walk, "b"), start);
        let mut query = json!({});
        let (first, second) = if self.chance(25) {
            (other, source)
        } else {
            (source, other)
        };
        query["from"] = first;
        query["join"] = json!([{"type": "inner", "from": second, "on": on}]);
        if self.chance(10) {
            query["join"] = json!([{"type": "cross", "from": second}]);
            query["where"] = json!([on]);
        }
        let mut conditions = Vec::new();
        if shape.third == Some(Third::Counter) && self.chance(40) {
            conditions.push(func("lt", vec![field(&walk, "c"), val(json!(3))]));
        }
        if self.chance(25) {
            let mut atoms = columns(&walk, &shape.fields());
            atoms.extend(links.atoms.into_iter().filter(|_| !nonlinear));
            conditions.push(self.condition(&atoms, 1));
        }
        if !conditions.is_empty() {
            let query = query.as_object_mut().unwrap();
            let items = query.entry("where").or_insert(json!([]));
            items.as_array_mut().unwrap().append(&mut conditions);
        }
        let third = match shape.third {
            Some(Third::Column) if self.chance(30) && alias != walk => Some(end.clone()),
            Some(Third::Column) => Some(field(&walk, "c")),
            Some(Third::Counter) => Some(func("add", vec![field(&walk, "c"), val(json!(1))])),
            None => None,
        };
        query["select"] = selected(field(&walk, "a"), end, third);
        query
    }
}

fn selected(a: Value, b: Value, third: Option<Value>) -> Value {
    let mut select = json!({"a": a, "b": b});
    if let Some(third) = third {
        select["c"] = third;
    }
    select
}
