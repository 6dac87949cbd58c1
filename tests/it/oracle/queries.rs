//! Random valid queries over the collections of `generate`.
//!
//! Expressions are made by type from "atoms", the expressions a clause may start from: columns
//! before grouping, group keys and aggregates after it, `$selected` fields where those are known.
//! Numbers are of three types, so that results never hang on the order in which floats are added:
//! only `Num` (small multiples of a power of two) and `Big` (whole) are ever summed.

use super::expressions::{func, reference, val};
use super::generate::{COLLECTIONS, LINKS, Ty};
use fastrand::Rng;
use serde_json::{Value, json};

/// An expression to build others from.
#[derive(Clone)]
pub(crate) struct Atom {
    pub(crate) expression: Value,
    pub(crate) ty: Ty,
}

/// A field of a row: its path and type.
pub(crate) type Field = (Vec<String>, Ty);

/// A random query; `clock`: one that asks for the time.
pub(crate) fn query(rng: &mut Rng, clock: bool) -> Value {
    let mut maker = Maker {
        rng,
        aliases: 0,
        recursive: Vec::new(),
        due: None,
        clock,
    };
    let mut query = maker.query(2, true).0;
    if maker.chance(6) {
        query["singleResult"] = json!(true);
    }
    query
}

/// Makes one query.
pub(crate) struct Maker<'a> {
    pub(crate) rng: &'a mut Rng,
    /// How many aliases (and other names) were given out; they are distinct in the whole query.
    pub(crate) aliases: usize,
    /// The recursive queries that may be referred to here.
    pub(crate) recursive: Vec<(String, Vec<Field>)>,
    /// One of them that nothing refers to yet.
    pub(crate) due: Option<(String, Vec<Field>)>,
    /// Whether conditions ask for the time.
    pub(crate) clock: bool,
}

/// What FROM and JOIN give.
pub(crate) struct Given {
    pub(crate) atoms: Vec<Atom>,
    /// The fields of a row without SELECT.
    pub(crate) fields: Vec<Field>,
}

impl Maker<'_> {
    pub(crate) fn chance(&mut self, percent: u32) -> bool {
        self.rng.u32(..100) < percent
    }

    pub(crate) fn pick<T: Clone>(&mut self, items: &[T]) -> T {
        items[self.rng.usize(..items.len())].clone()
    }

    pub(crate) fn name(&mut self, letter: &str) -> String {
        self.aliases += 1;
        format!("{letter}{}", self.aliases - 1)
    }

    /// A query, and the fields its rows have. `depth`: how many more levels of subqueries there may
    /// be.
    pub(crate) fn query(&mut self, depth: u32, top: bool) -> (Value, Vec<Field>) {
        let mut query = json!({});
        let known = self.recursive.len();
        if depth > 0 && self.chance(if top { 13 } else { 2 }) {
            self.recursion(&mut query);
        }
        let joins = self.pick(if top {
            &[0, 0, 0, 1, 1, 1, 1, 2, 2, 3]
        } else {
            &[0, 0, 0, 0, 0, 0, 1, 1, 1, 2]
        });
        let Given {
            mut atoms,
            mut fields,
        } = self.given(&mut query, depth, joins);
        if self.chance(if top { 70 } else { 45 }) || self.clock && self.chance(50) {
            query["where"] = self.wheres(&atoms, 2);
        }
        // How deep includes go that this query shall have.
        let levels = if top && self.chance(18) {
            self.pick(&[1, 1, 2, 2, 3, 3])
        } else {
            0
        };
        let mut selected = Vec::new();
        if self.chance(if levels > 0 { 15 } else { 50 }) {
            (atoms, fields) = self.group(&mut query, &atoms, levels);
            if query.get("select").is_some() {
                selected = fields.clone();
            }
        } else if levels > 0 || self.chance(60) {
            let made = self.select(&atoms, &atoms, levels, if top { 8 } else { 5 });
            query["select"] = made.select;
            (fields, selected) = (made.fields, made.plain);
        }
        self.finish(&mut query, atoms, &selected, if top { 60 } else { 25 }, top);
        self.recursive.truncate(known);
        (query, fields)
    }

    /// Adds FROM and so many joins.
    pub(crate) fn given(&mut self, query: &mut Value, depth: u32, joins: usize) -> Given {
        let kind = if depth > 0 { self.rng.u32(..100) } else { 99 };
        let (mut atoms, mut fields);
        match kind {
            0..8 => {
                let sources: Vec<_> = (0..self.pick(&[2, 2, 3]))
                    .map(|_| self.source(depth))
                    .collect();
                atoms = sources
                    .iter()
                    .flat_map(|(_, alias, fields)| columns(alias, fields))
                    .collect();
                fields = sources
                    .iter()
                    .flat_map(|(_, alias, fields)| under(alias, fields))
                    .collect();
                let mut sources: Vec<Value> = sources.into_iter().map(|(s, ..)| s).collect();
                self.rng.shuffle(&mut sources);
                query["from"] = json!({"type": "unionFrom", "sources": sources});
            }
            8..17 => {
                (query["from"], fields) = self.union_all(depth - 1);
                while fields.is_empty() {
                    (query["from"], fields) = self.union_all(depth - 1);
                }
                atoms = fields
                    .iter()
                    .map(|(path, ty)| Atom {
                        expression: reference(path),
                        ty: *ty,
                    })
                    .collect();
            }
            _ => {
                let alias;
                (query["from"], alias, fields) = self.source(depth);
                atoms = columns(&alias, &fields);
                if joins > 0 {
                    fields = under(&alias, &fields);
                }
            }
        }
        for _ in 0..joins {
            let (source, alias, new_fields) = self.source(depth);
            let new = columns(&alias, &new_fields);
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
            fields.extend(under(&alias, &new_fields));
        }
        // What is only looked at comes last. In a recursion, fewer rows must not make more.
        let recurs = self.due.is_some() || !self.recursive.is_empty();
        if !recurs && self.chance(8) {
            let (source, alias, new_fields) = self.source(depth);
            let mut join = self.join(source, &atoms, &columns(&alias, &new_fields));
            if join["type"] != "cross" {
                join["type"] = self.pick(&["semi", "anti"]).into();
                let joins = query.as_object_mut().unwrap().entry("join");
                joins
                    .or_insert(json!([]))
                    .as_array_mut()
                    .unwrap()
                    .push(join);
            }
        }
        Given { atoms, fields }
    }

    /// A FROM or JOIN source, its alias and its fields.
    pub(crate) fn source(&mut self, depth: u32) -> (Value, String, Vec<Field>) {
        let recursive = match self.due.take() {
            Some(due) => Some(due),
            None if !self.recursive.is_empty() && self.chance(25) => {
                Some(self.pick(&self.recursive.clone()))
            }
            None => None,
        };
        if let Some((name, fields)) = recursive {
            let alias = self.name("t");
            let source = json!({"type": "collectionRef", "collection": name, "alias": alias});
            return (source, alias, fields);
        }
        let sub = (depth > 0 && self.chance(22)).then(|| self.query(depth - 1, false));
        let alias = self.name("t");
        if let Some((query, mut fields)) = sub {
            let mut source = json!({"type": "queryRef", "query": query, "alias": alias});
            self.over(&mut source, &mut fields);
            return (source, alias, fields);
        }
        let collection = self.rng.usize(..COLLECTIONS.len());
        let fields = fields_of(collection);
        let name = COLLECTIONS[collection].0;
        (
            json!({"type": "collectionRef", "collection": name, "alias": alias}),
            alias,
            fields,
        )
    }

    /// Adds values of the rows around, perhaps, where the query names its fields.
    fn over(&mut self, source: &mut Value, fields: &mut Vec<Field>) {
        let select = source["query"]["select"].as_object();
        let plain =
            |name: &String| !name.starts_with('.') && !name.starts_with('_') && !name.contains('.');
        let named =
            select.is_some_and(|select| select.keys().all(plain) && select.get("type").is_none());
        let recurs = self.due.is_some() || !self.recursive.is_empty();
        let known: Vec<Field> = fields
            .iter()
            .filter(|(path, _)| path.len() == 1)
            .cloned()
            .collect();
        if !named || recurs || known.is_empty() || !self.chance(25) {
            return;
        }
        let mut over = json!({});
        for _ in 0..self.pick(&[1, 1, 2]) {
            let name = self.name("w");
            let (path, ty) = self.pick(&known);
            let of = reference(&path);
            let (function, args, ty) = match self.rng.u32(..8) {
                0 => ("rowNumber", vec![], Ty::Num),
                1 => ("rank", vec![], Ty::Num),
                2 => ("denseRank", vec![], Ty::Num),
                3 => ("lag", vec![of], ty),
                4 => ("lead", vec![of, val(json!(2)), val(json!(0))], Ty::Mixed),
                5 => ("count", vec![of], Ty::Num),
                6 => ("min", vec![of], ty),
                _ => ("countDistinct", vec![of], Ty::Num),
            };
            let mut spec = json!({"function": function, "args": args});
            if self.chance(60) {
                spec["partitionBy"] = json!([reference(&self.pick(&known).0)]);
            }
            if self.chance(80) {
                let direction = self.pick(&["asc", "desc"]);
                let nulls = self.pick(&["first", "last"]);
                spec["orderBy"] = json!([{"expression": reference(&self.pick(&known).0),
                    "compareOptions": {"direction": direction, "nulls": nulls}}]);
            }
            match self.rng.u32(..4) {
                0 => {
                    spec["frame"] = json!({"before": self.rng.u32(..3), "after": self.rng.u32(..2)})
                }
                1 => spec["frame"] = json!({"after": 0}),
                _ => {}
            }
            over[&name] = spec;
            fields.push((vec![name], ty));
        }
        source["over"] = over;
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

    pub(crate) fn turned(&mut self, left: Value, right: Value) -> Value {
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
    pub(crate) fn equality(&mut self, old: &[Atom], new: &[Atom]) -> (Value, Value) {
        let key = |atoms: &[Atom]| {
            let key = atoms.iter().find(|atom| is_key(atom));
            key.map(|atom| atom.expression.clone())
        };
        let is_link = |atom: &&Atom| {
            let name = &atom.expression["path"][1];
            LINKS.iter().any(|link| name == link)
        };
        let link = |maker: &mut Self, atoms: &[Atom]| {
            let links: Vec<&Atom> = atoms.iter().filter(is_link).collect();
            (!links.is_empty()).then(|| maker.pick(&links).expression.clone())
        };
        match (link(self, old), link(self, new), key(old), key(new)) {
            (Some(link), _, _, Some(key)) if self.chance(30) => return (link, key),
            (_, Some(link), Some(key), _) if self.chance(30) => return (key, link),
            (Some(one), Some(other), ..) if self.chance(20) => return (one, other),
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
    pub(crate) fn column(&mut self, atoms: &[Atom], ty: Ty) -> Value {
        for wanted in [ty, Ty::Str] {
            let fitting: Vec<&Atom> = atoms.iter().filter(|atom| atom.ty == wanted).collect();
            if !fitting.is_empty() {
                return self.pick(&fitting).expression.clone();
            }
        }
        self.pick(atoms).expression // the rows of a union may have neither
    }

    /// The items of `where`, perhaps with one that asks for the time.
    pub(crate) fn wheres(&mut self, atoms: &[Atom], depth: u32) -> Value {
        let mut items = self.conditions(atoms, depth);
        if self.clock
            && self.chance(80)
            && let Some(condition) = self.time_condition(atoms)
        {
            let items = items.as_array_mut().unwrap();
            items.truncate(self.rng.usize(..2));
            items.push(condition);
        }
        items
    }

    /// One to three items of `where` or `having`, some as `{expression}`.
    pub(crate) fn conditions(&mut self, atoms: &[Atom], depth: u32) -> Value {
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

    /// Adds distinct, orderBy (with such a chance) and the window. `fields`: those of `$selected`.
    pub(crate) fn finish(
        &mut self,
        query: &mut Value,
        mut atoms: Vec<Atom>,
        fields: &[Field],
        order: u32,
        top: bool,
    ) {
        if self.chance(14) {
            query["distinct"] = json!(true);
            // Only what all the rows that are equal agree on.
            if query.get("select").is_some() {
                atoms.clear();
            } else {
                let keys = |atom: &Atom| {
                    query
                        .get("groupBy")
                        .is_none_or(|keys| keys.as_array().unwrap().contains(&atom.expression))
                };
                atoms.retain(|atom| !is_key(atom) && keys(atom));
            }
        }
        atoms.extend(columns("$selected", fields).split_off(2));
        let ordered = !atoms.is_empty() && self.chance(order);
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

/// Whether an atom is the key of a source's row.
pub(crate) fn is_key(atom: &Atom) -> bool {
    atom.expression["path"][1] == "$key"
}

/// The fields of a collection's rows.
pub(crate) fn fields_of(collection: usize) -> Vec<Field> {
    let columns = COLLECTIONS[collection].1;
    let mut fields: Vec<Field> = columns
        .iter()
        .map(|(name, ty)| (vec![(*name).to_owned()], *ty))
        .collect();
    if columns.iter().any(|(_, ty)| *ty == Ty::Obj) {
        fields.push((vec!["obj".into(), "p".into()], Ty::Num));
        fields.push((vec!["obj".into(), "q".into()], Ty::Str));
    }
    fields
}

/// The atoms of a source: its row as a whole, its key, its fields.
pub(crate) fn columns(alias: &str, fields: &[Field]) -> Vec<Atom> {
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
