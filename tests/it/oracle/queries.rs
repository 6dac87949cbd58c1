//! Random valid queries over the collections of `generate`.
//!
//! Expressions are made by type from "atoms", the expressions a clause may start from: columns before grouping, group keys and
//! aggregates after it, `$selected` fields where those are known. Numbers are of three types, so that results never hang on the
//! order in which floats are added: only `Num` (small multiples of a power of two) and `Big` (whole) are ever summed.

use super::generate::{COLLECTIONS, Ty, sample};
use fastrand::Rng;
use serde_json::{Map, Value, json};

/// An expression to build others from.
#[derive(Clone)]
struct Atom {
    expression: Value,
    ty: Ty,
}

/// A field of a row: its path and type.
type Field = (Vec<String>, Ty);

/// A random query.
pub fn query(rng: &mut Rng) -> Value {
    let mut maker = Maker { rng, aliases: 0 };
    let mut query = maker.query(2, true).0;
    if maker.chance(4) {
        query["singleResult"] = json!(true);
    }
    query
}

fn reference(path: &[String]) -> Value {
    json!({"type": "ref", "path": path})
}

fn val(value: Value) -> Value {
    json!({"type": "val", "value": value})
}

fn func(name: &str, args: Vec<Value>) -> Value {
    json!({"type": "func", "name": name, "args": args})
}

fn agg(name: &str, arg: Value) -> Value {
    json!({"type": "agg", "name": name, "args": [arg]})
}

struct Maker<'a> {
    rng: &'a mut Rng,
    /// How many aliases were given out; they are distinct in the whole query.
    aliases: usize,
}

impl Maker<'_> {
    fn chance(&mut self, percent: u32) -> bool {
        self.rng.u32(..100) < percent
    }

    fn pick<T: Clone>(&mut self, items: &[T]) -> T {
        items[self.rng.usize(..items.len())].clone()
    }

    // Clauses

    /// A query, and the fields its rows have. `depth`: how many more levels of subqueries there may be.
    fn query(&mut self, depth: u32, top: bool) -> (Value, Vec<Field>) {
        let mut query = json!({});
        let (from, alias, fields) = self.source(depth);
        query["from"] = from;
        let mut atoms = columns(&alias, &fields);
        let mut sources = vec![(alias, fields)];
        let joins = self.pick(if top { &[0, 0, 0, 1, 1, 1, 1, 2, 2, 3] } else { &[0, 0, 0, 0, 0, 0, 1, 1, 1, 2] });
        for _ in 0..joins {
            let (source, alias, fields) = self.source(depth);
            let new = columns(&alias, &fields);
            let join = self.join(source, &atoms, &new);
            query.as_object_mut().unwrap().entry("join").or_insert(json!([])).as_array_mut().unwrap().push(join);
            atoms.extend(new);
            sources.push((alias, fields));
        }
        if self.chance(if top { 70 } else { 45 }) {
            query["where"] = self.conditions(&atoms, 2);
        }
        let mut fields = match sources.as_slice() {
            [(_, fields)] => fields.clone(),
            _ => sources.iter().flat_map(|(alias, fields)| under(alias, fields)).collect(),
        };
        let grouped = self.chance(40);
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
            return (json!({"type": "queryRef", "query": query, "alias": alias}), alias, fields);
        }
        let (collection, columns) = self.pick(&COLLECTIONS);
        let mut fields: Vec<Field> = columns.iter().map(|(name, ty)| (vec![(*name).to_owned()], *ty)).collect();
        if columns.iter().any(|(_, ty)| *ty == Ty::Obj) {
            fields.push((vec!["obj".into(), "p".into()], Ty::Num));
            fields.push((vec!["obj".into(), "q".into()], Ty::Str));
        }
        (json!({"type": "collectionRef", "collection": collection, "alias": alias}), alias, fields)
    }

    fn join(&mut self, source: Value, old: &[Atom], new: &[Atom]) -> Value {
        let kind = self.pick(&["inner", "inner", "inner", "left", "left", "left", "right", "right", "full", "outer"]);
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
        join["on"] = if all.len() == 1 { all.remove(0) } else { func("and", all) };
        join
    }

    fn turned(&mut self, left: Value, right: Value) -> Value {
        func("eq", if self.chance(50) { vec![left, right] } else { vec![right, left] })
    }

    /// The two sides of a join equality.
    fn equality(&mut self, old: &[Atom], new: &[Atom]) -> (Value, Value) {
        let key = |atoms: &[Atom]| atoms.iter().find(|atom| atom.expression["path"][1] == "$key").unwrap().expression.clone();
        let link = |atom: &&Atom| atom.expression["path"][1] == "link";
        match (old.iter().find(link), new.iter().find(link)) {
            (Some(atom), _) if self.chance(35) => return (atom.expression.clone(), key(new)),
            (_, Some(atom)) if self.chance(35) => return (key(old), atom.expression.clone()),
            _ => {}
        }
        let ty = self.pick(&[Ty::Str, Ty::Str, Ty::Str, Ty::Num, Ty::Num, Ty::Num, Ty::Mixed, Ty::Big, Ty::Arr, Ty::Obj]);
        let (left_ty, right_ty) = if ty == Ty::Mixed && self.chance(50) { (ty, Ty::Num) } else { (ty, ty) };
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
            items.push(if self.chance(20) { json!({"expression": item}) } else { item });
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
            fields = keys.iter().enumerate().map(|(i, key)| (vec![format!("__key_{i}")], key.ty)).collect();
        } else {
            let mut wanted: Vec<Atom> = keys.iter().filter(|_| self.rng.u32(..100) < 85).cloned().collect();
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
                fields.push((if nest { vec![name.clone(), "h".into()] } else { vec![name.clone()] }, ty));
                select.insert(name, if nest { json!({"h": expression}) } else { expression });
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
        let ty = self.pick(&[Ty::Str, Ty::Str, Ty::Str, Ty::Bool, Ty::Mixed, Ty::Num, Ty::Num, Ty::Big, Ty::Obj, Ty::Arr]);
        let fitting: Vec<Atom> =
            atoms.iter().filter(|atom| atom.ty == ty && atom.expression["path"][1] != "$key").cloned().collect();
        if fitting.is_empty() || self.chance(15) {
            let ty = self.pick(&[Ty::Str, Ty::Bool, Ty::Num]);
            return Atom { expression: self.expression(atoms, ty, 1), ty };
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
        let selected = if has_select { columns("$selected", fields).split_off(2) } else { Vec::new() };
        if self.chance(14) {
            query["distinct"] = json!(true);
            // Only what all the rows that are equal agree on.
            if has_select {
                atoms.clear();
            } else {
                let keys = |atom: &Atom| query.get("groupBy").is_none_or(|keys| keys.as_array().unwrap().contains(&atom.expression));
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
        let expression = if self.chance(80) { self.pick(atoms).expression } else { self.any(atoms, 1).0 };
        let mut options = json!({"direction": self.pick(&["asc", "desc"])});
        if self.chance(70) {
            options["nulls"] = json!(self.pick(&["first", "last"]));
            options["stringSort"] = json!("lexical");
        }
        json!({"expression": expression, "compareOptions": options})
    }

    // Expressions

    /// An atom of a type, if there is one.
    fn atom(&mut self, atoms: &[Atom], ty: Ty) -> Option<Value> {
        let fitting: Vec<&Atom> = atoms.iter().filter(|atom| atom.ty == ty).collect();
        (!fitting.is_empty()).then(|| self.pick(&fitting).expression.clone())
    }

    fn literal(&mut self, ty: Ty) -> Value {
        val(sample(self.rng, ty))
    }

    /// An expression of whatever type.
    fn any(&mut self, atoms: &[Atom], depth: u32) -> (Value, Ty) {
        if !atoms.is_empty() && self.chance(60) {
            let atom = self.pick(atoms);
            return (atom.expression, atom.ty);
        }
        let ty = self.pick(&[Ty::Num, Ty::Num, Ty::Str, Ty::Str, Ty::Bool, Ty::Real, Ty::Mixed, Ty::Big]);
        (self.expression(atoms, ty, depth), ty)
    }

    /// An expression of a type (or null, or missing).
    fn expression(&mut self, atoms: &[Atom], ty: Ty, depth: u32) -> Value {
        if depth == 0 || self.chance(50) {
            return match self.atom(atoms, ty) {
                Some(atom) if !self.chance(8) => atom,
                _ => self.literal(ty),
            };
        }
        let depth = depth - 1;
        if self.chance(15) {
            return func("coalesce", vec![self.expression(atoms, ty, depth), self.expression(atoms, ty, depth)]);
        }
        if self.chance(15) {
            let mut args = vec![self.condition(atoms, depth), self.expression(atoms, ty, depth)];
            if self.chance(70) {
                args.push(self.expression(atoms, ty, depth));
            }
            return func("caseWhen", args);
        }
        match ty {
            Ty::Num => self.number(atoms, depth),
            Ty::Real => {
                if self.chance(30) {
                    return func("add", vec![self.expression(atoms, Ty::Big, depth), val(json!(1))]);
                }
                func("divide", vec![self.expression(atoms, Ty::Num, depth), self.expression(atoms, Ty::Num, depth)])
            }
            Ty::Str => {
                if self.chance(40) {
                    let name = self.pick(&["upper", "lower"]);
                    return func(name, vec![self.expression(atoms, Ty::Str, depth)]);
                }
                let count = self.rng.usize(1..=3);
                func("concat", (0..count).map(|_| self.printable(atoms, depth)).collect())
            }
            Ty::Bool => self.condition(atoms, depth),
            Ty::Mixed | Ty::Big | Ty::Arr | Ty::Obj => self.expression(atoms, ty, 0),
        }
    }

    fn number(&mut self, atoms: &[Atom], depth: u32) -> Value {
        let first = self.expression(atoms, Ty::Num, depth);
        match self.rng.u32(..6) {
            0 => func("add", vec![first, self.expression(atoms, Ty::Num, depth)]),
            1 => func("subtract", vec![first, self.expression(atoms, Ty::Num, depth)]),
            2 => func("multiply", vec![first, val(self.pick(&[json!(2), json!(-1), json!(0.5), json!(3), json!(null)]))]),
            3 => func("divide", vec![first, val(self.pick(&[json!(2), json!(4), json!(0), json!(null)]))]),
            _ => {
                let ty = self.pick(&[Ty::Str, Ty::Arr, Ty::Mixed]);
                func("length", vec![self.expression(atoms, ty, depth)])
            }
        }
    }

    /// A value whose text nobody disputes: no fractions but small ones.
    fn printable(&mut self, atoms: &[Atom], depth: u32) -> Value {
        let ty = self.pick(&[Ty::Str, Ty::Str, Ty::Str, Ty::Num, Ty::Big, Ty::Bool, Ty::Mixed, Ty::Arr, Ty::Obj]);
        self.expression(atoms, ty, depth)
    }

    /// A boolean expression (which may be unknown).
    fn condition(&mut self, atoms: &[Atom], depth: u32) -> Value {
        if depth > 0 && self.chance(35) {
            let depth = depth - 1;
            let name = self.pick(&["and", "or", "or", "or", "not", "not"]);
            let count = if name == "not" { 1 } else { self.rng.usize(2..=3) };
            let mut args: Vec<Value> = (0..count).map(|_| self.condition(atoms, depth)).collect();
            if self.chance(4) {
                args[0] = self.expression(atoms, Ty::Mixed, 0); // a value that is no boolean
            }
            return func(name, args);
        }
        match self.rng.u32(..20) {
            0..=6 => {
                let ty = self.pick(&[Ty::Num, Ty::Num, Ty::Num, Ty::Num, Ty::Str, Ty::Str, Ty::Big, Ty::Real]);
                let other = if matches!(ty, Ty::Big | Ty::Real) && self.chance(40) { Ty::Num } else { ty };
                let name = self.pick(&["gt", "gte", "lt", "lte"]);
                func(name, vec![self.operand(atoms, ty, depth), self.expression(atoms, other, 0)])
            }
            7..=9 => {
                let ty = self.pick(&[Ty::Str, Ty::Str, Ty::Num, Ty::Num, Ty::Mixed, Ty::Big, Ty::Arr, Ty::Obj, Ty::Bool]);
                func("eq", vec![self.operand(atoms, ty, depth), self.expression(atoms, ty, 0)])
            }
            10 | 11 => {
                let ty = self.pick(&[Ty::Str, Ty::Num, Ty::Mixed, Ty::Big]);
                let mut items: Vec<Value> = (0..self.rng.usize(2..=5)).map(|_| sample(self.rng, ty)).collect();
                if self.chance(20) {
                    items.push(Value::Null);
                }
                let list = if self.chance(10) { self.expression(atoms, Ty::Arr, 0) } else { val(Value::Array(items)) };
                func("in", vec![self.operand(atoms, ty, depth), list])
            }
            12 | 13 => {
                let pattern = self.pick(&["x%", "%", "_", "%é%", "_%", "%1", "x", "S%"]);
                let name = self.pick(&["like", "ilike"]);
                func(name, vec![self.operand(atoms, Ty::Str, depth), val(json!(pattern))])
            }
            14..=16 => {
                let name = self.pick(&["isNull", "isUndefined"]);
                let tested = func(name, vec![self.any(atoms, 0).0]);
                if self.chance(60) { func("not", vec![tested]) } else { tested }
            }
            17 => {
                let name = self.pick(&["gt", "gte", "lt", "lte"]);
                let other = self.pick(&[Ty::Mixed, Ty::Num, Ty::Str]);
                func(name, vec![self.expression(atoms, Ty::Mixed, 0), self.expression(atoms, other, 0)])
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

/// The atoms of a source: its row as a whole, its key, its fields.
fn columns(alias: &str, fields: &[Field]) -> Vec<Atom> {
    let path = |rest: &[String]| reference(&[&[alias.to_owned()], rest].concat());
    let mut atoms = vec![
        Atom { expression: path(&[]), ty: Ty::Obj },
        Atom { expression: path(&["$key".to_owned()]), ty: Ty::Str },
    ];
    atoms.extend(fields.iter().map(|(field, ty)| Atom { expression: path(field), ty: *ty }));
    atoms
}

/// The fields of a source inside the row of a join that has no select.
fn under(alias: &str, fields: &[Field]) -> Vec<Field> {
    let inside = fields.iter().map(|(path, ty)| ([&[alias.to_owned()], path.as_slice()].concat(), *ty));
    std::iter::once((vec![alias.to_owned()], Ty::Obj)).chain(inside).collect()
}
