//! Results as the suite reads them.

use serde_json::{Value, json};
use tailwater::stream::StreamError;

pub(crate) fn failure(command: &str, code: &str, message: &str) -> Value {
    json!({"type": "error", "success": false, "commandType": command, "errorCode": code, "message": message})
}

pub(crate) fn from_error(command: &str, error: &StreamError) -> Value {
    let mut result = failure(command, code(error), &error.to_string());
    if let Some(status) = error.status() {
        result["status"] = status.into();
    } else if matches!(error, StreamError::InvalidArgument { .. }) {
        // What the server would have answered.
        result["status"] = 400.into();
    }
    result
}

fn code(error: &StreamError) -> &'static str {
    match error {
        StreamError::NotFound { .. } => "NOT_FOUND",
        StreamError::Closed { .. } => "STREAM_CLOSED",
        StreamError::SequenceConflict { .. } | StreamError::SequenceGap { .. } => {
            "SEQUENCE_CONFLICT"
        }
        StreamError::Conflict { .. } => "CONFLICT",
        StreamError::InvalidOffset { .. } => "INVALID_OFFSET",
        StreamError::Parse { .. } | StreamError::TooLarge { .. } => "PARSE_ERROR",
        StreamError::Transport { .. } => "NETWORK_ERROR",
        StreamError::Timeout { .. } => "TIMEOUT",
        StreamError::InvalidArgument { .. } => "INVALID_ARGUMENT",
        StreamError::Exhausted { last, .. } => code(last),
        StreamError::ProducerFailed { source, .. } => code(source),
        StreamError::Gone { .. } | StreamError::Fenced { .. } | StreamError::Status { .. } => {
            "UNEXPECTED_STATUS"
        }
        _ => "INTERNAL_ERROR",
    }
}
