//! Text in rows: interned, or as it is.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt::Debug;
use std::hash::{BuildHasher, BuildHasherDefault, Hash, Hasher, RandomState};
use std::rc::Rc;

use compact_str::CompactString;

/// A string in a row; the empty one is the missing one.
pub(crate) trait Text: Clone + Ord + Hash + Debug + Default + 'static {
    /// How maps by it hash.
    type Hash: BuildHasher + Default + 'static;
    /// What sorts as the text does.
    type Rank: Ord + Clone + 'static;

    fn of(text: &str, names: &Names) -> Self;
    fn text(&self, names: &Names) -> String;
    /// Of the texts that break ties (ids, languages), which are short.
    fn rank(&self, names: &Names) -> Self::Rank;
}

pub(crate) type TextMap<S, V> = HashMap<S, V, <S as Text>::Hash>;

impl Text for CompactString {
    type Hash = RandomState;
    type Rank = CompactString;

    fn of(text: &str, _: &Names) -> Self {
        text.into()
    }

    fn text(&self, _: &Names) -> String {
        self.to_string()
    }

    fn rank(&self, _: &Names) -> CompactString {
        self.clone()
    }
}

/// An interned string.
pub(crate) type Symbol = u32;

impl Text for Symbol {
    type Hash = BuildHasherDefault<SymbolHasher>;
    type Rank = u64;

    fn of(text: &str, names: &Names) -> Self {
        names.0.borrow_mut().symbol(text)
    }

    fn text(&self, names: &Names) -> String {
        names.0.borrow().texts[*self as usize].to_string()
    }

    fn rank(&self, names: &Names) -> u64 {
        let names = names.0.borrow();
        let text = names.texts[*self as usize].as_bytes();
        let mut bytes = [0; 8];
        bytes[..text.len()].copy_from_slice(text);
        u64::from_be_bytes(bytes)
    }
}

/// The interner.
#[derive(Clone, Default)]
pub(crate) struct Names(Rc<RefCell<Interned>>);

struct Interned {
    symbols: HashMap<Rc<str>, Symbol>,
    texts: Vec<Rc<str>>,
}

impl Default for Interned {
    fn default() -> Interned {
        Interned {
            symbols: HashMap::from([("".into(), 0)]),
            texts: vec!["".into()],
        }
    }
}

impl Interned {
    fn symbol(&mut self, text: &str) -> Symbol {
        if let Some(symbol) = self.symbols.get(text) {
            return *symbol;
        }
        let (text, symbol): (Rc<str>, _) = (text.into(), self.texts.len() as Symbol);
        self.texts.push(text.clone());
        self.symbols.insert(text, symbol);
        symbol
    }
}

/// Symbols are dense; one multiplication spreads them.
#[derive(Default)]
pub(crate) struct SymbolHasher(u64);

impl Hasher for SymbolHasher {
    fn write(&mut self, _: &[u8]) {
        unreachable!("only symbols are hashed")
    }

    fn write_u32(&mut self, symbol: u32) {
        self.0 = u64::from(symbol)
            .wrapping_mul(0x9e37_79b9_7f4a_7c15)
            .rotate_left(32);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
