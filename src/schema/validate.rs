//! Rules for rows beyond their types, and what they find.

use std::fmt;

/// A type whose values can be wrong in ways that types do not tell.
///
/// ```
/// use tailwater::schema::{Issue, Issues, Validate};
/// struct User { name: String, age: i64 }
/// impl Validate for User {
///     fn validate(&self) -> Result<(), Issues> {
///         let mut issues = Issues::default();
///         if self.name.is_empty() {
///             issues.0.push(Issue::new("must not be empty").at(["name"]));
///         }
///         if self.age < 0 {
///             issues.0.push(Issue::new("must not be negative").at(["age"]));
///         }
///         issues.into_result()
///     }
/// }
/// let user = User { name: String::new(), age: -1 };
/// let issues = user.validate().unwrap_err();
/// assert_eq!(issues.to_string(), "name: must not be empty, age: must not be negative");
/// ```
pub trait Validate {
    /// Whether all rules are kept.
    ///
    /// # Errors
    ///
    /// What is wrong, and where.
    fn validate(&self) -> Result<(), Issues>;
}

/// One thing that is wrong with a value, in the shape of Standard Schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issue {
    /// The fields and places of arrays that lead to it; empty for the value as a whole.
    pub path: Vec<String>,
    /// What is wrong there.
    pub message: String,
}

impl Issue {
    /// Something that is wrong with the value as a whole.
    pub fn new(message: impl Into<String>) -> Issue {
        Issue {
            path: Vec::new(),
            message: message.into(),
        }
    }

    /// The same, wrong at a path.
    pub fn at<S: Into<String>>(mut self, path: impl IntoIterator<Item = S>) -> Issue {
        self.path = path.into_iter().map(Into::into).collect();
        self
    }
}

impl fmt::Display for Issue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path.join("."))?;
        }
        f.write_str(&self.message)
    }
}

/// All that is wrong with a value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Issues(pub Vec<Issue>);

impl Issues {
    /// Fine if there are none.
    ///
    /// # Errors
    ///
    /// The issues, if there are any.
    pub fn into_result(self) -> Result<(), Issues> {
        if self.0.is_empty() { Ok(()) } else { Err(self) }
    }
}

impl From<Issue> for Issues {
    fn from(issue: Issue) -> Self {
        Issues(vec![issue])
    }
}

impl FromIterator<Issue> for Issues {
    fn from_iter<I: IntoIterator<Item = Issue>>(issues: I) -> Self {
        Issues(issues.into_iter().collect())
    }
}

impl fmt::Display for Issues {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("unknown validation error");
        }
        for (i, issue) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str(", ")?;
            }
            issue.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for Issues {}

/// The rules that a type has by `garde`, for
/// [`collection_with`](super::StateSchemaBuilder::collection_with).
///
/// # Errors
///
/// What is wrong, and where.
#[cfg(feature = "garde")]
pub fn garde<T: garde::Validate<Context = ()>>(value: &T) -> Result<(), Issues> {
    let issue = |(path, error): &(garde::Path, garde::Error)| {
        // As in `tags[0].name`.
        let path = path.to_string();
        let steps = path.split(['.', '[', ']']).filter(|step| !step.is_empty());
        Issue::new(error.message()).at(steps)
    };
    value
        .validate()
        .map_err(|report| report.iter().map(issue).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn issues_tell_all_of_it() {
        let issues = Issues::from_iter([
            Issue::new("is wrong"),
            Issue::new("too short").at(["tags", "0"]),
        ]);
        assert_eq!(issues.to_string(), "is wrong, tags.0: too short");
        assert_eq!(Issues::default().to_string(), "unknown validation error");
        assert_eq!(Issues::default().into_result(), Ok(()));
        assert_eq!(issues.clone().into_result(), Err(issues));
    }

    #[cfg(feature = "garde")]
    #[test]
    fn garde_says_where() {
        struct Tags(Vec<&'static str>);
        impl garde::Validate for Tags {
            type Context = ();
            fn validate_into(
                &self,
                (): &(),
                parent: &mut dyn FnMut() -> garde::Path,
                report: &mut garde::Report,
            ) {
                for (i, _) in self.0.iter().enumerate().filter(|(_, t)| t.is_empty()) {
                    let path = parent().join("tags").join(i).join("name");
                    report.append(path, garde::Error::new("empty"));
                }
            }
        }
        assert_eq!(garde(&Tags(vec!["a"])), Ok(()));
        let issues = garde(&Tags(vec!["a", ""])).unwrap_err();
        assert_eq!(issues.0, [Issue::new("empty").at(["tags", "1", "name"])]);
    }
}
