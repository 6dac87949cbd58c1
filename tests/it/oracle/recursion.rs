//! Recursive queries: sets of rows, evaluated round after round until nothing changes.

use super::evaluate::{Scope, Sets, World, run};
use super::value::V;
use serde_json::Value;

/// Rounds after which a recursion that goes on is cut off.
const MAX_ROUNDS: u64 = 1000;

/// The rows of the recursive queries of `query`. Round 0 has none; a round has what all the
/// queries make of the round before, and the last one is what they make of round `maxRounds`.
pub(super) fn fixed_point(query: &Value, world: &World, parent: Option<&Scope>) -> Sets {
    let definitions = query["withRecursive"].as_object().expect("queries by name");
    let mut sets: Sets = definitions
        .keys()
        .map(|name| (name.clone(), Vec::new()))
        .collect();
    for _ in 0..=query["maxRounds"].as_u64().unwrap_or(MAX_ROUNDS) {
        let inside = World {
            recursive: Some((&sets, world)),
            ..*world
        };
        let round = |(name, body)| (String::clone(name), set(run(body, &inside, parent, None)));
        let next: Sets = definitions.iter().map(round).collect();
        let size = |sets: &Sets| sets.values().map(Vec::len).collect::<Vec<_>>();
        let stands = size(&sets) == size(&next)
            && sets
                .values()
                .flatten()
                .zip(next.values().flatten())
                .all(|(a, b)| a.same(b));
        sets = next;
        if stands || world.is_spent(1) {
            break;
        }
    }
    sets
}

/// The rows, each once.
fn set<K>(rows: Vec<(K, V)>) -> Vec<V> {
    let mut rows: Vec<V> = rows.into_iter().map(|(_, row)| row).collect();
    rows.sort_by(V::order);
    rows.dedup_by(|a, b| a.same(b));
    rows
}
