//! The random includes of `queries`: a child query, and what links it to its parent.

use super::expressions::{func, reference};
use super::generate::Ty;
use super::queries::{Atom, Field, Given, Maker};
use serde_json::{Value, json};

const SCALAR: &str = "__includes_scalar__";

impl Maker<'_> {
    /// An include and the fields it makes, paths behind its name. `levels`: how many more levels of
    /// includes there must be. None where there is nothing to link it to.
    pub(crate) fn child(&mut self, parents: &[Atom], levels: u32) -> Option<(Value, Vec<Field>)> {
        let is_reference = |atom: &&Atom| {
            let path = atom.expression["path"].as_array();
            path.is_some_and(|path| path.len() > 1 || !is_alias(&path[0]))
        };
        let parents: Vec<Atom> = parents.iter().filter(is_reference).cloned().collect();
        if parents.is_empty() {
            return None;
        }
        let mut query = json!({});
        let joins = self.pick(&[0, 0, 0, 0, 0, 1]);
        let depth = u32::from(self.chance(25));
        let Given { atoms, mut fields } = self.given(&mut query, depth, joins);
        if self.chance(30) || self.clock && self.chance(30) {
            query["where"] = self.wheres(&atoms, 1);
        }
        let mut include = json!({"type": "includesSubquery"});
        // Paths of a union start with a field: among its rows' those of a union around are hidden.
        let nameless = query["from"]["type"] == "unionAll";
        let named = |atom: &&Atom| !nameless || is_alias(&atom.expression["path"][0]);
        let visible: Vec<Atom> = parents.iter().filter(named).cloned().collect();
        self.link(&mut include, &mut query, (&parents, &visible), &atoms);

        let kind = self.rng.u32(..100);
        let scalar = kind < 30;
        let mut all = atoms.clone();
        if self.chance(35) {
            all.extend(visible.iter().cloned());
        }
        let (mut order_atoms, mut selected) = (atoms.clone(), Vec::new());
        let mut ty = Ty::Arr;
        if scalar {
            let wanted = self.pick(&[Ty::Str, Ty::Num, Ty::Mixed]);
            query["select"] = json!({SCALAR: self.expression(&all, wanted, 1)});
            include["scalarField"] = json!(SCALAR);
            (fields, selected) = (Vec::new(), vec![(vec![SCALAR.to_owned()], wanted)]);
            ty = wanted;
        } else if levels == 0 && self.chance(28) {
            (order_atoms, fields) = self.group(&mut query, &atoms, 0);
            if query.get("select").is_some() {
                selected = fields.clone();
            }
        } else if levels > 0 || self.chance(65) {
            let around = [atoms.as_slice(), visible.as_slice()].concat();
            let made = self.select(&all, &around, levels, 12);
            query["select"] = made.select;
            (fields, selected) = (made.fields, made.plain);
        }
        self.finish(&mut query, order_atoms, &selected, 45, false);
        let name = match kind {
            0..12 => "concat",
            12..25 | 30..60 => "array",
            25..30 | 60..80 => "singleton",
            _ => "collection",
        };
        if name == "singleton" && self.chance(85) {
            query["singleResult"] = json!(true);
        }
        include["materialization"] = json!(name);
        include["query"] = query;
        // What TanStack's builder writes beside.
        if self.chance(50) {
            include["fieldName"] = json!("f");
        }
        let made = match name {
            "singleton" if scalar => vec![(vec![], ty)],
            "singleton" => fields,
            "concat" => vec![(vec![], Ty::Str)],
            _ => vec![(vec![], Ty::Arr)],
        };
        Some((include, made))
    }

    /// Adds what a child must have in common with its parent. `visible`: those of the parents'
    /// expressions that the child's conditions may use.
    fn link(
        &mut self,
        include: &mut Value,
        query: &mut Value,
        (parents, visible): (&[Atom], &[Atom]),
        atoms: &[Atom],
    ) {
        let form = match self.rng.u32(..100) {
            _ if visible.is_empty() => 0,
            form => form,
        };
        let mut filters = Vec::new();
        if form < 50 {
            let (mut parent, mut child) = self.equality(parents, atoms);
            while parent["type"] != "ref" || child["type"] != "ref" {
                (parent, child) = self.equality(parents, atoms);
            }
            include["correlationField"] = parent;
            include["childCorrelationField"] = child;
        } else if form < 96 {
            let (parent, child) = self.equality(visible, atoms);
            filters.push(self.turned(parent, child));
        }
        if form >= 96 || !visible.is_empty() && self.chance(22) {
            let ty = self.pick(&[Ty::Num, Ty::Str]);
            let name = self.pick(&["gt", "gte", "lt", "eq", "lte"]);
            let sides = vec![self.column(atoms, ty), self.column(visible, ty)];
            filters.push(func(name, sides));
        }
        if !visible.is_empty() && self.chance(10) {
            let both = [atoms, visible].concat();
            filters.push(self.condition(&both, 1));
        }
        // Filters stand beside the query or in it.
        for filter in filters {
            let (owner, field) = if self.chance(45) {
                (&mut *include, "parentFilters")
            } else {
                (&mut *query, "where")
            };
            let owner = owner.as_object_mut().unwrap();
            let items = owner.entry(field).or_insert(json!([]));
            items.as_array_mut().unwrap().push(filter);
        }
        if let Some(parent) = visible.first()
            && self.chance(10)
        {
            let path = parent.expression["path"].as_array().unwrap();
            let path: Vec<String> = path.iter().map(|s| s.as_str().unwrap().into()).collect();
            include["parentProjection"] = json!([reference(&path)]);
        }
    }
}

/// Whether the first name of a path is one of the generator's aliases, not a field.
fn is_alias(name: &Value) -> bool {
    let name = name.as_str().unwrap_or_default();
    name.starts_with('t') && name[1..].bytes().all(|b| b.is_ascii_digit())
}
