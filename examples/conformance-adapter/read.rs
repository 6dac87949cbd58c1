//! The `read` command: batches up to a number of chunks, a time, or the end.

use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use futures_util::StreamExt;
use serde_json::{Value, json};
use tailwater::stream::{DurableStream, Items, Live, ReadOptions, StreamError};
use tokio::time::{Instant, timeout_at};

pub(crate) async fn read(stream: &DurableStream, command: &Value) -> Result<Value, StreamError> {
    let live = match &command["live"] {
        Value::Bool(true) => Live::Auto,
        Value::String(mode) if mode == "long-poll" => Live::LongPoll,
        Value::String(mode) if mode == "sse" => Live::Sse,
        _ => Live::Off,
    };
    let budget = Duration::from_millis(command["timeoutMs"].as_u64().unwrap_or(5000));
    let max_chunks = command["maxChunks"].as_u64().unwrap_or(100);
    let until_up_to_date = command["waitForUpToDate"].as_bool().unwrap_or(false);
    let offset = command["offset"].as_str().unwrap_or("-1");

    let mut reader = stream.read(ReadOptions::from(offset).live(live));
    let deadline = Instant::now() + budget;
    let mut chunks = Vec::new();
    let mut end =
        json!({"offset": offset, "upToDate": false, "streamClosed": false, "status": 200});
    loop {
        let batch = match timeout_at(deadline, reader.next()).await {
            Ok(Some(batch)) => batch?,
            Ok(None) => break,
            // Silence until the time is over means that there is nothing more.
            Err(_) => {
                end["upToDate"] = true.into();
                break;
            }
        };
        let silent = batch.items.is_empty() && live == Live::LongPoll && batch.cursor.is_some();
        end["status"] = if silent { 204 } else { 200 }.into();
        end["offset"] = batch.offset.as_str().into();
        end["upToDate"] = (batch.up_to_date || batch.closed).into();
        end["streamClosed"] = batch.closed.into();
        if let Some(cursor) = &batch.cursor {
            end["cursor"] = cursor.as_str().into();
        }
        if !batch.items.is_empty() {
            chunks.push(chunk(&batch.items, batch.offset.as_str()));
        }
        if chunks.len() as u64 >= max_chunks
            || batch.closed
            || (until_up_to_date && batch.up_to_date)
        {
            break;
        }
    }
    end["chunks"] = chunks.into();
    Ok(end)
}

fn chunk(items: &Items, offset: &str) -> Value {
    let bytes = match items {
        Items::Json(items) => compact(&items.to_array()).into_bytes(),
        Items::Bytes(bytes) => bytes.to_vec(),
    };
    match String::from_utf8(bytes) {
        Ok(text) => json!({"data": text, "offset": offset}),
        Err(error) => {
            let data = BASE64_STANDARD.encode(error.into_bytes());
            json!({"data": data, "binary": true, "offset": offset})
        }
    }
}

/// JSON without white space between its parts, as the suite compares texts. Servers keep what was
/// written.
fn compact(json: &str) -> String {
    let (mut quoted, mut escaped) = (false, false);
    let keep = |c: &char| {
        let keep = quoted || !c.is_ascii_whitespace();
        quoted ^= *c == '"' && !escaped;
        escaped = quoted && *c == '\\' && !escaped;
        keep
    };
    json.chars().filter(keep).collect()
}
