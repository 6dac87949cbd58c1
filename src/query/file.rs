//! A query as a file: the query's JSON, and beside it what a server is to do with it.

use serde::Deserialize;

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
                ("view", tree) => {
                    let json = serde_json::from_str(&tree.to_value().to_string());
                    view = json.ok();
                }
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        let file = QueryFile {
            source,
            ..QueryFile::new(query)
        };
        match view {
            Some(view) => file.with_view(view),
            None => Ok(file),
        }
    }

    /// Says how a dashboard shows the result.
    ///
    /// # Errors
    ///
    /// If it is not what the page knows.
    pub fn with_view(self, view: serde_json::Value) -> Result<QueryFile, QueryError> {
        if !view.is_object() {
            return Err(QueryError::new("view", "must be an object"));
        }
        if let Err(error) = Presentation::deserialize(&view) {
            return Err(QueryError::new("view", error.to_string()));
        }
        Ok(QueryFile {
            view: Some(view),
            ..self
        })
    }
}

/// What the page knows of views. It is there to say what is wrong with one.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(dead_code, reason = "the page reads the JSON")]
struct Presentation {
    title: Option<String>,
    note: Option<String>,
    chart: Option<Chart>,
    #[serde(default)]
    columns: Vec<Column>,
    label: Option<String>,
    value: Option<String>,
    x: Option<String>,
    series: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Chart {
    Number,
    Line,
    Bars,
    Table,
    Board,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(dead_code, reason = "the page reads the JSON")]
struct Column {
    field: String,
    title: Option<String>,
    format: Option<Format>,
    align: Option<Align>,
    decimals: Option<u8>,
    unit: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Format {
    Integer,
    Decimal,
    Percent,
    Minutes,
    Time,
    Date,
    Datetime,
    Text,
    Bytes,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Align {
    Left,
    Right,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_beside_a_query_is_named() {
        let from = r#""from":{"type":"collectionRef","collection":"t","alias":"t"}"#;
        for (beside, says) in [
            (r#""source":1"#, "`source`: must be a string, not a number"),
            (r#""view":[]"#, "`view`: must be an object"),
            (
                r#""view":{"chart":"pie"}"#,
                "`view`: unknown variant `pie`, expected one of `number`",
            ),
            (r#""view":{"tilte":"T"}"#, "`view`: unknown field `tilte`"),
            (
                r#""view":{"columns":[{"titel":"T"}]}"#,
                "`view`: unknown field `titel`",
            ),
            (
                r#""view":{"columns":[{"title":"T"}]}"#,
                "`view`: missing field `field`",
            ),
            (r#""veiw":{}"#, "unknown field `veiw`"),
        ] {
            let error = QueryFile::from_json(&format!("{{{beside},{from}}}")).unwrap_err();
            assert!(error.to_string().starts_with(says), "{beside}: {error}");
        }
    }
}
