//! A query as a file: the query's JSON, and beside it what a server is to do with it.

use super::error::QueryError;
use super::ir::Query;
use super::parse;
use super::tree::Tree;

/// The content of a query file. Beside the query's own clauses it may say, at the top level, which
/// stream the query reads (`source`) and how a dashboard shows its result (`view`).
///
/// ```
/// use tailwater::query::QueryFile;
/// let file = QueryFile::from_json(
///     r#"{"view":{"title":"Everybody"},
///         "from":{"type":"collectionRef","collection":"users","alias":"u"}}"#,
/// )?;
/// assert_eq!(file.view.unwrap()["title"], "Everybody");
/// # Ok::<(), tailwater::query::QueryError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct QueryFile {
    /// The query.
    pub query: Query,
    /// The path of a stream of the server, or a URL.
    pub source: Option<String>,
    /// How a dashboard shows the result, an object.
    pub view: Option<serde_json::Value>,
}

impl QueryFile {
    /// A query without anything beside it.
    pub fn new(query: Query) -> QueryFile {
        QueryFile {
            query,
            source: None,
            view: None,
        }
    }

    /// Reads a file's text.
    ///
    /// # Errors
    ///
    /// If the text is not JSON or not a query, or something beside the query is not what it must be.
    pub fn from_json(text: &str) -> Result<QueryFile, QueryError> {
        let (mut source, mut view) = (None, None);
        let query = parse::query_beside(text, |key, tree| {
            match (key, tree) {
                ("source", Tree::Leaf(value)) if value.as_str().is_some() => {
                    source = value.as_str().map(str::to_owned);
                }
                ("source", other) => {
                    let message = format!("must be a string, not {}", other.kind());
                    return Err(QueryError::new(key, message)
                        .hint("the path of a stream of the server, or a URL"));
                }
                ("view", Tree::Object(_)) => {
                    view = serde_json::from_str(&tree.to_value().to_string()).ok()
                }
                ("view", other) => {
                    let message = format!("must be an object, not {}", other.kind());
                    return Err(QueryError::new(key, message));
                }
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        Ok(QueryFile {
            query,
            source,
            view,
        })
    }
}
