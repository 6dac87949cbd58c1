//! Functions that give null for what lacks a value or has another type, as SQL's do.

use super::functions::{call, text};
use super::value::V;

pub(super) fn strict(name: &str, args: &[V]) -> V {
    match (name, args) {
        ("greatest" | "least", _) => {
            let mut known: Vec<&V> = args.iter().filter(|v| !v.nullish()).collect();
            known.sort_by(|a, b| a.order(b));
            let found = match name {
                "greatest" => known.last(),
                _ => known.first(),
            };
            found.map_or(V::Null, |v| (*v).clone())
        }
        ("nullIf", [a, b]) if call("eq", &[a.clone(), b.clone()]).is_true() => V::Null,
        ("nullIf", [a, _]) => a.clone(),
        _ if args.iter().any(V::nullish) => V::Null,
        ("append", _) => V::Str(args.iter().map(text).collect()),
        ("toText", [V::Arr(_) | V::Obj(_)]) => V::Str(args[0].json_text()),
        ("toText", [v]) => V::Str(text(v)),
        ("toNumber", [V::Str(s)]) => number_of(s.trim()),
        ("toInteger", [V::Str(s)]) => s.trim().parse().map_or(V::Null, V::int),
        ("toNumber" | "toInteger", [V::Bool(b)]) => V::int((*b).into()),
        ("toNumber" | "toInteger", [V::Int(i)]) => V::int(*i),
        ("toNumber", [V::Float(f)]) => finite(*f),
        ("toInteger", [V::Float(f)]) => whole(finite(f.round_ties_even())),
        ("toBoolean", [V::Bool(b)]) => V::Bool(*b),
        ("toBoolean", [V::Int(i)]) => V::Bool(*i != 0),
        ("toBoolean", [V::Str(s)]) => match s.trim().to_lowercase().as_str() {
            "true" | "t" | "yes" | "y" | "on" | "1" => V::Bool(true),
            "false" | "f" | "no" | "n" | "off" | "0" => V::Bool(false),
            _ => V::Null,
        },
        ("charLength", [V::Str(s)]) => V::int(s.chars().count() as i128),
        ("position", [V::Str(s), V::Str(part)]) => {
            let (s, part): (Vec<char>, Vec<char>) = (s.chars().collect(), part.chars().collect());
            let place = (0..=s.len()).find(|at| s[*at..].starts_with(&part));
            V::int(place.map_or(0, |at| at as i128 + 1))
        }
        ("substr", [V::Str(s), V::Int(start), rest @ ..]) => {
            let end = match rest {
                [] => i128::MAX,
                [V::Int(length)] if *length >= 0 => start + length,
                _ => return V::Null,
            };
            let kept = (1i128..).zip(s.chars());
            let kept = kept.filter(|(place, _)| (*start..end).contains(place));
            V::Str(kept.map(|(_, c)| c).collect())
        }
        ("plus" | "minus" | "times" | "quotient" | "div", [a, b]) => of_numbers(name, a, b),
        _ => V::Null,
    }
}

fn of_numbers(name: &str, a: &V, b: &V) -> V {
    let is_number = |v: &V| matches!(v, V::Int(_) | V::Float(_));
    if !is_number(a) || !is_number(b) {
        return V::Null;
    }
    let of = |name: &str| match call(name, &[a.clone(), b.clone()]) {
        V::Float(f) => finite(f),
        other => other,
    };
    match (name, a, b) {
        ("plus", ..) => of("add"),
        ("minus", ..) => of("subtract"),
        ("times", ..) => of("multiply"),
        ("quotient", ..) => of("divide"),
        (_, _, V::Int(0)) => V::Null,
        (_, V::Int(a), V::Int(b)) => V::int(a / b),
        _ => finite((a.as_f64() / b.as_f64()).trunc()),
    }
}

fn finite(f: f64) -> V {
    match f.is_finite() {
        true => V::float(f),
        false => V::Null,
    }
}

fn whole(v: V) -> V {
    match v {
        V::Int(_) => v,
        _ => V::Null,
    }
}

fn number_of(s: &str) -> V {
    let decimal = s
        .bytes()
        .all(|b| b.is_ascii_digit() || b"+-.eE".contains(&b));
    match (s.parse::<i128>(), s.parse::<f64>()) {
        (Ok(i), _) => V::int(i),
        (_, Ok(f)) if decimal => finite(f),
        _ => V::Null,
    }
}

/// `like` with a unit that makes the next one stand for itself.
pub(super) fn escaped(args: &[V]) -> V {
    if args.iter().any(V::nullish) {
        return V::Null;
    }
    let [V::Str(s), V::Str(pattern), V::Str(escape)] = args else {
        return V::Bool(false);
    };
    let units = |s: &str| -> Vec<u16> { s.encode_utf16().collect() };
    V::Bool(match units(escape)[..] {
        [] => matched(&units(s), &units(pattern), None),
        [escape] => matched(&units(s), &units(pattern), Some(escape)),
        _ => false,
    })
}

fn matched(s: &[u16], pattern: &[u16], escape: Option<u16>) -> bool {
    let unit = |c: u8| u16::from(c);
    match pattern {
        [] => s.is_empty(),
        [e, rest @ ..] if Some(*e) == escape => match (rest, s) {
            ([p, rest @ ..], [c, s @ ..]) => p == c && matched(s, rest, escape),
            _ => false,
        },
        [p, rest @ ..] if *p == unit(b'%') => {
            (0..=s.len()).any(|skip| matched(&s[skip..], rest, escape))
        }
        [p, rest @ ..] => match s {
            [c, s @ ..] => (*p == unit(b'_') || p == c) && matched(s, rest, escape),
            [] => false,
        },
    }
}
