//! Rules for the rows of a collection as JSON Schema; none can be had without the feature
//! `json-schema`.

#[cfg(feature = "json-schema")]
pub(super) use checked::RowRules;
#[cfg(not(feature = "json-schema"))]
pub(super) use unchecked::RowRules;

#[cfg(feature = "json-schema")]
mod checked {
    use std::sync::Arc;

    use jsonschema::{ValidationError, Validator};
    use smol_str::SmolStr;

    use crate::schema::{Issue, Issues};

    /// A value can break a rule in very many places.
    const MAX_ISSUES: usize = 20;
    /// Longer messages show the value in full, which may be the whole row.
    const MAX_MESSAGE: usize = 200;

    /// The rules of a collection.
    #[derive(Clone, Debug)]
    pub(in crate::schema) struct RowRules {
        validator: Arc<Validator>,
        primary_key: SmolStr,
    }

    impl RowRules {
        /// The rules of a schema; an error says what is wrong with it.
        pub(in crate::schema) fn new(
            schema: &serde_json::Value,
            primary_key: &SmolStr,
        ) -> Result<Option<RowRules>, String> {
            // Who writes a `format` wants it kept, whatever the draft says.
            let options = jsonschema::options()
                .should_validate_formats(true)
                .offline();
            match options.build(schema) {
                Ok(validator) => Ok(Some(RowRules {
                    validator: Arc::new(validator),
                    primary_key: primary_key.clone(),
                })),
                Err(error) => Err(issue(&error).to_string()),
            }
        }

        /// Whether a value keeps the rules. One without the primary key's field is judged with its
        /// key there, as the row will have it.
        pub(in crate::schema) fn check(
            &self,
            key: Option<&str>,
            text: &str,
        ) -> serde_json::Result<Result<(), Issues>> {
            let mut value: serde_json::Value = serde_json::from_str(text)?;
            if let (Some(key), Some(fields)) = (key, value.as_object_mut()) {
                let field = fields.entry(self.primary_key.as_str());
                field.or_insert_with(|| key.into());
            }
            let errors = self.validator.iter_errors(&value).take(MAX_ISSUES);
            let issues: Issues = errors.map(|error| issue(&error)).collect();
            Ok(issues.into_result())
        }
    }

    fn issue(error: &ValidationError<'_>) -> Issue {
        let mut message = error.to_string();
        if message.len() > MAX_MESSAGE {
            message = error.masked().to_string();
        }
        let steps = error.instance_path().segments();
        Issue::new(format!("{message} (`{}`)", error.kind().keyword()))
            .at(steps.map(|step| step.to_string()))
    }
}

#[cfg(not(feature = "json-schema"))]
mod unchecked {
    use smol_str::SmolStr;

    use crate::schema::Issues;

    /// There are none.
    #[derive(Clone, Debug)]
    pub(in crate::schema) enum RowRules {}

    impl RowRules {
        pub(in crate::schema) fn new(
            _: &serde_json::Value,
            _: &SmolStr,
        ) -> Result<Option<RowRules>, String> {
            Ok(None)
        }

        pub(in crate::schema) fn check(
            &self,
            _: Option<&str>,
            _: &str,
        ) -> serde_json::Result<Result<(), Issues>> {
            match *self {}
        }
    }
}

#[cfg(all(test, feature = "json-schema"))]
mod tests {
    use serde_json::json;
    use smol_str::SmolStr;

    use super::RowRules;

    fn found(schema: serde_json::Value, text: &str) -> String {
        let rules = RowRules::new(&schema, &SmolStr::new("id"))
            .unwrap()
            .unwrap();
        match rules.check(Some("7"), text).unwrap() {
            Ok(()) => String::new(),
            Err(issues) => issues.to_string(),
        }
    }

    #[test]
    fn issues_name_the_field_and_the_rule() {
        let schema = json!({
            "properties": {
                "age": {"minimum": 0},
                "tags": {"items": {"type": "string"}},
                "email": {"format": "email"},
            },
            "required": ["id", "age"],
            "additionalProperties": {"maxLength": 3},
        });
        for (text, expected) in [
            (r#"{"age":1,"tags":["a"],"email":"a@example.com"}"#, ""),
            (
                r#"{"age":-1}"#,
                "age: -1 is less than the minimum of 0 (`minimum`)",
            ),
            (
                r#"{"age":1,"tags":["a",2]}"#,
                r#"tags.1: 2 is not of type "string" (`type`)"#,
            ),
            (r#"{}"#, r#""age" is a required property (`required`)"#),
            (
                r#"{"age":1,"email":"at home"}"#,
                r#"email: "at home" is not a "email" (`format`)"#,
            ),
        ] {
            assert_eq!(found(schema.clone(), text), expected);
        }
        let long = format!(r#"{{"age":1,"note":"{}"}}"#, "x".repeat(1000));
        assert_eq!(
            found(schema, &long),
            "note: value is longer than 3 characters (`maxLength`)"
        );
    }

    #[test]
    fn a_key_counts_only_where_the_value_has_none() {
        let text = json!({"properties": {"id": {"type": "string"}}, "required": ["id"]});
        let number = json!({"properties": {"id": {"type": "integer"}}});
        assert_eq!(found(text, "{}"), "");
        assert_eq!(found(number.clone(), r#"{"id":7}"#), "");
        assert_eq!(
            found(number, "{}"),
            r#"id: "7" is not of type "integer" (`type`)"#
        );
    }

    #[test]
    fn schemas_that_do_not_hold_are_refused() {
        for (schema, expected) in [
            (json!({"type": "text"}), "type"),
            (json!({"properties": {"a": {"pattern": "("}}}), "pattern"),
            (json!({"$ref": "https://example.com/a.json"}), "example.com"),
        ] {
            let error = RowRules::new(&schema, &SmolStr::new("id")).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
    }
}
