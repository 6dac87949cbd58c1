//! Headers and parameters whose value may be found anew for each request.

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use futures_util::future::BoxFuture;

use super::error::StreamError;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// The value of a header or a query parameter: a text, or a function that is asked at each request,
/// repetitions included, so that tokens can be refreshed.
///
/// ```
/// use tailwater::stream::Provider;
/// let fixed = Provider::from("Bearer abc");
/// let fresh = Provider::function(|| format!("request at {:?}", std::time::SystemTime::now()));
/// let token = Provider::future(|| async { Ok(format!("Bearer {}", fetch_token().await?)) });
/// # async fn fetch_token() -> Result<String, std::fmt::Error> { Ok("abc".into()) }
/// ```
#[derive(Clone)]
pub struct Provider(Kind);

#[derive(Clone)]
enum Kind {
    Text(String),
    Function(Arc<dyn Fn() -> String + Send + Sync>),
    Future(Arc<dyn Fn() -> BoxFuture<'static, Result<String, Failure>> + Send + Sync>),
}

impl Provider {
    /// A value that is computed at once.
    pub fn function(function: impl Fn() -> String + Send + Sync + 'static) -> Self {
        Provider(Kind::Function(Arc::new(function)))
    }

    /// A value that has to be waited for, and may fail; then nothing is sent.
    pub fn future<F>(function: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<String, Failure>> + Send + 'static,
    {
        Provider(Kind::Future(Arc::new(move || Box::pin(function()))))
    }

    pub(super) async fn get(&self, name: &str) -> Result<String, StreamError> {
        match &self.0 {
            Kind::Text(text) => Ok(text.clone()),
            Kind::Function(function) => Ok(function()),
            Kind::Future(function) => function().await.map_err(|error| StreamError::Provider {
                name: name.to_owned(),
                source: error.into(),
            }),
        }
    }
}

impl<T: Into<String>> From<T> for Provider {
    fn from(text: T) -> Self {
        Provider(Kind::Text(text.into()))
    }
}

impl fmt::Debug for Provider {
    // Values are often secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Kind::Text(_) => "Provider(text)",
            Kind::Function(_) => "Provider(function)",
            Kind::Future(_) => "Provider(future)",
        })
    }
}
