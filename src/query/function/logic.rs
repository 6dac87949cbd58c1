//! Comparisons, three-valued logic, and functions that choose among their arguments.

use std::cmp::Ordering;

use super::text::to_text;
use super::{Datum, Function, MAX_MADE, UNKNOWN, boolean, to_number, weight};
use crate::value::{Value, ValueRef};

pub(super) fn call<'a>(
    function: Function,
    n: usize,
    arg: &dyn Fn(usize) -> Datum<'a>,
) -> Datum<'a> {
    match function {
        Function::And => kleene(n, arg, false),
        Function::Or => kleene(n, arg, true),
        Function::Not => match arg(0).as_ref() {
            v if v.is_nullish() => UNKNOWN,
            v => boolean(!truthy(v)),
        },
        Function::IsNull => boolean(matches!(arg(0).as_ref(), ValueRef::Null)),
        Function::IsUndefined => boolean(matches!(arg(0).as_ref(), ValueRef::Missing)),
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
        Function::Array => {
            let items: Vec<Datum<'_>> = (0..n).map(arg).collect();
            if items
                .iter()
                .map(|item| weight(item.as_ref()))
                .sum::<usize>()
                > MAX_MADE
            {
                return UNKNOWN;
            }
            let items = items.iter().map(|item| match item.as_ref() {
                ValueRef::Missing => ValueRef::Null,
                item => item,
            });
            Datum::Own(Value::array(items))
        }
        other => unreachable!("{other:?} is not logic"),
    }
}

pub(super) fn compare_two<'a>(function: Function, a: Datum<'a>, b: Datum<'a>) -> Datum<'a> {
    holds(function, a.as_ref(), b.as_ref()).map_or(UNKNOWN, boolean)
}

/// Whether a comparison holds, if that can be known.
#[inline]
pub(super) fn holds(function: Function, a: ValueRef<'_>, b: ValueRef<'_>) -> Option<bool> {
    if a.is_nullish() || (b.is_nullish() && function != Function::In) {
        return None;
    }
    Some(match function {
        Function::Eq => a == b,
        Function::Gt => compare(a, b).is_gt(),
        Function::Gte => compare(a, b).is_ge(),
        Function::Lt => compare(a, b).is_lt(),
        Function::Lte => compare(a, b).is_le(),
        Function::In => match b {
            ValueRef::Array(items) => items.iter().any(|item| !item.is_nullish() && item == a),
            _ => false,
        },
        other => unreachable!("{other:?} is no comparison"),
    })
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
fn truthy(value: ValueRef<'_>) -> bool {
    match value {
        ValueRef::Missing | ValueRef::Null => false,
        ValueRef::Bool(b) => b,
        ValueRef::Int(i) => i != 0,
        ValueRef::Float(f) => f != 0.0 && !f.is_nan(),
        ValueRef::Str(s) => !s.is_empty(),
        ValueRef::Array(_) | ValueRef::Object(_) => true,
    }
}

/// JavaScript's relational comparison. What cannot be compared is neither less nor greater, so that
/// `gte` and `lte` hold of it, as in TanStack DB.
fn compare(a: ValueRef<'_>, b: ValueRef<'_>) -> Ordering {
    use ValueRef::*;
    match (a, b) {
        (Int(_) | Float(_), Int(_) | Float(_)) | (Str(_), Str(_)) | (Bool(_), Bool(_)) => a.cmp(&b),
        (Array(_) | Object(_), _) => compare(Str(&to_text(a)), b),
        (_, Array(_) | Object(_)) => compare(a, Str(&to_text(b))),
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

#[cfg(test)]
mod tests {
    use super::super::tests::check;
    use super::Function::*;

    #[test]
    fn functions_follow_their_null_rules() {
        check(&[
            (Eq, &["null", "null"], "null"),
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
            (Coalesce, &["null", "undefined"], "null"),
            (Coalesce, &["null", "0"], "0"),
            (CaseWhen, &["\"\"", "1", "\"x\"", "2", "3"], "2"),
            (CaseWhen, &["null", "1"], "null"),
            (CaseWhen, &["0", "1", "9"], "9"),
            (Array, &[], "[]"),
            (
                Array,
                &["1", "undefined", "null", "[2]", "\"x\""],
                "[1,null,null,[2],\"x\"]",
            ),
        ]);
    }
}
