//! Aggregates by name, and what their arguments may be.

use crate::query::QueryError;
use crate::value::{Direction, Value};

macro_rules! aggregates {
    ($($(#[$doc:meta])* $variant:ident $name:literal $low:literal..=$high:literal,)*) => {
        /// An aggregate over the rows of a group. Null and missing values are skipped by all of
        /// them.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
        pub enum AggregateFunction { $($(#[$doc])* $variant,)* }

        impl AggregateFunction {
            const ALL: &[(AggregateFunction, &str, usize, usize)] =
                &[$((AggregateFunction::$variant, $name, $low, $high),)*];
        }
    };
}

aggregates! {
    /// How many values there are; 0 for none.
    Count "count" 1..=1,
    /// Their exact sum, rounded once where floats take part; 0 for none.
    Sum "sum" 1..=1,
    /// Their mean; null for none.
    Avg "avg" 1..=1,
    /// The least in the total order of values; null for none.
    Min "min" 1..=1,
    /// The greatest in the total order of values; null for none.
    Max "max" 1..=1,
    /// How many different values there are; 0 for none.
    CountDistinct "countDistinct" 1..=1,
    /// The standard deviation of a sample; null for fewer than two, or where one is not finite.
    Stddev "stddev" 1..=1,
    /// The middle of the numbers, interpolated between two; null for none.
    Median "median" 1..=1,
    /// The value below which a share of the numbers lies, interpolated; null for none.
    Quantile "quantile" 2..=2,
    /// All values in order, by key where there is none; empty for none.
    ArrayAgg "arrayAgg" 1..=3,
    /// The first value in order; null for none.
    First "first" 1..=3,
    /// The last value in order; null for none.
    Last "last" 1..=3,
}

impl AggregateFunction {
    fn entry(self) -> &'static (AggregateFunction, &'static str, usize, usize) {
        &Self::ALL[self as usize]
    }

    /// The name in query JSON.
    pub fn as_str(self) -> &'static str {
        self.entry().1
    }

    pub(in crate::query) fn parse(name: &str) -> Option<AggregateFunction> {
        Self::ALL.iter().find(|f| f.1 == name).map(|f| f.0)
    }

    pub(in crate::query) fn names() -> impl Iterator<Item = &'static str> {
        Self::ALL.iter().map(|f| f.1)
    }

    /// Checks a number of arguments.
    pub(in crate::query) fn check_arity(self, n: usize) -> Result<(), String> {
        let &(_, name, low, high) = self.entry();
        super::check_arity(name, low, high, n)
    }

    /// Checks the arguments that must be constant; `None` is one that is not. The error's path is
    /// `args[i]`.
    pub(in crate::query) fn check_constants(
        self,
        args: &[Option<&Value>],
    ) -> Result<(), QueryError> {
        let wrong = |i: usize, message: String| Err(QueryError::new(format!("args[{i}]"), message));
        match self {
            AggregateFunction::Quantile => match args.get(1) {
                Some(Some(p)) if quantile_of(p).is_some() => Ok(()),
                Some(Some(p)) => wrong(1, format!("must be a number from 0 to 1, not {p}")),
                _ => wrong(1, "must be a constant from 0 to 1".to_owned()),
            },
            AggregateFunction::ArrayAgg | AggregateFunction::First | AggregateFunction::Last => {
                match args.get(2) {
                    None => Ok(()),
                    Some(Some(d)) if direction_of(d).is_some() => Ok(()),
                    Some(Some(d)) => wrong(2, format!("must be \"asc\" or \"desc\", not {d}")),
                    Some(None) => wrong(2, "must be the constant \"asc\" or \"desc\"".to_owned()),
                }
            }
            _ => Ok(()),
        }
    }
}

/// The share that `quantile` is asked for.
pub(crate) fn quantile_of(p: &Value) -> Option<f64> {
    p.as_ref().as_f64().filter(|p| (0.0..=1.0).contains(p))
}

/// The direction of an aggregate's order.
pub(crate) fn direction_of(direction: &Value) -> Option<Direction> {
    match direction.as_str()? {
        "asc" => Some(Direction::Asc),
        "desc" => Some(Direction::Desc),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_names_is_complete() {
        for &(function, name, ..) in AggregateFunction::ALL {
            assert_eq!(function.as_str(), name);
            assert_eq!(AggregateFunction::parse(name), Some(function));
        }
    }

    #[test]
    fn constants_are_checked() {
        use AggregateFunction::*;
        let check = |function: AggregateFunction, i: usize, value: Option<Value>| {
            let mut args = vec![None; i];
            args.push(value.as_ref());
            function.check_constants(&args).map_err(|e| e.to_string())
        };
        for good in [Value::from(0), 0.5.into(), 1.into()] {
            assert_eq!(check(Quantile, 1, Some(good)), Ok(()));
        }
        for (function, i, value, expected) in [
            (
                Quantile,
                1,
                None,
                "`args[1]`: must be a constant from 0 to 1",
            ),
            (
                Quantile,
                1,
                Some(1.5.into()),
                "`args[1]`: must be a number from 0 to 1, not 1.5",
            ),
            (
                Quantile,
                1,
                Some("1".into()),
                "`args[1]`: must be a number from 0 to 1, not \"1\"",
            ),
            (
                Quantile,
                1,
                Some(Value::Float(f64::NAN)),
                "`args[1]`: must be a number from 0 to 1, not null",
            ),
            (
                First,
                2,
                Some("up".into()),
                "`args[2]`: must be \"asc\" or \"desc\", not \"up\"",
            ),
            (
                Last,
                2,
                Some(Value::Null),
                "`args[2]`: must be \"asc\" or \"desc\", not null",
            ),
            (
                ArrayAgg,
                2,
                None,
                "`args[2]`: must be the constant \"asc\" or \"desc\"",
            ),
        ] {
            assert_eq!(check(function, i, value), Err(expected.to_owned()));
        }
        assert_eq!(check(ArrayAgg, 2, Some("desc".into())), Ok(()));
        assert_eq!(check(ArrayAgg, 1, None), Ok(()));
    }
}
