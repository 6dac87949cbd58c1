//! The random selects, groups and union branches of `queries`.

use super::expressions::{agg, func, val};
use super::generate::Ty;
use super::queries::{Atom, Field, Given, Maker, columns};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// A select.
pub(crate) struct Selected {
    pub(crate) select: Value,
    /// The fields of the rows it makes.
    pub(crate) fields: Vec<Field>,
    /// Those that orders and conditions may hang on: not what includes bring.
    pub(crate) plain: Vec<Field>,
}

/// What a field of a select makes; paths start behind the field's name, or at the object for a
/// spread.
struct Entry {
    value: Value,
    fields: Vec<Field>,
    is_include: bool,
}

impl Maker<'_> {
    /// A select of columns, expressions, whole rows, nested objects, spreads, conditions and
    /// includes. `parents`: what queries of includes may refer to; `levels`: how deep they must go;
    /// `percent`: how likely one is anyway.
    pub(crate) fn select(
        &mut self,
        atoms: &[Atom],
        parents: &[Atom],
        levels: u32,
        percent: u32,
    ) -> Selected {
        let mut entries: BTreeMap<String, Entry> = BTreeMap::new();
        let spread = self.chance(16);
        if spread {
            for i in 0..self.pick(&[1, 1, 2]) {
                if let Some(entry) = self.spread(atoms) {
                    let plain = i == 0 && self.chance(30);
                    let name = format!("__SPREAD_SENTINEL__{}", self.name("s"));
                    entries.insert(if plain { "...".into() } else { name }, entry);
                }
            }
        }
        if self.chance(8) {
            for name in ["d.p", "d.q.r", "d.q.s"] {
                if self.chance(60) {
                    let (value, ty) = self.any(atoms, 1);
                    let fields = vec![(vec![], ty)];
                    entries.insert(name.into(), Entry::plain(value, fields));
                }
            }
        }
        let least = usize::from(entries.is_empty());
        for i in 0..self.rng.usize(least..=4) {
            let mut name = format!("f{i}");
            if spread && self.chance(50) {
                name = self.pick(&["g", "n", "Z"]).to_owned();
            }
            let entry = self.entry(atoms, parents, percent);
            entries.insert(name, entry);
        }
        let includes = if levels > 0 {
            self.pick(&[1, 1, 1, 2])
        } else {
            u32::from(self.chance(percent))
        };
        for i in 0..includes {
            if let Some(mut entry) = self.include(parents, levels.max(1) - 1) {
                if self.chance(10) {
                    for (path, _) in &mut entry.fields {
                        path.insert(0, "h".into());
                    }
                    entry.value = json!({"h": entry.value});
                }
                entries.insert(format!("i{i}"), entry);
            }
        }
        finished(entries)
    }

    fn entry(&mut self, atoms: &[Atom], parents: &[Atom], percent: u32) -> Entry {
        if self.chance(12) {
            let (mut nested, mut fields) = (Map::new(), Vec::new());
            for j in 0..self.rng.usize(1..=2) {
                let (expression, ty) = self.any(atoms, 1);
                nested.insert(format!("h{j}"), expression);
                fields.push((vec![format!("h{j}")], ty));
            }
            return Entry::plain(Value::Object(nested), fields);
        }
        if self.chance(9) {
            return self.conditional(atoms, parents, percent);
        }
        let (expression, ty) = self.any(atoms, 2);
        Entry::plain(expression, vec![(vec![], ty)])
    }

    /// The fields of a row or of an object inside of one.
    fn spread(&mut self, atoms: &[Atom]) -> Option<Entry> {
        let path = |atom: &Atom| -> Vec<String> {
            let path = atom.expression["path"].as_array().into_iter().flatten();
            path.map(|name| name.as_str().unwrap().to_owned()).collect()
        };
        let objects: Vec<&Atom> = atoms
            .iter()
            .filter(|atom| atom.ty == Ty::Obj && !path(atom).is_empty())
            .collect();
        if objects.is_empty() {
            return None;
        }
        let value = self.pick(&objects).expression.clone();
        let start = path(&Atom {
            expression: value.clone(),
            ty: Ty::Obj,
        });
        let inside = atoms.iter().filter_map(|atom| {
            let rest = path(atom).strip_prefix(start.as_slice())?.to_vec();
            (!rest.is_empty() && rest[0] != "$key").then_some((rest, atom.ty))
        });
        Some(Entry::plain(value, inside.collect()))
    }

    fn conditional(&mut self, atoms: &[Atom], parents: &[Atom], percent: u32) -> Entry {
        let shape: Vec<(String, Ty)> = (0..2)
            .map(|i| (format!("h{i}"), self.pick(&[Ty::Num, Ty::Str, Ty::Bool])))
            .collect();
        let mut branches = Vec::new();
        for _ in 0..self.pick(&[1, 1, 2, 3]) {
            let condition = self.condition(atoms, 1);
            let value = self.branch_value(atoms, parents, &shape, percent);
            branches.push(json!({"condition": condition, "value": value}));
        }
        let mut value = json!({"type": "conditionalSelect", "branches": branches});
        if self.chance(60) {
            value["defaultValue"] = self.branch_value(atoms, parents, &shape, percent);
        }
        let fields = shape.into_iter().map(|(name, ty)| (vec![name], ty));
        Entry {
            is_include: value.to_string().contains("includesSubquery"),
            value,
            fields: fields.collect(),
        }
    }

    fn branch_value(
        &mut self,
        atoms: &[Atom],
        parents: &[Atom],
        shape: &[(String, Ty)],
        percent: u32,
    ) -> Value {
        if self.chance(15) {
            return self.any(atoms, 1).0;
        }
        let mut object = Map::new();
        for (name, ty) in shape {
            if self.chance(80) {
                object.insert(name.clone(), self.expression(atoms, *ty, 1));
            }
        }
        if self.chance(3 * percent)
            && let Some(Entry { value, .. }) = self.include(parents, 0)
        {
            if self.chance(15) {
                return value;
            }
            object.insert("i".into(), value);
        }
        Value::Object(object)
    }

    fn include(&mut self, parents: &[Atom], levels: u32) -> Option<Entry> {
        let (value, fields) = self.child(parents, levels)?;
        Some(Entry {
            value,
            fields,
            is_include: true,
        })
    }

    /// Adds groupBy, select and having; gives the atoms for ORDER BY and the fields of the result.
    pub(crate) fn group(
        &mut self,
        query: &mut Value,
        atoms: &[Atom],
        levels: u32,
    ) -> (Vec<Atom>, Vec<Field>) {
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
        if !keys.is_empty() {
            query["groupBy"] = keys.iter().map(|key| key.expression.clone()).collect();
        }
        let fields: Vec<Field> = if !keys.is_empty() && levels == 0 && self.chance(13) {
            keys.iter()
                .enumerate()
                .map(|(i, key)| (vec![format!("__key_{i}")], key.ty))
                .collect()
        } else {
            self.group_select(query, &keys, &pool, levels)
        };
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

    /// Adds the select of a grouped query; gives its fields, without those of includes.
    fn group_select(
        &mut self,
        query: &mut Value,
        keys: &[Atom],
        pool: &[Atom],
        levels: u32,
    ) -> Vec<Field> {
        let mut wanted: Vec<Atom> = keys
            .iter()
            .filter(|_| self.rng.u32(..100) < 85)
            .cloned()
            .collect();
        wanted.extend(pool[keys.len()..].iter().cloned());
        if self.chance(40) {
            let (expression, ty) = self.any(pool, 2);
            wanted.push(Atom { expression, ty });
        }
        self.rng.shuffle(&mut wanted);
        let nest = self.pick(&["", "", "", "", "", "", "h", "."]);
        let mut entries = BTreeMap::new();
        for (i, Atom { expression, ty }) in wanted.into_iter().enumerate() {
            let (name, value, path) = match nest {
                "h" => (format!("f{i}"), json!({"h": expression}), vec!["h".into()]),
                "." => (format!("d.f{i}"), expression, vec![]),
                _ => (format!("f{i}"), expression, vec![]),
            };
            entries.insert(name, Entry::plain(value, vec![(path, ty)]));
        }
        let parents: Vec<Atom> = keys
            .iter()
            .filter(|key| key.expression["type"] == "ref")
            .cloned()
            .collect();
        if self.chance(8) {
            let entry = self.conditional(pool, &parents, 3);
            entries.insert("c".into(), entry);
        }
        if (levels > 0 || self.chance(6))
            && let Some(entry) = self.include(&parents, levels.max(1) - 1)
        {
            entries.insert("i0".into(), entry);
        }
        let made = finished(entries);
        query["select"] = made.select;
        made.plain
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
            .filter(|atom| atom.ty == ty && !super::queries::is_key(atom))
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
        let (expression, ty) = match self.rng.u32(..18) {
            0..=2 => (agg("count", self.pick(atoms).expression), Ty::Num),
            3 | 4 => (agg("sum", self.expression(atoms, Ty::Num, 1)), Ty::Num),
            5 => match self.atom(atoms, Ty::Big) {
                Some(big) => (agg("sum", big), Ty::Real),
                None => (agg("count", self.pick(atoms).expression), Ty::Num),
            },
            6 => (agg("avg", self.expression(atoms, Ty::Num, 1)), Ty::Real),
            7..=9 => {
                let (argument, ty) = self.any(atoms, 1);
                let name = self.pick(&["min", "max"]);
                (agg(name, argument), ty)
            }
            10 => (agg("countDistinct", self.any(atoms, 1).0), Ty::Num),
            11 | 12 => {
                let ty = self.pick(&[Ty::Num, Ty::Num, Ty::Mixed]);
                let argument = self.expression(atoms, ty, 1);
                let share = self.pick(&[0.0, 0.25, 0.5, 0.75, 1.0]);
                let mut made = agg("median", argument);
                if self.chance(50) {
                    made["name"] = json!("quantile");
                    let args = made["args"].as_array_mut().unwrap();
                    args.push(val(json!(share)));
                }
                (made, Ty::Real)
            }
            13 | 14 => {
                // Small whole numbers, so that the sums inside are exact.
                let argument = match self.atom(atoms, Ty::Num) {
                    Some(atom) => func("floor", vec![atom]),
                    None => func("length", vec![self.expression(atoms, Ty::Str, 0)]),
                };
                (agg("stddev", argument), Ty::Real)
            }
            _ => self.ordered_aggregate(atoms),
        };
        Atom { expression, ty }
    }

    fn ordered_aggregate(&mut self, atoms: &[Atom]) -> (Value, Ty) {
        let (mut argument, mut ty) = self.any(atoms, 1);
        if ty == Ty::Real {
            (argument, ty) = (self.expression(atoms, Ty::Str, 1), Ty::Str);
        }
        let name = self.pick(&["arrayAgg", "arrayAgg", "first", "last"]);
        let mut made = agg(name, argument);
        if self.chance(75) {
            let args = made["args"].as_array_mut().unwrap();
            args.push(self.any(atoms, 1).0);
            if self.chance(75) {
                args.push(val(json!(self.pick(&["asc", "desc", "desc"]))));
            }
        }
        (made, if name == "arrayAgg" { Ty::Arr } else { ty })
    }

    /// A `unionAll`, and the fields on whose type its branches agree.
    pub(crate) fn union_all(&mut self, depth: u32) -> (Value, Vec<Field>) {
        let shape: Vec<(&str, Ty)> = [
            ("f0", Ty::Str),
            ("g", Ty::Str),
            ("n", Ty::Num),
            ("link", Ty::Str),
            ("x", self.pick(&[Ty::Mixed, Ty::Bool, Ty::Big])),
        ]
        .into_iter()
        .filter(|_| self.rng.bool())
        .collect();
        let shaped = shape.len() > 1 && self.chance(60);
        let mut branches: Vec<(Value, Vec<Field>)> = Vec::new();
        for i in 0..self.pick(&[2, 2, 2, 3]) {
            branches.push(match branches.first() {
                Some(first) if i > 0 && self.chance(12) => first.clone(),
                _ if shaped => self.branch(depth, &shape),
                _ => self.query(depth, false),
            });
        }
        let mut fields: Vec<Field> = Vec::new();
        for (path, ty) in branches.iter().flat_map(|(_, fields)| fields) {
            let agree = branches
                .iter()
                .flat_map(|(_, fields)| fields)
                .all(|(other, other_ty)| other != path || other_ty == ty);
            // What looks like an alias could be taken for one of an outer query.
            let like_alias = path[0].starts_with('t') && path[0] != "tags" && path[0] != "to";
            if agree && !like_alias && !fields.iter().any(|(known, _)| known == path) {
                fields.push((path.clone(), *ty));
            }
        }
        let queries: Vec<Value> = branches.into_iter().map(|(query, _)| query).collect();
        (json!({"type": "unionAll", "queries": queries}), fields)
    }

    /// A branch whose rows have these fields, or most of them.
    fn branch(&mut self, depth: u32, shape: &[(&str, Ty)]) -> (Value, Vec<Field>) {
        let mut query = json!({});
        let joins = self.pick(&[0, 0, 0, 1]);
        let Given { mut atoms, .. } = self.given(&mut query, depth, joins);
        if self.chance(40) {
            query["where"] = self.wheres(&atoms, 1);
        }
        if self.chance(20) {
            (atoms, _) = self.group(&mut query, &atoms, 0);
        }
        let (mut select, mut fields) = (Map::new(), Vec::new());
        for (name, ty) in shape {
            if self.chance(90) || fields.is_empty() {
                select.insert((*name).into(), self.expression(&atoms, *ty, 1));
                fields.push((vec![(*name).to_owned()], *ty));
            }
        }
        // The conditions on groups may have referred to the select before.
        query.as_object_mut().unwrap().remove("having");
        query["select"] = Value::Object(select);
        (query, fields)
    }
}

impl Entry {
    fn plain(value: Value, fields: Vec<Field>) -> Entry {
        Entry {
            value,
            fields,
            is_include: false,
        }
    }
}

/// The select of such entries. Of a field that several make, nothing is known unless all make the
/// same.
fn finished(entries: BTreeMap<String, Entry>) -> Selected {
    let mut made: Vec<(Field, bool)> = Vec::new();
    let mut select = Map::new();
    for (name, entry) in entries {
        let start: Vec<String> = if name == "..." || name.starts_with("__SPREAD") {
            Vec::new()
        } else {
            name.split('.').map(str::to_owned).collect()
        };
        let fields: Vec<Field> = entry
            .fields
            .into_iter()
            .map(|(path, ty)| ([start.clone(), path].concat(), ty))
            .collect();
        let same_column = |(path, ty): &Field| {
            let other = fields.iter().find(|(other, _)| other[0] == path[0]);
            other.is_none_or(|(other, other_ty)| other == path && other_ty == ty)
        };
        // A dotted name adds to an object; everything else replaces.
        if start.len() < 2 {
            let clash: Vec<String> = made
                .iter()
                .filter(|(field, _)| !same_column(field))
                .map(|((path, _), _)| path[0].clone())
                .collect();
            made.retain(|((path, _), _)| !clash.contains(&path[0]));
            made.extend(
                fields
                    .into_iter()
                    .filter(|(path, _)| !clash.contains(&path[0]))
                    .map(|field| (field, entry.is_include)),
            );
        } else {
            made.extend(fields.into_iter().map(|field| (field, false)));
        }
        select.insert(name, entry.value);
    }
    made.dedup_by(|a, b| a.0 == b.0);
    let plain = made.iter().filter(|(_, include)| !include);
    Selected {
        select: Value::Object(select),
        plain: plain.map(|(field, _)| field.clone()).collect(),
        fields: made.into_iter().map(|(field, _)| field).collect(),
    }
}
