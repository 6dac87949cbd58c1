//! Strings. Units are those of UTF-16, as in JavaScript.

use std::borrow::Cow;
use std::cell::RefCell;
use std::rc::Rc;

use regex::{Regex, RegexBuilder};

use super::cache::Cache;
use super::{Datum, Function, MAX_MADE, UNKNOWN, boolean};
use crate::query::QueryError;
use crate::value::{Value, ValueRef};

/// Bytes of a compiled regular expression.
const MAX_REGEX: usize = 1 << 20;
/// Bytes of one as text.
const MAX_PATTERN: usize = 1 << 16;

/// Steps of a comparison with a pattern: one with many `%` may go over a text as often.
const MAX_STEPS: usize = 1 << 24;

pub(super) fn call<'a>(
    function: Function,
    n: usize,
    arg: &dyn Fn(usize) -> Datum<'a>,
) -> Datum<'a> {
    match function {
        Function::Upper => map_text(arg(0), str::to_uppercase),
        Function::Lower => map_text(arg(0), str::to_lowercase),
        Function::Length => Datum::Ref(ValueRef::Int(match arg(0).as_ref() {
            ValueRef::Str(s) => s.encode_utf16().count() as i128,
            ValueRef::Array(a) => a.seq().len() as i128,
            _ => 0,
        })),
        Function::Concat => {
            let mut joined = String::new();
            for i in 0..n {
                let part = arg(i);
                let part = to_text(part.as_ref());
                if joined.len() + part.len() > MAX_MADE {
                    return UNKNOWN;
                }
                joined += &part;
            }
            Datum::Own(joined.into())
        }
        _ => strict(function, n, arg).map_or(UNKNOWN, Datum::Own),
    }
}

/// Functions that are null unless their arguments are of the right types.
fn strict<'a>(function: Function, n: usize, arg: &dyn Fn(usize) -> Datum<'a>) -> Option<Value> {
    let first = arg(0);
    let s = first.as_ref().as_str()?;
    Some(match function {
        Function::Trim => s.trim_matches(is_space).into(),
        Function::Substring => {
            let start = units(arg(1).as_ref())?;
            let length = match n {
                2 => i128::MAX,
                _ => units(arg(2).as_ref())?,
            };
            substring(s, start, length)
        }
        Function::Replace => {
            let (find, with) = (arg(1), arg(2));
            replace(s, find.as_ref().as_str()?, with.as_ref().as_str()?)?
        }
        Function::Split => {
            let separator = arg(1);
            match separator.as_ref().as_str()? {
                "" => Value::array(s.split("").filter(|c| !c.is_empty()).map(ValueRef::Str)),
                separator => Value::array(s.split(separator).map(ValueRef::Str)),
            }
        }
        other => unreachable!("{other:?} makes no text"),
    })
}

/// Tests of two strings: unknown if one is null or missing, false if one is no string.
pub(super) fn matches<'a>(function: Function, s: Datum<'a>, t: Datum<'a>) -> Datum<'a> {
    let (s, t) = (s.as_ref(), t.as_ref());
    if s.is_nullish() || t.is_nullish() {
        return UNKNOWN;
    }
    let (ValueRef::Str(s), ValueRef::Str(t)) = (s, t) else {
        return boolean(false);
    };
    let like = |s: &str, t: &str| like(s, t, None).map_or(UNKNOWN, boolean);
    boolean(match function {
        Function::Like => return like(s, t),
        Function::Ilike => return like(&s.to_lowercase(), &t.to_lowercase()),
        Function::StartsWith => s.starts_with(t),
        Function::EndsWith => s.ends_with(t),
        Function::RegexMatch => match regex(t) {
            Some(regex) => regex.is_match(s),
            None => return UNKNOWN,
        },
        other => unreachable!("{other:?} is no test of strings"),
    })
}

/// `like` with a third argument, a unit that makes the next one stand for itself: unknown if one is
/// null or missing, false where one is no string or the third no unit.
pub(super) fn matches_escaped<'a>(
    function: Function,
    s: Datum<'a>,
    pattern: Datum<'a>,
    escape: Datum<'a>,
) -> Datum<'a> {
    let args = [s.as_ref(), pattern.as_ref(), escape.as_ref()];
    if args.iter().any(|v| v.is_nullish()) {
        return UNKNOWN;
    }
    let [Some(s), Some(pattern), Some(escape)] = args.map(ValueRef::as_str) else {
        return boolean(false);
    };
    let escape = match escape.encode_utf16().collect::<Vec<_>>()[..] {
        [] => None,
        [unit] => Some(unit),
        _ => return boolean(false),
    };
    let like = match function {
        Function::Ilike => like(&s.to_lowercase(), &pattern.to_lowercase(), escape),
        _ => like(s, pattern, escape),
    };
    like.map_or(UNKNOWN, boolean)
}

fn compile(pattern: &str) -> Result<Regex, regex::Error> {
    if pattern.len() > MAX_PATTERN {
        return Err(regex::Error::CompiledTooBig(MAX_PATTERN));
    }
    RegexBuilder::new(pattern)
        .size_limit(MAX_REGEX)
        .dfa_size_limit(MAX_REGEX)
        .build()
}

fn regex(pattern: &str) -> Option<Rc<Regex>> {
    thread_local! {
        // A clone of the expression itself would start without its working memory.
        static REGEXES: RefCell<Cache<Option<Rc<Regex>>>> = const { RefCell::new(Cache::new()) };
    }
    REGEXES
        .with_borrow_mut(|cache| cache.get(pattern, |pattern| compile(pattern).ok().map(Rc::new)))
}

/// Whether a constant may be a regular expression; null makes the test unknown.
pub(super) fn check_regex(pattern: ValueRef<'_>) -> Result<(), QueryError> {
    match pattern {
        pattern if pattern.is_nullish() => Ok(()),
        ValueRef::Str(pattern) => compile(pattern).map(drop).map_err(|e| {
            // The crate draws the pattern; its last line says what is wrong.
            let text = e.to_string();
            let last = text.lines().last().unwrap_or_default();
            let reason = last.strip_prefix("error: ").unwrap_or(last);
            QueryError::new(
                "",
                format!("`{pattern}` is no regular expression: {reason}"),
            )
        }),
        other => {
            let message = format!("must be a regular expression, not {}", other.type_name());
            Err(QueryError::new("", message))
        }
    }
}

/// What JavaScript's `trim` takes away.
pub(super) fn is_space(c: char) -> bool {
    c == '\u{feff}' || (c.is_whitespace() && c != '\u{85}')
}

/// A number of units; fractions are cut off.
fn units(value: ValueRef<'_>) -> Option<i128> {
    match value {
        ValueRef::Int(i) => Some(i),
        ValueRef::Float(f) => Some(f as i128),
        _ => None,
    }
}

fn substring(s: &str, start: i128, length: i128) -> Value {
    let total = match s.is_ascii() {
        true => s.len(),
        false => s.encode_utf16().count(),
    };
    let start = match start {
        0.. => start.min(total as i128),
        _ => start.saturating_add(total as i128).max(0),
    } as usize;
    let length = length.clamp(0, (total - start) as i128) as usize;
    if s.is_ascii() {
        return s[start..start + length].into();
    }
    let units: Vec<u16> = s.encode_utf16().skip(start).take(length).collect();
    // Half a surrogate pair is no text.
    String::from_utf16_lossy(&units).into()
}

fn replace(s: &str, find: &str, with: &str) -> Option<Value> {
    if with.len() > find.len() {
        let growth = (with.len() - find.len()).saturating_mul(s.matches(find).count());
        if growth.saturating_add(s.len()) > MAX_MADE {
            return None;
        }
    }
    Some(s.replace(find, with).into())
}

fn map_text<'a>(value: Datum<'a>, f: impl Fn(&str) -> String) -> Datum<'a> {
    match value.as_ref().as_str() {
        Some(s) => Datum::Own(f(s).into()),
        None => value,
    }
}

/// JavaScript's `String(value)`, but null and missing are empty.
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
        ValueRef::Array(items) => {
            let texts: Vec<Cow<'_, str>> = items.iter().map(to_text).collect();
            Cow::Owned(texts.join(","))
        }
        ValueRef::Object(_) => Cow::Borrowed("[object Object]"),
        other => Cow::Owned(other.to_string()),
    }
}

/// Matches a whole string against `%` and `_`; linear but for one step back per `%`. Behind `escape`,
/// a unit of the pattern stands for itself. Nothing if it takes too long.
fn like(text: &str, pattern: &str, escape: Option<u16>) -> Option<bool> {
    use std::str::EncodeUtf16;
    const ANY: u16 = b'%' as u16;
    const ONE: u16 = b'_' as u16;
    let (mut text, mut pattern) = (text.encode_utf16(), pattern.encode_utf16());
    // Where to go on after a mismatch: the pattern behind the last `%`, the text it took up to.
    let mut retry: Option<(EncodeUtf16<'_>, EncodeUtf16<'_>)> = None;
    for _ in 0..MAX_STEPS {
        let mut after = pattern.clone();
        let p = after.next();
        let literal = p.is_some() && p == escape;
        let p = if literal { after.next() } else { p };
        match (p, text.clone().next()) {
            (Some(ANY), _) if !literal => {
                pattern = after;
                retry = Some((pattern.clone(), text.clone()));
            }
            (None, None) if !literal => return Some(true),
            (Some(p), Some(t)) if (p == ONE && !literal) || p == t => {
                pattern = after;
                text.next();
            }
            _ => {
                let Some((after, taken)) = &mut retry else {
                    return Some(false);
                };
                if taken.next().is_none() {
                    return Some(false);
                }
                pattern = after.clone();
                text = taken.clone();
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::super::tests::{call, check, refused};
    use super::Function::*;

    #[test]
    fn text_follows_its_null_rules() {
        check(&[
            (Upper, &["\"straße\""], "\"STRASSE\""),
            (Lower, &["7"], "7"),
            (Length, &["\"a😀\""], "3"),
            (Length, &["null"], "0"),
            (
                Concat,
                &["\"a\"", "null", "1.5", "true", "[1,2]"],
                "\"a1.5true1,2\"",
            ),
            (Concat, &["1e21", "\" \"", "1e-7"], "\"1e+21 1e-7\""),
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
        ]);
    }

    #[test]
    fn parts_of_strings() {
        check(&[
            (Trim, &["\"\\ufeff a b\\n\\u00a0\""], "\"a b\""),
            (Trim, &["5"], "null"),
            (Trim, &["null"], "null"),
            (Substring, &["\"hello\"", "1"], "\"ello\""),
            (Substring, &["\"hello\"", "1", "3"], "\"ell\""),
            (Substring, &["\"hello\"", "-3", "2"], "\"ll\""),
            (Substring, &["\"hello\"", "-30", "2"], "\"he\""),
            (Substring, &["\"hello\"", "1.9", "1.9"], "\"e\""),
            (Substring, &["\"hello\"", "9", "2"], "\"\""),
            (Substring, &["\"hello\"", "1", "-2"], "\"\""),
            (Substring, &["\"hello\"", "-1e300", "1e300"], "\"hello\""),
            (Substring, &["\"hello\"", "18446744073709551615"], "\"\""),
            (Substring, &["\"a😀é\"", "1", "2"], "\"😀\""),
            (Substring, &["\"a😀é\"", "2"], "\"\u{fffd}é\""),
            (Substring, &["\"a😀é\"", "-1"], "\"é\""),
            (Substring, &["\"hello\"", "null"], "null"),
            (Substring, &["\"hello\"", "1", "undefined"], "null"),
            (Substring, &["12345", "1"], "null"),
            (Replace, &["\"aXbX\"", "\"X\"", "\"--\""], "\"a--b--\""),
            (Replace, &["\"ab\"", "\"\"", "\"-\""], "\"-a-b-\""),
            (Replace, &["\"ab\"", "\"a\"", "1"], "null"),
            (Replace, &["\"ab\"", "null", "\"\""], "null"),
            (Split, &["\"a,b,,\"", "\",\""], "[\"a\",\"b\",\"\",\"\"]"),
            (Split, &["\"\"", "\",\""], "[\"\"]"),
            (Split, &["\"aé😀\"", "\"\""], "[\"a\",\"é\",\"😀\"]"),
            (Split, &["\"\"", "\"\""], "[]"),
            (Split, &["\"a\"", "null"], "null"),
            (Split, &["[1]", "\",\""], "null"),
        ]);
        let long = format!("\"{}\"", "a".repeat(5000));
        assert_eq!(call(Replace, &[&long, "\"a\"", &long]), "null");
    }

    #[test]
    fn tests_of_strings() {
        check(&[
            (StartsWith, &["\"abc\"", "\"ab\""], "true"),
            (StartsWith, &["\"abc\"", "\"b\""], "false"),
            (StartsWith, &["null", "\"b\""], "null"),
            (StartsWith, &["\"b\"", "undefined"], "null"),
            (StartsWith, &["12", "\"1\""], "false"),
            (EndsWith, &["\"abc\"", "\"bc\""], "true"),
            (EndsWith, &["\"abc\"", "\"\""], "true"),
            (EndsWith, &["\"abc\"", "[]"], "false"),
            (
                RegexMatch,
                &["\"Flight OS 123\"", "\"[A-Z]{2} \\\\d+$\""],
                "true",
            ),
            (RegexMatch, &["\"abc\"", "\"^b\""], "false"),
            (RegexMatch, &["\"ÄB\"", "\"(?i)^ä\\\\wb?\""], "true"),
            (RegexMatch, &["\"abc\"", "\"(\""], "null"),
            (RegexMatch, &["\"abc\"", "\"(a{1000}){1000}\""], "null"),
            (RegexMatch, &["null", "\"a\""], "null"),
            (RegexMatch, &["\"a\"", "null"], "null"),
            (RegexMatch, &["5", "\"5\""], "false"),
            (RegexMatch, &["\"5\"", "5"], "false"),
        ]);
    }

    #[test]
    fn wrong_regular_expressions_are_refused() {
        assert_eq!(refused(RegexMatch, 1, "\"a+\""), None);
        assert_eq!(refused(RegexMatch, 1, "null"), None);
        assert_eq!(refused(RegexMatch, 0, "\"(\""), None);
        assert_eq!(
            refused(RegexMatch, 1, "\"a(\"").unwrap(),
            "`args[1]`: `a(` is no regular expression: unclosed group"
        );
        assert_eq!(
            refused(RegexMatch, 1, "5").unwrap(),
            "`args[1]`: must be a regular expression, not a number"
        );
        let large = refused(RegexMatch, 1, "\"(a{1000}){1000}\"").unwrap();
        assert!(large.contains("size limit"), "{large}");
    }
}
