//! A query file in SQL: what a server is to do with the query stands in comments at its top.

use super::SqlError;
use super::error::Fault;
use crate::query::{Query, QueryFile};
use sqlparser::tokenizer::{Location, Span};

impl QueryFile {
    /// Reads a file's text. Comments before the statement may say which stream the query reads and
    /// how a dashboard shows its result:
    ///
    /// ```
    /// use tailwater::query::QueryFile;
    /// let file = QueryFile::from_sql(
    ///     r#"-- title: Adults
    ///     -- source: people
    ///     -- view: {"chart": "table"}
    ///     SELECT name FROM person WHERE age >= 18"#,
    /// )?;
    /// assert_eq!(file.source.as_deref(), Some("people"));
    /// assert_eq!(file.view.unwrap()["title"], "Adults");
    /// # Ok::<(), tailwater::sql::SqlError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If the text is not a query, or such a comment is not what it must be.
    pub fn from_sql(text: &str) -> Result<QueryFile, SqlError> {
        let mut file = QueryFile::new(Query::from_sql(text)?);
        let mut view: Option<serde_json::Map<String, serde_json::Value>> = None;
        for (number, line) in text.lines().enumerate() {
            let line_start = line.len() - line.trim_start().len();
            let Some(comment) = line.trim_start().strip_prefix("--") else {
                match line.trim().is_empty() {
                    true => continue,
                    false => break,
                }
            };
            let Some((key, said)) = comment.split_once(':') else {
                continue;
            };
            let said = said.trim();
            let fault = |message: String| {
                let number = number as u64 + 1;
                let start = Location::new(number, line_start as u64 + 1);
                let end = Location::new(number, line.chars().count() as u64 + 1);
                Fault::new(Span::new(start, end), message).shown(text)
            };
            match key.trim() {
                "source" => file.source = Some(said.to_owned()),
                "title" => {
                    view.get_or_insert_default()
                        .insert("title".into(), said.into());
                }
                "view" => {
                    let read = serde_json::from_str(said);
                    let read: serde_json::Map<_, _> =
                        read.map_err(|e| fault(format!("the view is no JSON object: {e}")))?;
                    view.get_or_insert_default().extend(read);
                    let checked = file
                        .clone()
                        .with_view(view.clone().unwrap_or_default().into());
                    checked.map_err(|e| fault(e.to_string()))?;
                }
                _ => {}
            }
        }
        Ok(QueryFile {
            view: view.map(Into::into),
            ..file
        })
    }
}
