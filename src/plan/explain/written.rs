//! The plan as the query is written, beside the one that runs, and what moved in between.

use std::fmt;

use serde::Serialize;

use super::show::HEAD;
use super::{Explanation, join};
use crate::query::{Entry, Expr, JoinKind, OrderBy, Query, Source};
use crate::value::{Direction, Nulls};

/// A query as it is written, clause by clause, the plan that runs, and what was moved, fused and
/// shared on the way from one to the other.
///
/// ```
/// use tailwater::plan::{Explained, Plan};
/// use tailwater::query::Query;
/// use tailwater::schema::Catalog;
///
/// let query = Query::from_json(
///     r#"{"from":{"type":"collectionRef","collection":"user","alias":"u"},
///         "where":[{"type":"func","name":"gt","args":[{"type":"ref","path":["u","age"]},{"type":"val","value":17}]}]}"#,
/// )?;
/// let explained = Explained::new(&query, Plan::new(&query, &Catalog::open())?.explain());
/// assert_eq!(explained.written.operator, "filter");
/// assert_eq!(explained.plan.inputs[0].operator, "scan");
/// assert_eq!(explained.notes[0], "pushed into the scan of user: gt(u.age, 17)");
/// # Ok::<(), tailwater::query::QueryError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Explained {
    /// The logical plan: the clauses of the query in the order in which they apply.
    pub written: Explanation,
    /// The plan that runs.
    pub plan: Explanation,
    /// What was pushed, fused and shared, a sentence each.
    pub notes: Vec<String>,
}

impl Explained {
    /// What a query is, and what [`Plan::explain`](crate::plan::Plan::explain) or
    /// [`Engine::explain`](crate::engine::Engine::explain) say that runs of it.
    pub fn new(query: &Query, plan: Explanation) -> Explained {
        let mut notes = Vec::new();
        note(&plan, &mut notes);
        Explained {
            written: written(query),
            plan,
            notes,
        }
    }

    /// Both plans as one Graphviz graph.
    pub fn to_dot(&self) -> String {
        let (mut dot, mut next) = (String::from(HEAD), 0);
        for (name, label, plan) in [
            ("plan", "plan", &self.plan),
            ("written", "as written", &self.written),
        ] {
            dot += &format!("  subgraph cluster_{name} {{\n    label=\"{label}\";\n");
            plan.write_dot(&mut dot, &mut next, "    ");
            dot += "  }\n";
        }
        dot + "}\n"
    }
}

impl fmt::Display for Explained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.plan)?;
        self.notes
            .iter()
            .try_for_each(|note| writeln!(f, "· {note}"))?;
        write!(f, "as written:\n{}", self.written)
    }
}

/// What happened on the way to a step that is not to be seen in its place.
fn note(step: &Explanation, notes: &mut Vec<String>) {
    let detail = |name| {
        let found = step.details.iter().find(|(known, _)| *known == name);
        found.map(|(_, text)| text.as_str())
    };
    match (step.operator, detail("where"), detail("and")) {
        ("scan", Some(condition), _) => {
            let collection = detail("collection").unwrap_or_default();
            notes.push(format!("pushed into the scan of {collection}: {condition}"));
        }
        ("join", _, Some(condition)) => notes.push(format!("fused into the join: {condition}")),
        _ => {}
    }
    if let ("join", Some(arrangements)) = (step.operator, detail("arrangements"))
        && arrangements != "private"
    {
        let on = detail("on").unwrap_or_default();
        notes.push(format!(
            "arranged once for all queries, to join on {on}: {arrangements}"
        ));
    }
    if step.shared_by > 1 {
        let line = format!(
            "{} is computed once for {} queries",
            step.operator, step.shared_by
        );
        notes.push(line);
    }
    step.inputs.iter().for_each(|input| note(input, notes));
    if let ("result", Some(value)) = (step.operator, detail("value")) {
        notes.push(format!("computed only when a row is read: {value}"));
    }
}

fn written(query: &Query) -> Explanation {
    let mut step = joined(query);
    let over = |step: &mut Explanation, operator, clause, details: Vec<(&'static str, String)>| {
        let input = std::mem::replace(step, Explanation::new(operator, clause, details));
        step.inputs.insert(0, input);
    };
    if !query.filters.is_empty() {
        over(
            &mut step,
            "filter",
            "WHERE",
            vec![("where", texts(&query.filters, " and "))],
        );
    }
    let aggregates = query.select.as_ref().is_some_and(Expr::has_aggregate);
    if !query.group_by.is_empty() || aggregates {
        let clause = if query.group_by.is_empty() {
            "SELECT"
        } else {
            "GROUP BY"
        };
        over(
            &mut step,
            "aggregate",
            clause,
            vec![("by", texts(&query.group_by, ", "))],
        );
    }
    if !query.having.is_empty() {
        over(
            &mut step,
            "filter",
            "HAVING",
            vec![("where", texts(&query.having, " and "))],
        );
    }
    if let Some(select) = &query.select {
        over(
            &mut step,
            "project",
            "SELECT",
            vec![("fields", Text(select).to_string())],
        );
        let mut included = Vec::new();
        includes(select, &mut included);
        step.inputs.extend(included.into_iter().map(written));
    }
    if query.distinct {
        over(&mut step, "distinct", "DISTINCT", Vec::new());
    }
    if !query.order_by.is_empty() {
        let keys = query.order_by.iter().map(order);
        over(
            &mut step,
            "order",
            "ORDER BY",
            vec![("by", join(keys, ", "))],
        );
    }
    if query.limit.is_some() || query.offset > 0 || query.single {
        let limit = if query.single { Some(1) } else { query.limit };
        let number = |n: usize| n.to_string();
        let details = vec![
            (
                "offset",
                Some(query.offset)
                    .filter(|n| *n > 0)
                    .map_or(String::new(), number),
            ),
            ("limit", limit.map_or(String::new(), number)),
        ];
        over(&mut step, "window", "LIMIT", details);
    }
    if !query.recursive.is_empty() {
        let names = query.recursive.iter().map(|(name, _)| name);
        over(
            &mut step,
            "recursive",
            "WITH RECURSIVE",
            vec![("names", join(names, ", "))],
        );
        let definitions = query.recursive.iter().map(|(_, query)| written(query));
        step.inputs.splice(0..0, definitions);
    }
    tidy(&mut step);
    step
}

fn tidy(step: &mut Explanation) {
    step.details.retain(|(_, text)| !text.is_empty());
    step.inputs.iter_mut().for_each(tidy);
}

fn joined(query: &Query) -> Explanation {
    let mut step = source(&query.from);
    for joined in &query.joins {
        let on = joined
            .on
            .as_ref()
            .map_or(String::new(), |on| Text(on).to_string());
        let clause = match joined.kind {
            JoinKind::Semi | JoinKind::Anti => "WHERE … IN, EXISTS",
            _ => "JOIN",
        };
        let details = vec![("kind", joined.kind.as_str().to_owned()), ("on", on)];
        let mut next = Explanation::new("join", clause, details);
        next.inputs = vec![step, source(&joined.source)];
        step = next;
    }
    step
}

fn source(from: &Source) -> Explanation {
    let named = |operator, details| Explanation::new(operator, "FROM", details);
    match from {
        Source::Collection { name, alias } => {
            let details = vec![("collection", name.to_string()), ("as", alias.to_string())];
            named("scan", details)
        }
        Source::Query { query, alias, over } => {
            let values = over.iter().map(|(name, over)| {
                format!(
                    "{name}: {}({})",
                    over.function.as_str(),
                    texts(&over.args, ", ")
                )
            });
            let details = vec![("as", alias.to_string()), ("over", join(values, ", "))];
            let mut step = named("subquery", details);
            step.inputs = vec![written(query)];
            step
        }
        Source::UnionFrom(sources) => {
            let mut step = named("union", Vec::new());
            step.inputs = sources.iter().map(source).collect();
            step
        }
        Source::UnionAll(queries) => {
            let mut step = named("union", Vec::new());
            step.clause = "UNION";
            step.inputs = queries.iter().map(written).collect();
            step
        }
    }
}

fn includes<'q>(expr: &'q Expr, found: &mut Vec<&'q Query>) {
    match expr {
        Expr::Include(include) => found.push(&include.query),
        Expr::Call(_, args) => args.iter().for_each(|arg| includes(arg, found)),
        Expr::Object(entries) => {
            let entries = entries.iter().map(Entry::expr);
            entries.for_each(|entry| includes(entry, found));
        }
        _ => {}
    }
}

fn order(key: &OrderBy) -> String {
    let direction = if key.direction == Direction::Desc {
        " desc"
    } else {
        ""
    };
    let nulls = if key.nulls == Nulls::Last {
        " nulls last"
    } else {
        ""
    };
    format!("{}{direction}{nulls}", Text(&key.expr))
}

fn texts(exprs: &[Expr], separator: &str) -> String {
    join(exprs.iter().map(Text), separator)
}

/// An expression as plans write it.
struct Text<'a>(&'a Expr);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Expr::Ref(path) if path.is_empty() => f.write_str("*"),
            Expr::Ref(path) => f.write_str(&path.join(".")),
            Expr::Value(value) => write!(f, "{value}"),
            Expr::Call(function, args) => write!(f, "{}({})", function.as_str(), texts(args, ", ")),
            Expr::Aggregate(function, args) => {
                write!(f, "{}({})", function.as_str(), texts(args, ", "))
            }
            Expr::Object(entries) => {
                let entries = entries.iter().map(|entry| match entry {
                    Entry::Field(name, expr) => format!("{name}: {}", Text(expr)),
                    Entry::Spread(expr) => format!("...{}", Text(expr)),
                });
                write!(f, "{{{}}}", join(entries, ", "))
            }
            Expr::Include(_) => f.write_str("(…)"),
            Expr::Closure(closure) => write!(f, "{}({})", closure.name, texts(&closure.args, ", ")),
        }
    }
}
