//! Who reads which rows of a collection, found without asking everybody.
//!
//! A thousand readers of `where tenant = x`, each with another `x`, are one look-up for a row: they
//! stand by the value that their condition asks for. Readers without such a condition are asked one
//! by one.

use hashbrown::HashMap;
use smallvec::SmallVec;

use crate::plan::{Expr, join_key};
use crate::query::Function;
use crate::value::{Row, ValueRef, encode};

type Bytes = SmallVec<[u8; 16]>;

/// The readers of one collection, by what their filters ask of a row.
#[derive(Debug)]
pub struct Router<T> {
    indexes: Vec<Index<T>>,
    rest: Vec<T>,
}

/// The readers that ask for an expression to have one of some values, by the value.
#[derive(Debug)]
struct Index<T> {
    expr: Expr,
    /// A few are found sooner without a hash. If there are more, all are in the table.
    few: Vec<(Bytes, Readers<T>)>,
    many: HashMap<Bytes, Readers<T>, foldhash::fast::RandomState>,
}

type Readers<T> = SmallVec<[T; 2]>;

/// So many values are looked at one by one.
const FEW: usize = 4;

impl<T: Copy + PartialEq> Index<T> {
    fn new(expr: &Expr) -> Index<T> {
        Index {
            expr: expr.clone(),
            few: Vec::new(),
            many: HashMap::default(),
        }
    }

    fn is_empty(&self) -> bool {
        self.few.is_empty() && self.many.is_empty()
    }

    #[inline]
    fn get(&self, value: &[u8]) -> Option<&Readers<T>> {
        if !self.many.is_empty() {
            return self.many.get(value);
        }
        let found = self.few.iter().find(|(known, _)| known[..] == *value);
        found.map(|(_, readers)| readers)
    }

    fn insert(&mut self, value: Bytes, reader: T) {
        if let Some((_, readers)) = self.few.iter_mut().find(|(known, _)| *known == value) {
            return readers.push(reader);
        }
        if self.many.is_empty() && self.few.len() < FEW {
            return self.few.push((value, SmallVec::from_elem(reader, 1)));
        }
        self.many.extend(self.few.drain(..));
        self.many.entry(value).or_default().push(reader);
    }

    fn remove(&mut self, value: &[u8], reader: T) {
        let part = |readers: &mut Readers<T>| {
            readers.retain(|other| *other != reader);
            readers.is_empty()
        };
        self.few
            .retain_mut(|(known, readers)| known[..] != *value || !part(readers));
        if self.many.get_mut(value).is_some_and(part) {
            self.many.remove(value);
        }
        if self.many.len() < self.many.capacity() / 8 {
            self.many.shrink_to_fit();
        }
    }
}

impl<T> Default for Router<T> {
    fn default() -> Self {
        Router {
            indexes: Vec::new(),
            rest: Vec::new(),
        }
    }
}

impl<T: Copy + PartialEq> Router<T> {
    /// Adds a reader of the rows that pass a filter.
    pub fn insert(&mut self, filter: &[Expr], reader: T) {
        let Some((expr, values)) = asked(filter) else {
            return self.rest.push(reader);
        };
        let found = self.indexes.iter().position(|index| index.expr == *expr);
        let place = found.unwrap_or_else(|| {
            self.indexes.push(Index::new(expr));
            self.indexes.len() - 1
        });
        for value in values {
            self.indexes[place].insert(value, reader);
        }
    }

    /// Takes a reader away that was added with this filter.
    pub fn remove(&mut self, filter: &[Expr], reader: T) {
        let Some((expr, values)) = asked(filter) else {
            return self.rest.retain(|other| *other != reader);
        };
        let Some(place) = self.indexes.iter().position(|index| index.expr == *expr) else {
            return;
        };
        let index = &mut self.indexes[place];
        for value in values {
            index.remove(&value, reader);
        }
        if index.is_empty() {
            self.indexes.swap_remove(place);
        }
    }

    /// The readers that any row may concern.
    pub fn rest(&self) -> &[T] {
        &self.rest
    }

    /// Whether there are readers that only some rows concern.
    pub fn is_indexed(&self) -> bool {
        !self.indexes.is_empty()
    }

    /// Calls `f` once with each reader that only some rows concern, and this one may.
    pub fn of(&self, row: &Option<Row>, scratch: &mut Vec<u8>, mut f: impl FnMut(T)) {
        for index in &self.indexes {
            let tuple = std::slice::from_ref(row);
            let value = match &index.expr {
                Expr::Column { column, .. } => row.as_ref().map_or(&[][..], |r| r.encoded(*column)),
                expr => join_key(std::slice::from_ref(expr), tuple, scratch).unwrap_or_default(),
            };
            // Nobody stands by a null.
            if let Some(readers) = index.get(value) {
                readers.iter().for_each(|reader| f(*reader));
            }
        }
    }
}

/// The first condition of a filter by which a reader can be found: what it looks at, and the values
/// that this may have.
fn asked(filter: &[Expr]) -> Option<(&Expr, Vec<Bytes>)> {
    filter.iter().find_map(|condition| {
        let Expr::Call(function, args) = condition else {
            return None;
        };
        let [left, right] = &args[..] else {
            return None;
        };
        match (function, left, right) {
            (Function::Eq, expr, Expr::Const(value)) | (Function::Eq, Expr::Const(value), expr) => {
                Some((expr, values([value.as_ref()])))
            }
            (Function::In, expr, Expr::Const(list)) => {
                let ValueRef::Array(items) = list.as_ref() else {
                    return None;
                };
                Some((expr, values(items.seq().iter())))
            }
            _ => None,
        }
    })
}

/// The values but null and missing, which equal nothing, each once.
fn values<'a>(of: impl IntoIterator<Item = ValueRef<'a>>) -> Vec<Bytes> {
    let known = of.into_iter().filter(|value| !value.is_nullish());
    let mut values: Vec<Bytes> = known
        .map(|value| {
            let mut bytes = Vec::new();
            encode(value, &mut bytes);
            Bytes::from_vec(bytes)
        })
        .collect();
    values.sort_unstable();
    values.dedup();
    values
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Label;
    use crate::value::Value;

    fn column(column: usize) -> Expr {
        Expr::Column {
            source: 0,
            column,
            label: Label::default(),
        }
    }

    fn call(function: Function, args: [Expr; 2]) -> Expr {
        Expr::Call(function, args.into())
    }

    fn filters(rng: &mut fastrand::Rng) -> Vec<Expr> {
        let any = |rng: &mut fastrand::Rng| match rng.u32(0..5) {
            0 => Value::Null,
            1 => Value::from("a"),
            n => Value::from(n),
        };
        let condition = |rng: &mut fastrand::Rng| {
            let (left, value) = (column(rng.usize(1..3)), any(rng));
            match rng.u32(0..4) {
                0 => call(Function::Eq, [left, Expr::Const(value)]),
                1 => call(Function::Eq, [Expr::Const(value), left]),
                2 => {
                    let list: Vec<Value> = (0..rng.usize(0..4)).map(|_| any(rng)).collect();
                    call(Function::In, [left, Expr::Const(list.into())])
                }
                _ => call(Function::Gt, [left, Expr::Const(value)]),
            }
        };
        (0..rng.usize(0..3)).map(|_| condition(rng)).collect()
    }

    #[test]
    fn nobody_is_missed_and_nobody_is_told_twice() {
        let mut rng = fastrand::Rng::with_seed(3);
        for _ in 0..200 {
            let mut router = Router::default();
            let mut readers: Vec<(usize, Vec<Expr>)> = Vec::new();
            for reader in 0..30 {
                let filter = filters(&mut rng);
                router.insert(&filter, reader);
                readers.push((reader, filter));
                if rng.u32(0..3) == 0 {
                    let (reader, filter) = readers.swap_remove(rng.usize(0..readers.len()));
                    router.remove(&filter, reader);
                }
                let fields = [Value::from("k"), rng.u32(2..5).into(), Value::from("a")];
                let row: Option<Row> = Some(fields.into_iter().collect());
                let mut told = router.rest().to_vec();
                router.of(&row, &mut Vec::new(), |reader| told.push(reader));
                let accepts = |f: &[Expr]| f.iter().all(|e| e.test(std::slice::from_ref(&row)));
                for (reader, filter) in &readers {
                    let times = told.iter().filter(|other| *other == reader).count();
                    assert!(times <= 1 && (times == 1 || !accepts(filter)), "{filter:?}");
                }
                assert!(
                    told.iter()
                        .all(|r| readers.iter().any(|(reader, _)| reader == r))
                );
            }
        }
    }

    #[test]
    fn readers_that_ask_for_other_values_are_not_met() {
        let mut router = Router::default();
        let filter = |n: usize| {
            [call(
                Function::Eq,
                [column(1), Expr::Const(Value::from(n as u64))],
            )]
        };
        (0..1000).for_each(|n| router.insert(&filter(n), n));
        let row = Some([Value::from("k"), Value::from(7)].into_iter().collect());
        let mut told = Vec::new();
        router.of(&row, &mut Vec::new(), |reader| told.push(reader));
        assert_eq!((told, router.rest()), (vec![7], &[][..]));
        (0..1000).for_each(|n| router.remove(&filter(n), n));
        assert!(!router.is_indexed());
    }
}
