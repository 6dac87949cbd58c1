//! `withRecursive`: queries that refer to themselves, up to their fixed point.

use smol_str::SmolStr;

use super::env::{Binding, Env};
use super::expr::Shape;
use super::key::{KeyKind, Template};
use super::union::{columns, static_fields};
use super::{Node, Plan, Recursive, build};
use crate::query::{JoinKind, Query, QueryError};

type Result<T> = std::result::Result<T, QueryError>;

/// How many rounds a recursion makes at most, unless the query says otherwise.
const MAX_ROUNDS: u64 = 1000;

/// The recursive queries of a `withRecursive`, planned.
pub(super) struct Definitions {
    definitions: Vec<(usize, Node)>,
    max_rounds: u64,
}

/// Plans the recursive queries of a query, and gives what else in it is planned in.
pub(super) fn definitions<'c>(
    query: &Query,
    env: &Env<'c>,
) -> Result<(Option<Definitions>, Env<'c>)> {
    if query.recursive.is_empty() {
        if query.max_rounds.is_some() {
            let error =
                QueryError::new("maxRounds", "there is no `withRecursive` it could speak of");
            return Err(error);
        }
        return Ok((None, env.clone()));
    }
    let binding = |(name, body): &(SmolStr, Query)| {
        let (shape, template) = match static_fields(body) {
            Some(names) => {
                let leaf = |(i, name): (usize, &SmolStr)| (Some(name.clone()), Template::Leaf(i));
                let template = Template::Object(names.iter().enumerate().map(leaf).collect());
                (Shape::Fields(names.into()), template)
            }
            None => (Shape::Value, Template::Leaf(0)),
        };
        Binding {
            name: name.clone(),
            id: env.fresh(),
            shape,
            key: KeyKind::Distinct(template),
        }
    };
    let bindings: Vec<Binding> = query.recursive.iter().map(binding).collect();
    let env = env.with(bindings.clone());
    let mut definitions = Vec::new();
    for ((name, body), binding) in query.recursive.iter().zip(&bindings) {
        let within = |e: QueryError| e.within(&format!("withRecursive.{name}"));
        let plan = build::query(body, &env, None).map_err(within)?.plan;
        let node = rows(plan, &binding.shape);
        check(&node, &bindings).map_err(within)?;
        definitions.push((binding.id, node));
    }
    let definitions = Definitions {
        definitions,
        max_rounds: query.max_rounds.unwrap_or(MAX_ROUNDS),
    };
    Ok((Some(definitions), env))
}

impl Definitions {
    /// Makes the definitions known to a node.
    pub(super) fn around(self, input: Node) -> Node {
        Node::Recursive(Box::new(Recursive {
            definitions: self.definitions,
            max_rounds: self.max_rounds,
            input,
        }))
    }
}

/// The distinct rows of a query.
fn rows(plan: Plan, shape: &Shape) -> Node {
    let fields = match shape {
        Shape::Fields(names) => columns(&plan.output, names),
        Shape::Value | Shape::Collection(_) => vec![plan.output],
    };
    Node::Distinct {
        input: Box::new(plan.root),
        fields,
        keyed: true,
    }
}

/// Checks that more rows of the recursive queries can only make more rows of this node.
fn check(node: &Node, bindings: &[Binding]) -> Result<()> {
    let name = |id: usize| bindings.iter().find(|b| b.id == id).map(|b| &b.name);
    let mut met = None;
    node.any(&mut |n| {
        met = met.or(match n {
            Node::Bound(id) => name(*id),
            _ => None,
        });
        met.is_some()
    });
    let Some(met) = met else { return Ok(()) };
    let wrong = |what: &str| {
        Err(QueryError::new(
            "",
            format!("`{met}` cannot stand {what} within the recursion"),
        )
        .hint("what is made of the finished recursion may stand in the query around it"))
    };
    match node {
        Node::Aggregate { .. } => wrong("under an aggregate"),
        Node::Window { .. } => wrong("under a limit or an offset"),
        Node::Over { .. } => wrong("under values of the rows around"),
        Node::Include(_) => wrong("in or under an included query"),
        Node::Clock { .. } => wrong("under a comparison with `now`"),
        Node::Recursive(_) => wrong("in another recursion"),
        Node::Join(join) if !matches!(join.kind, JoinKind::Inner | JoinKind::Cross) => {
            wrong(&format!("in a {} join", join.kind.as_str()))
        }
        node => node
            .inputs()
            .into_iter()
            .try_for_each(|n| check(n, bindings)),
    }
}
