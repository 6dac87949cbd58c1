//! Tokens as a file: JSON, read entry by entry, so that an error names the one that is wrong.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use super::Token;
use crate::query::Query;
use crate::server::Error;

/// What an entry says beside its token, which no error shows.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Entry {
    name: Option<String>,
    #[serde(default)]
    prefix: String,
    rights: Option<Rights>,
    #[serde(default)]
    read_queries: Vec<String>,
    #[serde(default)]
    register_queries: Vec<String>,
    #[serde(default)]
    rows: BTreeMap<String, Value>,
}

#[derive(PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Rights {
    Read,
    Write,
    ReadWrite,
}

impl Token {
    /// Reads tokens from JSON: an array of objects, each with a `token` and what it is for.
    ///
    /// | field | |
    /// |---|---|
    /// | `name` | what messages call it |
    /// | `prefix` | the streams that it is for; all without |
    /// | `rights` | `read`, `write` or `read-write` of these streams, and of the queries over them |
    /// | `readQueries` | names of queries over these streams whose results it reads; `a*` is all that begin with `a` |
    /// | `registerQueries` | names that it registers, replaces and drops queries of |
    /// | `rows` | of a collection, the conditions that its queries are given: an expression, or a list of them; `*` is all other collections |
    ///
    /// A token may stand there several times, with what it may do elsewhere.
    ///
    /// ```
    /// # use tailwater::server::Token;
    /// let tokens = Token::from_json(r#"[
    ///     {"token":"s3cret-of-the-shop","prefix":"orders","rights":"read"},
    ///     {"token":"s3cret-of-acme","name":"acme","readQueries":["acme-*"],"registerQueries":["acme-*"],
    ///      "rows":{"order":{"type":"func","name":"eq","args":[
    ///          {"type":"ref","path":["order","tenant"]},{"type":"val","value":"acme"}]}}}]"#)?;
    /// let error = Token::from_json(r#"[{"token":"s3cret","name":"acme","right":"read"}]"#).unwrap_err();
    /// assert!(error.to_string().starts_with("token 1 (`acme`): unknown field `right`"));
    /// # Ok::<(), tailwater::server::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If the text is not that. The error tells which entry is wrong by its place, from 1, and its
    /// name, and never shows a token.
    pub fn from_json(json: &str) -> Result<Vec<Token>, Error> {
        let entries: Vec<Value> =
            serde_json::from_str(json).map_err(|error| match error.classify() {
                serde_json::error::Category::Data => {
                    Error::TokenFile("must be an array".to_owned())
                }
                _ => Error::TokenFile(error.to_string()),
            })?;
        let entry = |(index, entry)| Token::from_entry(entry, index);
        entries.into_iter().enumerate().map(entry).collect()
    }

    fn is_for_queries(&self) -> bool {
        !self.read_queries.is_empty() || !self.register_queries.is_empty()
    }

    fn allows_anything(&self) -> bool {
        self.read || self.write || self.is_for_queries()
    }

    fn from_entry(mut entry: Value, index: usize) -> Result<Token, Error> {
        let name = entry.get("name").and_then(Value::as_str).map(str::to_owned);
        let wrong = |reason: String| Error::Token {
            index,
            name: name.clone(),
            reason,
        };
        let Some(fields) = entry.as_object_mut() else {
            return Err(wrong("must be an object".to_owned()));
        };
        let Some(Value::String(secret)) = fields.remove("token") else {
            return Err(wrong("`token` must be there, and be a string".to_owned()));
        };
        let entry: Entry =
            serde_json::from_value(entry).map_err(|error| wrong(error.to_string()))?;
        let mut token = Token::new(secret).prefix(&entry.prefix);
        token.read = matches!(entry.rights, Some(Rights::Read | Rights::ReadWrite));
        token.write = matches!(entry.rights, Some(Rights::Write | Rights::ReadWrite));
        token = token
            .read_queries(entry.read_queries)
            .register_queries(entry.register_queries);
        if !token.allows_anything() && entry.rows.is_empty() {
            let hint = "allows nothing: give it `rights`, `readQueries` or `registerQueries`";
            return Err(wrong(hint.to_owned()));
        }
        if let Some(name) = entry.name {
            token = token.name(name);
        }
        for (collection, conditions) in entry.rows {
            let within = |error: String| wrong(format!("`rows.{collection}`: {error}"));
            // The conditions of a query, which stand in a list.
            let list = match conditions {
                Value::Array(list) => list,
                one => vec![one],
            };
            let from = json!({"type": "collectionRef", "collection": "c", "alias": "c"});
            let query = Query::from_json(&json!({"from": from, "where": list}).to_string());
            let query = query.map_err(|error| within(error.to_string()))?;
            token.rows.add(&collection, query.filters);
        }
        token.check(index)?;
        Ok(token)
    }

    /// Checks that all collections are there whose rows it is for: a name that is not would leave the
    /// rows of the one that was meant as they are.
    #[cfg(feature = "serve")]
    pub(crate) fn check_collections(
        &self,
        index: usize,
        known: impl Fn(&str) -> bool,
    ) -> Result<(), Error> {
        match self.rows.collections().find(|name| !known(name)) {
            None => Ok(()),
            Some(name) => Err(Error::Token {
                index,
                name: self.name.clone(),
                reason: format!("`rows.{name}`: the schema has no such collection"),
            }),
        }
    }

    /// Checks that it can be asked for, and that what it is for fits together.
    pub(crate) fn check(&self, index: usize) -> Result<(), Error> {
        let wrong = |reason: String| {
            Err(Error::Token {
                index,
                name: self.name.clone(),
                reason,
            })
        };
        let sendable = self.secret.bytes().all(|byte| byte.is_ascii_graphic());
        if self.secret.is_empty() || !sendable {
            return wrong("is empty, or has other characters than visible ASCII".to_owned());
        }
        let for_queries = self.is_for_queries();
        if !self.rows.is_empty() && (self.read || self.write) {
            return wrong(
                "`rights` are for whole streams, so they do not go with `rows`: give \
                 `readQueries` and `registerQueries`"
                    .to_owned(),
            );
        }
        if !self.rows.is_empty() && !for_queries {
            return wrong("`rows` are for `readQueries` and `registerQueries`".to_owned());
        }
        for names in [&self.read_queries, &self.register_queries] {
            if let Some(name) = names.wrong() {
                return wrong(format!(
                    "`{name}` is no name of queries, and no beginning of one with a `*` behind it"
                ));
            }
        }
        match self.rows.check() {
            Ok(()) => Ok(()),
            Err(error) => wrong(format!("`rows`: {error}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_is_told_without_the_secret() {
        for (json, says) in [
            ("{}", "the tokens cannot be read: must be an array"),
            ("[", "the tokens cannot be read: EOF"),
            (r#"["s3cret"]"#, "token 1: must be an object"),
            (
                r#"[{"token":"a","rights":"read"},{"name":"b"}]"#,
                "token 2 (`b`): `token` must be there",
            ),
            (
                r#"[{"token":"s3cret","prefix":"a"}]"#,
                "token 1: allows nothing: give it `rights`",
            ),
            (
                r#"[{"token":53,"rights":"read"}]"#,
                "token 1: `token` must be there, and be a string",
            ),
            (
                r#"[{"token":"s3cret","rights":"all"}]"#,
                "token 1: unknown variant `all`, expected one of `read`",
            ),
            (
                r#"[{"token":"s3cret","rihgts":"read"}]"#,
                "token 1: unknown field `rihgts`",
            ),
            (
                r#"[{"token":"s3 cret","rights":"read"}]"#,
                "token 1: is empty, or has other characters",
            ),
            (
                r#"[{"token":"s3cret","readQueries":["a/b"]}]"#,
                "token 1: `a/b` is no name of queries",
            ),
            (
                r#"[{"token":"s3cret","rights":"read","rows":{"t":{"type":"val","value":true}}}]"#,
                "token 1: `rights` are for whole streams",
            ),
            (
                r#"[{"token":"s3cret","rows":{"t":{"type":"val","value":true}}}]"#,
                "token 1: `rows` are for `readQueries`",
            ),
            (
                r#"[{"token":"s3cret","readQueries":["*"],"rows":{"t":{"type":"func","name":"qe","args":[]}}}]"#,
                "token 1: `rows.t`: `where[0].name`: unknown function `qe` (did you mean `eq`?)",
            ),
            (
                r#"[{"token":"s3cret","readQueries":["*"],"rows":{"t":{"type":"ref","path":["u","a"]}}}]"#,
                "token 1: `rows`: `t.where[0].path`: ",
            ),
            (
                r#"[{"token":"s3cret","readQueries":["*"],"rows":{"t":{"type":"func","name":"gt","args":[{"type":"ref","path":["t","at"]},{"type":"func","name":"now","args":[]}]}}}]"#,
                "token 1: `rows`: `t`: must be conditions on a row alone",
            ),
            (
                r#"[{"token":"s3cret","readQueries":["*"],"rows":{"t":[]}}]"#,
                "token 1: `rows`: `t`: there is no condition",
            ),
        ] {
            let error = Token::from_json(json).expect_err(json).to_string();
            assert!(error.starts_with(says), "{error}");
            assert!(!error.contains("s3"), "{error}");
        }
    }
}
