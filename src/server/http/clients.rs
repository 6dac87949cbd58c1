//! How much each client asks for at once: one that asks for too much takes nothing from others.
//!
//! A client is a token, or without one the address of the connection.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt as _;

use super::problem::Problem;
use super::{App, headers};

/// The address at the other end of a connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer(pub(crate) IpAddr);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Client {
    Token(usize),
    Address(IpAddr),
}

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum What {
    Connections,
    Requests,
    Readers,
}

/// What clients have at once.
#[derive(Clone, Debug, Default)]
pub(crate) struct Clients(Arc<Mutex<HashMap<(Client, What), usize>>>);

/// One of what a client has at once, until it is dropped.
pub(super) struct One {
    clients: Clients,
    key: (Client, What),
}

impl Clients {
    /// One more; none if the client has as many as it may.
    pub(super) fn take(&self, client: Client, what: What, most: usize) -> Option<One> {
        let key = (client, what);
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(key).or_default();
        if *count >= most {
            return None;
        }
        *count += 1;
        let clients = self.clone();
        Some(One { clients, key })
    }
}

impl Drop for One {
    fn drop(&mut self) {
        let mut counts = self
            .clients
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Entry::Occupied(mut count) = counts.entry(self.key) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
    }
}

/// Refuses requests of a client that has too many.
pub(super) async fn bound(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let token = app.tokens.client(headers::authorization(request.headers()));
    let peer = request
        .extensions()
        .get::<Peer>()
        .map(|Peer(address)| *address);
    let client = match (token, peer) {
        (Some(token), _) => Client::Token(token),
        (None, Some(address)) => Client::Address(address),
        (None, None) => return next.run(request).await,
    };
    let query = request.uri().query().unwrap_or_default();
    let waits = query.split('&').any(|pair| pair.starts_with("live="));
    let limits = &app.limits;
    let (what, most) = match waits {
        true => (What::Readers, limits.readers_per_client),
        false => (What::Requests, limits.requests_per_client),
    };
    let Some(one) = app.clients.take(client, what, most) else {
        return too_many(waits, most).into_response();
    };
    let response = next.run(request).await;
    let is_followed = response
        .headers()
        .get(CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"));
    if !is_followed {
        return response;
    }
    // It waits as long as its content is not at its end.
    let (parts, body) = response.into_parts();
    let frames = body.into_data_stream().map(move |frame| {
        let _held = &one;
        frame
    });
    Response::from_parts(parts, Body::from_stream(frames))
}

fn too_many(waits: bool, most: usize) -> Problem {
    let (detail, hint) = match waits {
        true => (
            format!("the client has {most} readers that wait, as many as it may"),
            "follow several queries over one connection: /v1/changes?query=A&query=B",
        ),
        false => (
            format!("the client has {most} requests at once, as many as it may"),
            "wait for answers before asking for more",
        ),
    };
    Problem::new(StatusCode::TOO_MANY_REQUESTS, "too-many-requests", detail)
        .header(RETRY_AFTER, HeaderValue::from_static("1"))
        .hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_back_can_be_had_again() {
        let clients = Clients::default();
        let take = |client, what| clients.take(client, what, 2);
        let (a, b) = (Client::Token(0), Client::Token(1));
        let held = (take(a, What::Readers), take(a, What::Readers));
        assert!(held.0.is_some() && held.1.is_some());
        assert!(take(a, What::Readers).is_none());
        assert!(
            take(a, What::Requests).is_some(),
            "others are counted apart"
        );
        assert!(take(b, What::Readers).is_some());
        drop(held.0);
        assert!(take(a, What::Readers).is_some());
        drop(held.1);
        assert!(clients.0.lock().unwrap().is_empty(), "nothing is left");
    }
}
