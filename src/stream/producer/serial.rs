//! A producer of one batch at a time, which needs no task.

use bytes::Bytes;

use super::super::error::StreamError;
use super::super::handle::DurableStream;
use super::request;

/// Appends batches, each of which is in the stream once, whatever has to be sent twice.
#[derive(Debug, Default)]
pub(crate) struct SerialProducer {
    /// The producer's id and next sequence, as long as all it sent was acknowledged.
    claim: Option<(String, u64)>,
}

impl SerialProducer {
    /// Appends messages in one step. After a batch of which it is not known whether the server has it,
    /// also as the future was dropped, another id begins with the next: under the old one that could be
    /// taken for a repetition.
    pub(crate) async fn append(
        &mut self,
        stream: &DurableStream,
        items: &[Bytes],
        another_id: &str,
    ) -> Result<(), StreamError> {
        if let Some((id, seq)) = self.claim.take() {
            match send(stream, items, &id, seq).await {
                // The server has forgotten the producer, and has not taken the batch.
                Err(StreamError::SequenceGap { .. }) => {}
                sent => {
                    sent?;
                    self.claim = Some((id, seq + 1));
                    return Ok(());
                }
            }
        }
        send(stream, items, another_id, 0).await?;
        self.claim = Some((another_id.into(), 1));
        Ok(())
    }
}

async fn send(
    stream: &DurableStream,
    items: &[Bytes],
    id: &str,
    seq: u64,
) -> Result<(), StreamError> {
    let content_type = stream.content_type().await?;
    let request = request(stream, &content_type, items, (id, 0, seq));
    stream.http.send(&request).await?;
    Ok(())
}
