//! A plan for people and tools: as text, JSON and DOT.

use std::fmt::{self, Write};

use serde::Serialize;

use super::{Node, OrderKey, Plan};
use crate::query::Materialization;
use crate::value::{Direction, Nulls};

/// One step of a plan, with what it works on.
///
/// Prints as an indented tree, serialises as JSON, and [`Explanation::to_dot`] gives Graphviz.
#[derive(Clone, Debug, Serialize)]
pub struct Explanation {
    /// The operator: `scan`, `filter`, `clock`, `join`, `union`, `aggregate`, `project`, `distinct`,
    /// `window`, `include`, `recursive`, `bound`, or `result` at the root.
    pub operator: &'static str,
    /// What it does, as names and texts.
    pub details: Vec<(&'static str, String)>,
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
        Explanation {
            operator: "result",
            details,
            inputs: vec![explain(&self.root, &[], &|_| None)],
        }
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
            explanation.details.push(shared_by(queries));
        }
        explanation
    }
}

fn shared_by(queries: usize) -> (&'static str, String) {
    ("shared by", format!("{queries} queries"))
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
    step.details.extend(queries(node).map(shared_by));
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
    Explanation {
        operator,
        details,
        inputs: Vec::new(),
    }
}

impl Explanation {
    fn line(&self) -> String {
        let details = self
            .details
            .iter()
            .map(|(name, text)| format!("{name}: {text}"));
        format!("{}  {}", self.operator, join(details, "; "))
            .trim_end()
            .to_owned()
    }

    /// The plan as a Graphviz graph, data flowing upwards.
    pub fn to_dot(&self) -> String {
        fn node(step: &Explanation, dot: &mut String, next: &mut usize) -> usize {
            let id = *next;
            *next += 1;
            let details = step.details.iter().map(|(name, text)| {
                format!(
                    "{name}: {}\\l",
                    text.replace('\\', "\\\\").replace('"', "\\\"")
                )
            });
            let label = format!("{}\\n{}", step.operator, details.collect::<String>());
            writeln!(dot, "  n{id} [label=\"{label}\"];").expect("writing to a string");
            for input in &step.inputs {
                let from = node(input, dot, next);
                writeln!(dot, "  n{from} -> n{id};").expect("writing to a string");
            }
            id
        }
        let mut dot = String::from(
            "digraph plan {\n  rankdir=BT;\n  node [shape=box, fontname=monospace];\n",
        );
        node(self, &mut dot, &mut 0);
        dot.push_str("}\n");
        dot
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fn walk(step: &Explanation, indent: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            for (i, input) in step.inputs.iter().enumerate() {
                let last = i + 1 == step.inputs.len();
                let (branch, below) = if last {
                    ("└─ ", "   ")
                } else {
                    ("├─ ", "│  ")
                };
                writeln!(f, "{indent}{branch}{}", input.line())?;
                walk(input, &format!("{indent}{below}"), f)?;
            }
            Ok(())
        }
        writeln!(f, "{}", self.line())?;
        walk(self, "", f)
    }
}
