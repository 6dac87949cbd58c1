//! A query's text looked at before it runs: what it is, and what is wrong with it at which place.

use std::sync::Arc;

use serde::Serialize;
use serde_json::value::RawValue;

use crate::plan::{Explained, Plan};
use crate::query::{QueryError, QueryFile};
use crate::schema::{Catalog, CollectionDef};
use crate::sql::SqlError;

/// A language that queries are written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Language {
    Sql,
    Json,
}

impl Language {
    /// The language of a text: JSON is an object, SQL never begins as one.
    pub(crate) fn of(text: &str) -> Language {
        match text.trim_start().starts_with('{') {
            true => Language::Json,
            false => Language::Sql,
        }
    }

    /// How files in it end.
    pub(crate) fn extension(self) -> &'static str {
        match self {
            Language::Sql => "sql",
            Language::Json => "json",
        }
    }
}

/// What is wrong, or may be, and where in the text.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Fault {
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
    /// The line, from 1; 0 where the text as a whole is meant.
    line: usize,
    /// The first character in the line, from 1.
    column: usize,
    /// How many characters of the line.
    length: usize,
}

/// What a query is.
#[derive(Serialize)]
pub(crate) struct Checked {
    /// The fields of a result row, as far as the query and the rows so far say them.
    pub(crate) columns: Vec<String>,
    pub(crate) ordered: bool,
    pub(crate) query: Option<Box<RawValue>>,
    #[serde(flatten)]
    pub(crate) explained: Explained,
    /// What holds, and is most often a slip: names that nothing has so far.
    pub(crate) warnings: Vec<Fault>,
}

impl Fault {
    /// A fault of a word in a text, at its first place there.
    fn at(text: &str, word: &str, message: String, hint: Option<String>) -> Fault {
        let (line, column, length) = place(text, word).unwrap_or_default();
        Fault {
            message,
            hint,
            line,
            column,
            length,
        }
    }

    /// The message with its place and its hint.
    pub(crate) fn text(&self) -> String {
        let mut message = self.message.clone();
        if self.line > 0 && json_place(&message).is_none() {
            message += &format!(" at line {} column {}", self.line, self.column);
        }
        match &self.hint {
            Some(hint) => format!("{message} ({hint})"),
            None => message,
        }
    }

    pub(crate) fn of_sql(error: SqlError) -> Fault {
        Fault {
            message: error.message,
            hint: error.hint,
            line: error.line,
            column: error.column,
            length: error.length,
        }
    }

    /// What is wrong with the query, whose text is given.
    pub(crate) fn of_query(error: &QueryError, text: &str) -> Fault {
        let message = match (Language::of(text), error.path.as_str()) {
            (Language::Json, path) if !path.is_empty() => format!("`{path}`: {}", error.message),
            _ => error.message.clone(),
        };
        // The reader of JSON says the place in its message.
        if let Some((line, column)) = json_place(&message) {
            return Fault {
                message,
                hint: error.hint.clone(),
                line,
                column,
                length: 1,
            };
        }
        let word = error.message.split('`').nth(1).unwrap_or_default();
        Fault::at(text, word, message, error.hint.clone())
    }
}

/// The place that a message ends in: ` at line 3 column 7`.
fn json_place(message: &str) -> Option<(usize, usize)> {
    let (_, place) = message.rsplit_once(" at line ")?;
    let (line, column) = place.split_once(" column ")?;
    let digits = column.find(|c: char| !c.is_ascii_digit());
    let column: usize = column[..digits.unwrap_or(column.len())].parse().ok()?;
    Some((line.parse().ok()?, column.max(1)))
}

/// The line, column and length of the first place where a name stands alone in a text.
fn place(text: &str, word: &str) -> Option<(usize, usize, usize)> {
    // Of a path, the last name is the one that is missing.
    let word = word.rsplit('.').next().filter(|word| !word.is_empty())?;
    let is_part = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    for (number, line) in text.lines().enumerate() {
        let found = line.match_indices(word).find(|(at, _)| {
            let (before, after) = (&line[..*at], &line[at + word.len()..]);
            !is_part(before.chars().next_back()) && !is_part(after.chars().next())
        });
        if let Some((at, _)) = found {
            let column = line[..at].chars().count() + 1;
            return Some((number + 1, column, word.chars().count()));
        }
    }
    None
}

/// Reads a query's text.
pub(crate) fn read(text: &str) -> Result<QueryFile, Fault> {
    match Language::of(text) {
        Language::Sql => QueryFile::from_sql(text).map_err(Fault::of_sql),
        Language::Json => QueryFile::from_json(text).map_err(|error| Fault::of_query(&error, text)),
    }
}

/// Looks at a query. Nothing is made of it: no collection and, without a schema, no column.
pub(crate) fn check(
    text: &str,
    file: &QueryFile,
    catalog: &Arc<Catalog>,
) -> Result<Checked, Fault> {
    let known = catalog.collections();
    let scratch = match catalog.is_open() {
        true => copy(&known),
        false => catalog.clone(),
    };
    let plan = Plan::new(&file.query, &scratch).map_err(|error| Fault::of_query(&error, text))?;
    let warnings = match catalog.is_open() {
        true => warnings(text, &known, &scratch),
        false => Vec::new(),
    };
    let query = file.query.to_json().ok();
    Ok(Checked {
        columns: plan.fields(),
        ordered: plan.ordered,
        query: query.and_then(|query| RawValue::from_string(query).ok()),
        explained: Explained::new(&file.query, plan.explain()),
        warnings,
    })
}

/// A catalog that knows what there are rows of, and not what queries asked for.
fn copy(known: &[Arc<CollectionDef>]) -> Arc<Catalog> {
    let copy = Catalog::open();
    for collection in known {
        if let Some(same) = copy.by_name(collection.name()) {
            for field in collection.columns().seen() {
                same.column(field);
            }
        }
    }
    Arc::new(copy)
}

/// Names of collections and fields that only the query knows.
fn warnings(text: &str, known: &[Arc<CollectionDef>], asked: &Catalog) -> Vec<Fault> {
    let mut warnings = Vec::new();
    for collection in asked.collections() {
        let name = collection.name();
        let Some(real) = known.iter().find(|known| known.name() == name) else {
            let message = format!("no event of type `{name}` came so far");
            let names = known.iter().map(|known| known.name().as_str());
            let hint = QueryError::new("", "").suggest(name, names).hint;
            warnings.push(Fault::at(text, name, message, hint));
            continue;
        };
        let seen = real.columns();
        let fields: Vec<&str> = seen.seen().collect();
        let columns = collection.columns();
        for field in columns.names() {
            let is_asked = columns.get(field).is_some() && !fields.contains(&field.as_str());
            if is_asked && !fields.is_empty() {
                let message = format!("no row of `{name}` has a field `{field}` so far");
                let hint = QueryError::new("", "")
                    .suggest(field, fields.iter().copied())
                    .hint;
                warnings.push(Fault::at(text, field, message, hint));
            }
        }
    }
    warnings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn catalog() -> Arc<Catalog> {
        let catalog = Arc::new(Catalog::open());
        let mut engine = crate::engine::Engine::with_catalog(catalog.clone());
        let event = r#"{"type":"person","key":"1","value":{"name":"Ada","city":"London"},"headers":{"operation":"insert"}}"#;
        let batch = engine.decode([event]).unwrap();
        engine.apply(batch);
        catalog
    }

    fn checked(text: &str, catalog: &Arc<Catalog>) -> Result<Checked, Fault> {
        check(text, &read(text)?, catalog)
    }

    #[test]
    fn a_query_has_columns_and_slips_are_pointed_at() {
        let catalog = catalog();
        let good = checked("SELECT name, upper(city) AS town FROM person", &catalog)
            .ok()
            .unwrap();
        assert_eq!(
            (good.columns, good.warnings.len()),
            (vec!["name".to_owned(), "town".to_owned()], 0)
        );

        let slip = checked("SELECT name,\n  ctiy FROM person", &catalog)
            .ok()
            .unwrap();
        let [warning] = &slip.warnings[..] else {
            panic!("{:?}", slip.warnings)
        };
        assert_eq!((warning.line, warning.column, warning.length), (2, 3, 4));
        assert_eq!(warning.hint.as_deref(), Some("did you mean `city`?"));

        let slip = checked("SELECT name FROM persn", &catalog).ok().unwrap();
        assert_eq!(
            slip.warnings[0].message,
            "no event of type `persn` came so far"
        );
        assert_eq!((slip.warnings[0].line, slip.warnings[0].column), (1, 18));
        // Nothing came of looking.
        let names: Vec<String> = catalog
            .collections()
            .iter()
            .map(|c| c.name().to_string())
            .collect();
        assert_eq!(names, ["person"]);
        assert_eq!(
            catalog.by_name("person").unwrap().columns().get("ctiy"),
            None
        );
    }

    #[test]
    fn errors_have_their_place_in_both_languages() {
        let catalog = catalog();
        let error = checked("SELECT nam FROM person WHERE lower(name", &catalog)
            .err()
            .unwrap();
        assert_eq!(error.line, 1);
        let error = checked("SELECT uper(name) FROM person", &catalog)
            .err()
            .unwrap();
        assert_eq!((error.line, error.column, error.length), (1, 8, 4));
        let error = checked("{\"from\":\n  nothing}", &catalog).err().unwrap();
        assert_eq!(error.line, 2, "{error:?}");
        let unknown =
            r#"{"from":{"type":"collectionRef","collection":"person","alias":"p"},"veiw":1}"#;
        let error = checked(unknown, &catalog).err().unwrap();
        assert!(
            error.column > 60 && error.message.contains("veiw"),
            "{error:?}"
        );
    }
}
