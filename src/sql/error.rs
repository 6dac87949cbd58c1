//! What can be wrong with a statement, shown in its text.

use std::fmt;

use sqlparser::tokenizer::{Location, Span};
use thiserror::Error;

use crate::query::QueryError;

/// Characters of a line that are shown.
const WIDTH: usize = 120;

/// Why a statement was refused: what is wrong, a hint where one helps, and the place in the text.
///
/// As text it shows the place underlined:
///
/// ```
/// use tailwater::query::Query;
/// let error = Query::from_sql("SELECT naem, agg(x) FROM people").unwrap_err();
/// assert_eq!((error.line, error.column), (1, 14));
/// assert!(error.to_string().starts_with("\
/// unknown function `agg`
///   |
/// 1 | SELECT naem, agg(x) FROM people
///   |              ^^^"));
/// ```
#[derive(Debug, Error, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SqlError {
    /// What is wrong.
    pub message: String,
    /// What might help.
    pub hint: Option<String>,
    /// The line of the place, from 1; 0 where the statement as a whole is meant.
    pub line: usize,
    /// The place's first character in its line, from 1.
    pub column: usize,
    /// How many characters of the line are meant.
    pub length: usize,
    /// The line.
    pub text: String,
}

impl fmt::Display for SqlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        if self.line > 0 {
            let number = self.line.to_string();
            let margin = " ".repeat(number.len());
            // Of a long line, what is around the place.
            let from = match self.text.chars().count() > WIDTH {
                true => (self.column - 1).saturating_sub(WIDTH / 2),
                false => 0,
            };
            let shown = self.text.chars().skip(from).take(WIDTH);
            let text: String = shown.map(|c| if c == '\t' { ' ' } else { c }).collect();
            let (before, length) = (self.column - 1 - from, self.length.min(WIDTH / 2));
            let (before, carets) = (" ".repeat(before), "^".repeat(length));
            write!(
                f,
                "\n{margin} |\n{number} | {text}\n{margin} | {before}{carets}"
            )?;
        }
        match &self.hint {
            Some(hint) => write!(f, "\n  hint: {hint}"),
            None => Ok(()),
        }
    }
}

/// A fault at a place that is not shown yet.
#[derive(Debug)]
pub(super) struct Fault {
    span: Span,
    message: String,
    hint: Option<String>,
}

pub(super) type Result<T> = std::result::Result<T, Fault>;

impl Fault {
    pub(super) fn new(span: Span, message: impl Into<String>) -> Fault {
        Fault {
            span,
            message: message.into(),
            hint: None,
        }
    }

    pub(super) fn hint(mut self, hint: impl Into<String>) -> Fault {
        self.hint = Some(hint.into());
        self
    }

    /// Names what is close to an unknown name, or else all there is.
    pub(super) fn suggest<'a>(self, name: &str, known: impl IntoIterator<Item = &'a str>) -> Fault {
        match QueryError::new("", "").suggest(name, known).hint {
            Some(hint) => self.hint(hint),
            None => self,
        }
    }

    /// Names what is close to an unknown name.
    pub(super) fn near<'a>(self, name: &str, known: impl IntoIterator<Item = &'a str>) -> Fault {
        match QueryError::new("", "").suggest(name, known).hint {
            Some(hint) if hint.starts_with("did you mean") => self.hint(hint),
            _ => self,
        }
    }

    /// A hint where there is none.
    pub(super) fn hint_else(mut self, hint: &str) -> Fault {
        self.hint.get_or_insert_with(|| hint.to_owned());
        self
    }

    /// What a check of the query found in what a place became.
    pub(super) fn of(error: QueryError, span: Span) -> Fault {
        Fault {
            span,
            message: error.message,
            hint: error.hint,
        }
    }

    /// Whether its place stands behind another one.
    pub(super) fn is_after(&self, other: Span) -> bool {
        let (own, other) = (self.span.start, other.start);
        (own.line, own.column) > (other.line, other.column)
    }

    /// With a place, unless it has one.
    pub(super) fn at(mut self, span: Span) -> Fault {
        if self.span.start.line == 0 {
            self.span = span;
        }
        self
    }

    /// In the text.
    pub(super) fn shown(self, text: &str) -> SqlError {
        let Location { line, column } = self.span.start;
        let found = text.lines().nth((line as usize).wrapping_sub(1));
        let (line, column, length, text) = match found {
            None => (0, 0, 0, ""),
            Some(text) => {
                let count = text.chars().count();
                let column = (column as usize).clamp(1, count + 1);
                let end = match self.span.end.line == line {
                    true => (self.span.end.column as usize).min(count + 1),
                    false => count + 1,
                };
                let length = end.saturating_sub(column).max(1);
                (line as usize, column, length, text)
            }
        };
        SqlError {
            message: self.message,
            hint: self.hint,
            line,
            column,
            length,
            text: text.to_owned(),
        }
    }
}
