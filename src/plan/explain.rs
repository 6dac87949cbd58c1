//! A plan for people and tools: as text, JSON and DOT.

mod figures;
mod show;
mod written;

use std::fmt;

use serde::Serialize;

use super::{Node, OrderKey, Plan};
use crate::query::Materialization;
use crate::value::{Direction, Nulls};
pub use figures::{Arranged, Figures, Rates};
pub use written::Explained;

/// One step of a plan, with what it works on.
///
/// Prints as an indented tree, serialises as JSON, and [`Explanation::to_dot`] gives Graphviz.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Explanation {
    /// The operator: `scan`, `filter`, `clock`, `join`, `union`, `aggregate`, `project`, `distinct`,
    /// `over`, `window`, `include`, `recursive`, `bound`, or `result` at the root.
    pub operator: &'static str,
    /// The clause of the query that it comes from, in SQL's words; empty where it comes from none.
    pub clause: &'static str,
    /// What it does, as names and texts.
    pub details: Vec<(&'static str, String)>,
    /// How many queries it is computed and kept for.
    pub shared_by: usize,
    /// The arrangements of collections that it reads, which all queries share.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub arrangements: Vec<Arranged>,
    /// What it did so far, where that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub figures: Option<Figures>,
    /// The steps it reads from.
    pub inputs: Vec<Explanation>,
}

fn join(parts: impl IntoIterator<Item = impl ToString>, separator: &str) -> String {
    parts
        .into_iter()
        .map(|p| p.to_string())
        .collect::<Vec<_>>()
        .join(separator)
}

impl fmt::Display for OrderKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let direction = if self.direction == Direction::Desc {
            " desc"
        } else {
            ""
        };
        let nulls = if self.nulls == Nulls::Last {
            " nulls last"
        } else {
            ""
        };
        write!(f, "{}", self.expr)?;
        if let Some(collation) = &self.collation {
            write!(f, " collate {collation}")?;
        }
        write!(f, "{direction}{nulls}")
    }
}

impl Plan {
    /// Says what the plan does.
    pub fn explain(&self) -> Explanation {
        let details = vec![
            ("value", self.output.to_string()),
            ("order", order(&self.order)),
        ];
        let mut result = Explanation::new("result", "SELECT", details);
        result.inputs = vec![explain(&self.root, &[], &|_| None)];
        result
    }

    /// As [`Plan::explain`], with the number of queries that have the whole plan, and of those that
    /// have a part of it.
    pub(crate) fn explain_shared(
        &self,
        queries: usize,
        of_part: &dyn Fn(&Node) -> Option<usize>,
    ) -> Explanation {
        let mut explanation = self.explain();
        explanation.inputs = vec![explain(&self.root, &[], of_part)];
        if queries > 1 {
            explanation.share(queries);
        }
        explanation
    }
}

impl Explanation {
    fn new(
        operator: &'static str,
        clause: &'static str,
        details: Vec<(&'static str, String)>,
    ) -> Explanation {
        Explanation {
            operator,
            clause,
            details,
            shared_by: 1,
            arrangements: Vec::new(),
            figures: None,
            inputs: Vec::new(),
        }
    }

    fn share(&mut self, queries: usize) {
        self.shared_by = queries;
        let details = match queries {
            1 => ("used", "several times".to_owned()),
            _ => ("shared by", format!("{queries} queries")),
        };
        self.details.push(details);
    }
}

fn order(keys: &[OrderKey]) -> String {
    match keys {
        [] => "key".into(),
        keys => join(keys, ", "),
    }
}

impl Node {
    /// What the node does, in a line.
    pub(crate) fn line(&self) -> String {
        step(self, &[]).line()
    }
}

/// Explains a node within the recursion of some numbers; `queries` knows how many have it.
fn explain(node: &Node, ids: &[usize], queries: &dyn Fn(&Node) -> Option<usize>) -> Explanation {
    let mut step = step(node, ids);
    if let Some(queries) = queries(node) {
        step.share(queries);
    }
    step.inputs = match node {
        Node::Recursive(recursive) => {
            let ids: Vec<usize> = recursive.definitions.iter().map(|(id, _)| *id).collect();
            let definitions = recursive.definitions.iter().map(|(_, node)| node);
            let definitions = definitions.map(|node| explain(node, &ids, queries));
            definitions
                .chain([explain(&recursive.input, &[], queries)])
                .collect()
        }
        node => {
            let inputs = node.inputs().into_iter();
            inputs.map(|n| explain(n, ids, queries)).collect()
        }
    };
    step
}

/// Explains a node alone.
fn step(node: &Node, ids: &[usize]) -> Explanation {
    let (operator, mut details) = match node {
        Node::Scan(scan) => (
            "scan",
            vec![
                ("collection", scan.collection.name().to_string()),
                ("where", join(&scan.filter, " and ")),
            ],
        ),
        Node::Filter { predicates, .. } => ("filter", vec![("where", join(predicates, " and "))]),
        Node::Join(j) => {
            let keys = j
                .left_keys
                .iter()
                .zip(&j.right_keys)
                .map(|(l, r)| format!("{l} = {r}"));
            // What goes round in a recursion has arrangements of its own.
            let in_rounds = node.any(&mut |n| matches!(n, Node::Bound(id) if ids.contains(id)));
            let shared = |node: &Node| matches!(node, Node::Scan(_)) && !in_rounds;
            let arrangements = match (shared(&j.left), shared(&j.right)) {
                (true, true) => "both sides shared",
                (true, false) => "left side shared",
                (false, true) => "right side shared",
                (false, false) => "private",
            };
            (
                "join",
                vec![
                    ("kind", j.kind.as_str().into()),
                    ("on", join(keys, " and ")),
                    ("and", join(&j.residual, " and ")),
                    ("arrangements", arrangements.into()),
                ],
            )
        }
        Node::Clock { condition, .. } => {
            let index = condition.comparisons.iter().map(|c| &c.expr);
            let details = vec![
                ("where", condition.predicate.to_string()),
                ("index", join(index, ", ")),
            ];
            ("clock", details)
        }
        Node::Union(_) => ("union", Vec::new()),
        Node::Include(include) => {
            let what = match include.materialization {
                Materialization::Array => "array",
                Materialization::Singleton => "first",
                Materialization::Concat => "text",
            };
            let details = vec![
                ("number", include.id.to_string()),
                ("by", join(&include.context, ", ")),
                ("order", order(&include.order)),
                ("as", what.into()),
                ("of", include.value.to_string()),
            ];
            ("include", details)
        }
        Node::Recursive(recursive) => {
            let ids = recursive.definitions.iter().map(|(id, _)| id);
            ("recursive", vec![("numbers", join(ids, ", "))])
        }
        Node::Bound(id) => ("bound", vec![("number", id.to_string())]),
        Node::Common { id, .. } => ("common", vec![("number", id.to_string())]),
        Node::Aggregate {
            keys, aggregates, ..
        } => (
            "aggregate",
            vec![
                ("by", join(keys, ", ")),
                ("compute", join(aggregates, ", ")),
            ],
        ),
        Node::Project { fields, branch, .. } => {
            let branch = branch.as_ref().map(ToString::to_string).unwrap_or_default();
            (
                "project",
                vec![("branch", branch), ("fields", join(fields, ", "))],
            )
        }
        Node::Distinct { fields, .. } => ("distinct", vec![("fields", join(fields, ", "))]),
        Node::Over {
            partition,
            order: by,
            values,
            ..
        } => (
            "over",
            vec![
                ("for each", join(partition, ", ")),
                ("order", order(by)),
                ("compute", join(values, ", ")),
            ],
        ),
        Node::Window {
            partition,
            order: by,
            offset,
            limit,
            ..
        } => (
            "window",
            vec![
                ("for each", join(partition, ", ")),
                ("order", order(by)),
                (
                    "offset",
                    if *offset > 0 {
                        offset.to_string()
                    } else {
                        String::new()
                    },
                ),
                ("limit", limit.map(|l| l.to_string()).unwrap_or_default()),
            ],
        ),
    };
    details.retain(|(_, text)| !text.is_empty());
    Explanation::new(operator, clause(node), details)
}

/// The clause that a node comes from.
fn clause(node: &Node) -> &'static str {
    match node {
        Node::Scan(scan) if scan.filter.is_empty() => "FROM",
        Node::Scan(_) => "FROM, WHERE",
        Node::Filter { input, .. } if matches!(**input, Node::Aggregate { .. }) => "HAVING",
        Node::Filter { predicates, .. } if predicates.is_empty() => "",
        Node::Filter { .. } | Node::Clock { .. } => "WHERE",
        Node::Join(join) if join.kind.is_test() => "WHERE … IN, EXISTS",
        Node::Join(_) => "JOIN",
        Node::Union(_) => "UNION",
        Node::Aggregate { keys, .. } if keys.is_empty() => "SELECT",
        Node::Aggregate { .. } => "GROUP BY",
        Node::Project { .. } => "SELECT",
        Node::Distinct { .. } => "DISTINCT",
        Node::Over { .. } => "OVER",
        Node::Window { .. } => "ORDER BY, LIMIT",
        Node::Include(_) => "SELECT (…)",
        Node::Recursive(_) | Node::Bound(_) => "WITH RECURSIVE",
        Node::Common { .. } => "",
    }
}
