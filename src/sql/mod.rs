//! Queries in SQL, which become the same [`Query`] that JSON and the builders make.
//!
//! The dialect is PostgreSQL's; `docs/sql.md` says what of it there is, and where results differ.
//! What there is not is refused with its place underlined. A statement knows no schema: collections
//! have the fields that their rows have, so with several sources a column needs its source's name.
//!
//! ```
//! use tailwater::engine::Engine;
//! use tailwater::query::Query;
//!
//! let mut engine = Engine::new();
//! let by_city = engine.install(&Query::from_sql(
//!     "SELECT city, count(*) AS n FROM person WHERE age >= 18 GROUP BY city ORDER BY n DESC",
//! )?)?;
//! engine.apply(engine.decode([
//!     r#"{"type":"person","key":"1","value":{"city":"London","age":36},"headers":{"operation":"insert"}}"#,
//!     r#"{"type":"person","key":"2","value":{"city":"London","age":41},"headers":{"operation":"insert"}}"#,
//! ])?);
//! assert_eq!(engine.view(by_city).unwrap().nth(0).unwrap().value().to_string(), r#"{"city":"London","n":2}"#);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [`Query`]: crate::query::Query

mod aggregate;
mod block;
mod call;
mod decimal;
mod error;
mod expr;
mod file;
mod from;
mod item;
mod join;
mod names;
mod operator;
mod query;
mod read;
mod select;
mod set;
mod subquery;
mod time;
mod window;
mod with;

pub use error::SqlError;

use crate::query::Query;

impl Query {
    /// Reads a query in SQL, one `SELECT` with all that may belong to it.
    ///
    /// ```
    /// use tailwater::query::Query;
    /// let sql = Query::from_sql("SELECT * FROM users AS u WHERE u.age >= 18")?;
    /// let json = Query::from_json(
    ///     r#"{"from":{"type":"collectionRef","collection":"users","alias":"u"},
    ///         "where":[{"type":"func","name":"gte","args":[
    ///             {"type":"ref","path":["u","age"]},{"type":"val","value":18}]}]}"#,
    /// )?;
    /// assert_eq!(sql, json);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If the text is not one statement, or asks for what there is not; the error says where.
    /// Collections are checked by the planner.
    pub fn from_sql(text: &str) -> Result<Query, SqlError> {
        let statement = read::statement(text).map_err(|fault| fault.shown(text))?;
        let lowered = block::Lowering::default().statement(&statement);
        lowered.map_err(|fault| fault.shown(text))
    }
}
