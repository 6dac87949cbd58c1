//! `orderBy`.

use super::super::error::QueryError;
use super::super::ir::OrderBy;
use super::super::tree::Tree;
use super::expr::expr;
use super::{Result, at, choose, clause, flag, only, required, text};
use crate::value::{
    CaseFirst, Collation, CollationError, CollationOptions, Direction, Nulls, Sensitivity,
};

pub(super) fn order_by(tree: &Tree) -> Result<OrderBy> {
    only(tree, &["expression", "compareOptions"])?;
    let mut order = OrderBy {
        expr: at("expression", required(tree, "expression")?, expr)?,
        direction: Direction::Asc,
        nulls: Nulls::First,
        collation: None,
    };
    if let Some(options) = clause(tree, "compareOptions") {
        at("compareOptions", options, |t| {
            compare_options(t, &mut order)
        })?;
    }
    Ok(order)
}

fn compare_options(tree: &Tree, order: &mut OrderBy) -> Result<()> {
    only(
        tree,
        &[
            "direction",
            "nulls",
            "stringSort",
            "locale",
            "localeOptions",
        ],
    )?;
    let directions = [("asc", Direction::Asc), ("desc", Direction::Desc)];
    if let Some(t) = clause(tree, "direction") {
        order.direction = at("direction", t, |t| choose(t, &directions))?;
    }
    if let Some(t) = clause(tree, "nulls") {
        let places = [("first", Nulls::First), ("last", Nulls::Last)];
        order.nulls = at("nulls", t, |t| choose(t, &places))?;
    }
    let by_locale = match clause(tree, "stringSort") {
        Some(t) => at("stringSort", t, |t| {
            choose(t, &[("lexical", false), ("locale", true)])
        })?,
        None => false,
    };
    // Without `stringSort`, TanStack ignores these.
    if by_locale {
        let options = clause(tree, "localeOptions");
        let options = options.map(|t| at("localeOptions", t, collation_options));
        let options = options.transpose()?.unwrap_or_default();
        let locale = clause(tree, "locale").map(|t| at("locale", t, text));
        let locale = locale.transpose()?.unwrap_or("und");
        let collation = Collation::new(locale, options);
        order.collation = Some(collation.map_err(|e| {
            let place = match e {
                CollationError::NotBuilt => "stringSort",
                _ => "locale",
            };
            QueryError::new(place, e.to_string())
        })?);
    }
    Ok(())
}

fn collation_options(tree: &Tree) -> Result<CollationOptions> {
    only(
        tree,
        &["sensitivity", "numeric", "caseFirst", "ignorePunctuation"],
    )?;
    let mut options = CollationOptions::default();
    if let Some(t) = clause(tree, "sensitivity") {
        let sensitivities = [
            ("base", Sensitivity::Base),
            ("accent", Sensitivity::Accent),
            ("case", Sensitivity::Case),
            ("variant", Sensitivity::Variant),
        ];
        options.sensitivity = at("sensitivity", t, |t| choose(t, &sensitivities))?;
    }
    if let Some(t) = clause(tree, "caseFirst") {
        let cases = [
            ("upper", Some(CaseFirst::Upper)),
            ("lower", Some(CaseFirst::Lower)),
            ("false", None),
        ];
        options.case_first = at("caseFirst", t, |t| choose(t, &cases))?;
    }
    options.numeric = flag(tree, "numeric")?;
    options.ignore_punctuation = flag(tree, "ignorePunctuation")?;
    Ok(options)
}
