//! Functions and aggregates by name, and what functions compute.
//!
//! Names and null rules are TanStack DB's (`packages/db/src/query/compiler/evaluators.ts`, 0.15),
//! with these decided differences: arrays and objects are equal by content, and strings compare by
//! code point.

use std::borrow::Cow;
use std::cmp::Ordering;

use smol_str::SmolStr;

use crate::value::{Value, ValueRef};

/// An aggregate over the rows of a group. Null and missing values are skipped by all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AggregateFunction {
    /// How many values there are; 0 for none.
    Count,
    /// Their exact sum, rounded once where floats take part; 0 for none.
    Sum,
    /// Their mean; null for none.
    Avg,
    /// The least in the total order of values; null for none.
    Min,
    /// The greatest in the total order of values; null for none.
    Max,
}

impl AggregateFunction {
    const ALL: [AggregateFunction; 5] = {
        use AggregateFunction::*;
        [Count, Sum, Avg, Min, Max]
    };

    /// The name in query JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            AggregateFunction::Count => "count",
            AggregateFunction::Sum => "sum",
            AggregateFunction::Avg => "avg",
            AggregateFunction::Min => "min",
            AggregateFunction::Max => "max",
        }
    }

    pub(super) fn parse(name: &str) -> Option<AggregateFunction> {
        Self::ALL.into_iter().find(|f| f.as_str() == name)
    }

    pub(super) fn names() -> impl Iterator<Item = &'static str> {
        Self::ALL.into_iter().map(AggregateFunction::as_str)
    }
}

macro_rules! functions {
    ($($(#[$doc:meta])* $variant:ident $name:literal $low:literal..=$high:expr,)*) => {
        /// A function of an expression.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Function { $($(#[$doc])* $variant,)* }

        impl Function {
            const ALL: &[(Function, &str, usize, usize)] =
                &[$((Function::$variant, $name, $low, $high),)*];
        }
    };
}

functions! {
    /// Equal by value; unknown if either side is null or missing.
    Eq "eq" 2..=2,
    /// Greater; unknown if either side is null or missing.
    Gt "gt" 2..=2,
    /// Greater or equal; unknown if either side is null or missing.
    Gte "gte" 2..=2,
    /// Less; unknown if either side is null or missing.
    Lt "lt" 2..=2,
    /// Less or equal; unknown if either side is null or missing.
    Lte "lte" 2..=2,
    /// Whether an array holds the value; unknown if the value is null or missing.
    In "in" 2..=2,
    /// Whether a string matches a pattern of `%` (anything) and `_` (one UTF-16 unit).
    Like "like" 2..=2,
    /// As `like`, whatever the case.
    Ilike "ilike" 2..=2,
    /// Kleene's and.
    And "and" 1..=usize::MAX,
    /// Kleene's or.
    Or "or" 1..=usize::MAX,
    /// Kleene's not.
    Not "not" 1..=1,
    /// Whether the value is null; never unknown.
    IsNull "isNull" 1..=1,
    /// Whether the value is missing; never unknown.
    IsUndefined "isUndefined" 1..=1,
    /// A string in upper case; anything else unchanged.
    Upper "upper" 1..=1,
    /// A string in lower case; anything else unchanged.
    Lower "lower" 1..=1,
    /// UTF-16 units of a string, elements of an array, 0 of anything else.
    Length "length" 1..=1,
    /// The arguments as one string; null and missing are empty.
    Concat "concat" 0..=usize::MAX,
    /// The first argument that is neither null nor missing, else null.
    Coalesce "coalesce" 1..=usize::MAX,
    /// `caseWhen(c1, v1, c2, v2, …, else)`: the value after the first true condition.
    CaseWhen "caseWhen" 2..=usize::MAX,
    /// The sum; null and missing count as 0.
    Add "add" 2..=2,
    /// The difference; null and missing count as 0.
    Subtract "subtract" 2..=2,
    /// The product; null and missing count as 0.
    Multiply "multiply" 2..=2,
    /// The quotient; null for a divisor of 0.
    Divide "divide" 2..=2,
    /// The time of the engine's clock, in milliseconds since 1970; in `where` only.
    Now "now" 0..=0,
}

impl Function {
    fn entry(self) -> &'static (Function, &'static str, usize, usize) {
        &Self::ALL[self as usize]
    }

    /// The name in query JSON.
    pub fn as_str(self) -> &'static str {
        self.entry().1
    }

    pub(super) fn parse(name: &str) -> Option<Function> {
        Self::ALL.iter().find(|f| f.1 == name).map(|f| f.0)
    }

    pub(super) fn names() -> impl Iterator<Item = &'static str> {
        Self::ALL.iter().map(|f| f.1)
    }

    /// Checks a number of arguments.
    pub(super) fn check_arity(self, n: usize) -> Result<(), String> {
        let &(_, name, low, high) = self.entry();
        if (low..=high).contains(&n) {
            return Ok(());
        }
        let plural = if low == 1 { "" } else { "s" };
        let takes = if low == high {
            format!("{low} argument{plural}")
        } else {
            format!("at least {low} argument{plural}")
        };
        Err(format!("`{name}` takes {takes}, not {n}"))
    }
}

/// The result of an expression: borrowed from the row where it can be.
#[derive(Clone, Debug)]
pub(crate) enum Datum<'a> {
    Ref(ValueRef<'a>),
    Own(Value),
}

impl Datum<'_> {
    #[inline]
    pub(crate) fn as_ref(&self) -> ValueRef<'_> {
        match self {
            Datum::Ref(value) => *value,
            Datum::Own(value) => value.as_ref(),
        }
    }

    pub(crate) fn into_value(self) -> Value {
        match self {
            Datum::Ref(value) => value.to_owned(),
            Datum::Own(value) => value,
        }
    }
}

const UNKNOWN: Datum<'static> = Datum::Ref(ValueRef::Null);

fn boolean<'a>(b: bool) -> Datum<'a> {
    Datum::Ref(ValueRef::Bool(b))
}

impl Function {
    /// Computes the function; `args` gives the value of the argument with a number, on demand.
    pub(crate) fn call<'a>(self, n: usize, arg: &dyn Fn(usize) -> Datum<'a>) -> Datum<'a> {
        match self {
            Function::And => kleene(n, arg, false),
            Function::Or => kleene(n, arg, true),
            Function::Coalesce => (0..n)
                .map(arg)
                .find(|v| !v.as_ref().is_nullish())
                .unwrap_or(UNKNOWN),
            Function::CaseWhen => {
                for i in (0..n - 1).step_by(2) {
                    if truthy(arg(i).as_ref()) {
                        return arg(i + 1);
                    }
                }
                if n % 2 == 1 { arg(n - 1) } else { UNKNOWN }
            }
            Function::Concat => {
                let text: String = (0..n)
                    .map(|i| to_text(arg(i).as_ref()).into_owned())
                    .collect();
                Datum::Own(text.into())
            }
            Function::Not => match arg(0).as_ref() {
                v if v.is_nullish() => UNKNOWN,
                v => boolean(!truthy(v)),
            },
            Function::IsNull => boolean(matches!(arg(0).as_ref(), ValueRef::Null)),
            Function::IsUndefined => boolean(matches!(arg(0).as_ref(), ValueRef::Missing)),
            Function::Upper => map_text(arg(0), str::to_uppercase),
            Function::Lower => map_text(arg(0), str::to_lowercase),
            Function::Length => Datum::Ref(ValueRef::Int(match arg(0).as_ref() {
                ValueRef::Str(s) => s.encode_utf16().count() as i128,
                ValueRef::Array(a) => a.seq().len() as i128,
                _ => 0,
            })),
            Function::Now => UNKNOWN,
            _ => self.binary(arg(0), arg(1)),
        }
    }

    fn binary<'a>(self, a: Datum<'a>, b: Datum<'a>) -> Datum<'a> {
        let (a, b) = (a.as_ref(), b.as_ref());
        match self {
            Function::Add => return Datum::Own(add(a, b)),
            Function::Subtract => {
                return Datum::Own(arithmetic(a, b, i128::checked_sub, |a, b| a - b));
            }
            Function::Multiply => {
                return Datum::Own(arithmetic(a, b, i128::checked_mul, |a, b| a * b));
            }
            Function::Divide => return Datum::Own(divide(a, b)),
            Function::In if !a.is_nullish() => {
                return boolean(match b {
                    ValueRef::Array(items) => {
                        items.iter().any(|item| !item.is_nullish() && item == a)
                    }
                    _ => false,
                });
            }
            _ if a.is_nullish() || b.is_nullish() => return UNKNOWN,
            _ => {}
        }
        boolean(match self {
            Function::Eq => a == b,
            Function::Gt => compare(a, b).is_gt(),
            Function::Gte => compare(a, b).is_ge(),
            Function::Lt => compare(a, b).is_lt(),
            Function::Lte => compare(a, b).is_le(),
            Function::Like | Function::Ilike => match (a, b) {
                (ValueRef::Str(s), ValueRef::Str(p)) if self == Function::Ilike => {
                    like(&s.to_lowercase(), &p.to_lowercase())
                }
                (ValueRef::Str(s), ValueRef::Str(p)) => like(s, p),
                _ => false,
            },
            _ => unreachable!("{self:?} is computed by `call`"),
        })
    }
}

/// `decisive` is what one argument alone decides: false for `and`, true for `or`.
fn kleene<'a>(n: usize, arg: &dyn Fn(usize) -> Datum<'a>, decisive: bool) -> Datum<'a> {
    let mut unknown = false;
    for i in 0..n {
        match arg(i).as_ref() {
            ValueRef::Bool(b) if b == decisive => return boolean(decisive),
            v => unknown |= v.is_nullish(),
        }
    }
    if unknown { UNKNOWN } else { boolean(!decisive) }
}

/// JavaScript's truth of a value.
pub(crate) fn truthy(value: ValueRef<'_>) -> bool {
    match value {
        ValueRef::Missing | ValueRef::Null => false,
        ValueRef::Bool(b) => b,
        ValueRef::Int(i) => i != 0,
        ValueRef::Float(f) => f != 0.0 && !f.is_nan(),
        ValueRef::Str(s) => !s.is_empty(),
        ValueRef::Array(_) | ValueRef::Object(_) => true,
    }
}

fn map_text<'a>(value: Datum<'a>, f: impl Fn(&str) -> String) -> Datum<'a> {
    match value.as_ref().as_str() {
        Some(s) => Datum::Own(f(s).into()),
        None => value,
    }
}

/// JavaScript's relational comparison. What cannot be compared is neither less nor greater, so that
/// `gte` and `lte` hold of it, as in TanStack DB.
fn compare(a: ValueRef<'_>, b: ValueRef<'_>) -> Ordering {
    use ValueRef::*;
    match (a, b) {
        (Int(_) | Float(_), Int(_) | Float(_))
        | (Str(_), Str(_))
        | (Bool(_), Bool(_))
        | (Array(_), Array(_))
        | (Object(_), Object(_)) => a.cmp(&b),
        (Array(_) | Object(_), _) | (_, Array(_) | Object(_)) => Ordering::Equal,
        _ => {
            let (a, b) = (to_number(a), to_number(b));
            let not_a_number = |v: &Value| matches!(v, Value::Float(f) if f.is_nan());
            if not_a_number(&a) || not_a_number(&b) {
                Ordering::Equal
            } else {
                a.cmp(&b)
            }
        }
    }
}

/// JavaScript's `Number(value)`, exact for 64-bit integers; null and missing are 0.
pub(crate) fn to_number(value: ValueRef<'_>) -> Value {
    match value {
        ValueRef::Missing | ValueRef::Null => Value::Int(0),
        ValueRef::Bool(b) => Value::Int(b.into()),
        ValueRef::Int(i) => Value::Int(i),
        ValueRef::Float(f) => Value::Float(f),
        ValueRef::Str(s) => {
            let s = s.trim();
            let numeric = s
                .bytes()
                .all(|b| b.is_ascii_digit() || b"+-.eE".contains(&b));
            match s.parse::<i128>() {
                _ if s.is_empty() => Value::Int(0),
                _ if !numeric => Value::Float(f64::NAN),
                Ok(i) => Value::int(i),
                Err(_) => Value::float(s.parse().unwrap_or(f64::NAN)),
            }
        }
        ValueRef::Array(_) | ValueRef::Object(_) => Value::Float(f64::NAN),
    }
}

fn add(a: ValueRef<'_>, b: ValueRef<'_>) -> Value {
    match (a, b) {
        // JavaScript's `+` joins strings; null and missing are 0 before that.
        (ValueRef::Str(_), _) | (_, ValueRef::Str(_)) => {
            let text = |v: ValueRef<'_>| {
                if v.is_nullish() {
                    Cow::Borrowed("0")
                } else {
                    Cow::Owned(to_text(v).into_owned())
                }
            };
            Value::Str(SmolStr::from(text(a) + text(b)))
        }
        _ => arithmetic(a, b, i128::checked_add, |a, b| a + b),
    }
}

fn arithmetic(
    a: ValueRef<'_>,
    b: ValueRef<'_>,
    exact: impl Fn(i128, i128) -> Option<i128>,
    rounded: impl Fn(f64, f64) -> f64,
) -> Value {
    let (a, b) = (to_number(a), to_number(b));
    if let (Value::Int(a), Value::Int(b)) = (&a, &b)
        && let Some(result) = exact(*a, *b)
    {
        return Value::int(result);
    }
    let float = |v: &Value| v.as_ref().as_f64().unwrap_or(f64::NAN);
    Value::float(rounded(float(&a), float(&b)))
}

fn divide(a: ValueRef<'_>, b: ValueRef<'_>) -> Value {
    let (a, b) = (to_number(a), to_number(b));
    match (&a, &b) {
        (_, Value::Int(0)) => Value::Null,
        (Value::Int(a), Value::Int(b)) if a % b == 0 => Value::int(a / b),
        _ => {
            let float = |v: &Value| v.as_ref().as_f64().unwrap_or(f64::NAN);
            Value::float(float(&a) / float(&b))
        }
    }
}

/// JavaScript's `String(value)` for scalars, JSON for arrays and objects; null and missing are empty.
pub(crate) fn to_text(value: ValueRef<'_>) -> Cow<'_, str> {
    match value {
        ValueRef::Missing | ValueRef::Null => Cow::Borrowed(""),
        ValueRef::Str(s) => Cow::Borrowed(s),
        ValueRef::Float(f) if f.is_infinite() => {
            Cow::Borrowed(if f > 0.0 { "Infinity" } else { "-Infinity" })
        }
        ValueRef::Float(f) if f.is_nan() => Cow::Borrowed("NaN"),
        ValueRef::Float(f) if f.abs() >= 1e21 || f.abs() < 1e-6 => {
            let text = format!("{f:e}");
            Cow::Owned(if text.contains("e-") {
                text
            } else {
                text.replace('e', "e+")
            })
        }
        ValueRef::Float(f) => Cow::Owned(f.to_string()),
        other => Cow::Owned(other.to_string()),
    }
}

/// Matches a whole string against `%` and `_`; linear but for one step back per `%`.
fn like(text: &str, pattern: &str) -> bool {
    use std::str::EncodeUtf16;
    const ANY: u16 = b'%' as u16;
    const ONE: u16 = b'_' as u16;
    let (mut text, mut pattern) = (text.encode_utf16(), pattern.encode_utf16());
    // Where to go on after a mismatch: the pattern behind the last `%`, the text it took up to.
    let mut retry: Option<(EncodeUtf16<'_>, EncodeUtf16<'_>)> = None;
    loop {
        let (p, t) = (pattern.clone().next(), text.clone().next());
        match (p, t) {
            (Some(ANY), _) => {
                pattern.next();
                retry = Some((pattern.clone(), text.clone()));
            }
            (None, None) => return true,
            (Some(p), Some(t)) if p == ONE || p == t => {
                pattern.next();
                text.next();
            }
            _ => {
                let Some((after, taken)) = &mut retry else {
                    return false;
                };
                if taken.next().is_none() {
                    return false;
                }
                pattern = after.clone();
                text = taken.clone();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::from_json;

    fn call(function: Function, args: &[&str]) -> String {
        let args: Vec<Value> = args
            .iter()
            .map(|a| {
                if *a == "undefined" {
                    Value::Missing
                } else {
                    from_json(a).unwrap()
                }
            })
            .collect();
        function
            .call(args.len(), &|i| Datum::Ref(args[i].as_ref()))
            .into_value()
            .to_string()
    }

    #[test]
    fn the_table_of_names_is_complete() {
        for &(function, name, ..) in Function::ALL {
            assert_eq!(function.as_str(), name);
            assert_eq!(Function::parse(name), Some(function));
        }
    }

    #[test]
    fn functions_follow_their_null_rules() {
        use Function::*;
        for (function, args, expected) in [
            (Eq, &["null", "null"][..], "null"),
            (Eq, &["1", "1.0"], "true"),
            (Eq, &["1", "\"1\""], "false"),
            (Eq, &["[1,{\"a\":2}]", "[1,{\"a\":2.0}]"], "true"),
            (Gt, &["\"5\"", "3"], "true"),
            (Gt, &["\"x\"", "3"], "false"),
            (Lt, &["\"x\"", "3"], "false"),
            (Gt, &["true", "0"], "true"),
            (Gte, &["\"x\"", "3"], "true"),
            (Lte, &["9007199254740993", "9007199254740992.0"], "false"),
            (Gt, &["undefined", "3"], "null"),
            (In, &["null", "[null]"], "null"),
            (In, &["5", "[null]"], "false"),
            (In, &["5", "null"], "false"),
            (In, &["5", "[4,5.0]"], "true"),
            (And, &["null", "false"], "false"),
            (And, &["null", "true"], "null"),
            (And, &["0", "true"], "true"),
            (Or, &["null", "true"], "true"),
            (Or, &["5", "false"], "false"),
            (Or, &["null", "false"], "null"),
            (Not, &["null"], "null"),
            (Not, &["0"], "true"),
            (IsNull, &["undefined"], "false"),
            (IsUndefined, &["undefined"], "true"),
            (Upper, &["\"straße\""], "\"STRASSE\""),
            (Lower, &["7"], "7"),
            (Length, &["\"a😀\""], "3"),
            (Length, &["null"], "0"),
            (
                Concat,
                &["\"a\"", "null", "1.5", "true", "[1,2]"],
                "\"a1.5true[1,2]\"",
            ),
            (Concat, &["1e21", "\" \"", "1e-7"], "\"1e+21 1e-7\""),
            (Coalesce, &["null", "undefined"], "null"),
            (Coalesce, &["null", "0"], "0"),
            (CaseWhen, &["\"\"", "1", "\"x\"", "2", "3"], "2"),
            (CaseWhen, &["null", "1"], "null"),
            (CaseWhen, &["0", "1", "9"], "9"),
            (Add, &["\"5\"", "1"], "\"51\""),
            (Add, &["null", "\"a\""], "\"0a\""),
            (Add, &["9223372036854775807", "1"], "9223372036854775808"),
            (
                Add,
                &["18446744073709551615", "1"],
                "1.8446744073709552e+19",
            ),
            (Subtract, &["\"5\"", "1"], "4"),
            (Multiply, &["0.5", "4"], "2"),
            (Multiply, &["null", "4"], "0"),
            (Divide, &["7", "2"], "3.5"),
            (Divide, &["6", "2"], "3"),
            (Divide, &["0", "0"], "null"),
            (Divide, &["null", "2"], "0"),
            (Divide, &["1", "null"], "null"),
            (Like, &["\"a\\nb\"", "\"a_b\""], "true"),
            (Like, &["\"abcabd\"", "\"%ab_\""], "true"),
            (Like, &["\"abc\"", "\"ab\""], "false"),
            (Like, &["\"\"", "\"%\""], "true"),
            (Like, &["\"😀\"", "\"_\""], "false"),
            (Like, &["\"😀\"", "\"__\""], "true"),
            (Like, &["\"50%\"", "\"50\\\\%\""], "false"),
            (Ilike, &["\"ABC\"", "\"a%C\""], "true"),
            (Like, &["5", "\"5\""], "false"),
            (Like, &["null", "\"%\""], "null"),
        ] {
            assert_eq!(
                call(function, args),
                expected,
                "{}({})",
                function.as_str(),
                args.join(", ")
            );
        }
    }
}
