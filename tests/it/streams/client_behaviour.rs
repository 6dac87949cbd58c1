//! What the client does with a server that is as it should be: the same tests with each of them.

mod handle;
mod producer;
mod reads;

use super::servers::ServerUnderTest;

/// Runs all tests with a server, which may not be there.
macro_rules! run_with {
    ($name:ident, $server:expr) => {
        mod $name {
            use super::*;

            run_with! { @each $server;
                handle: [
                    creating_says_whether_the_stream_is_new
                    creating_with_another_configuration_is_a_conflict
                    a_stream_is_created_with_content_and_closed
                    an_append_ends_where_the_stream_does
                    an_appended_text_keeps_all_its_digits
                    an_array_is_one_message
                    what_is_not_one_json_value_is_refused_and_not_sent
                    bytes_are_joined_and_text_is_text
                    an_empty_append_is_refused
                    a_handle_asks_for_the_content_type
                    another_content_type_is_a_conflict
                    sequences_have_to_grow
                    a_closed_stream_takes_nothing
                    a_stream_is_closed_with_its_last_content
                    a_deleted_stream_is_not_found_and_can_be_made_again
                    every_call_names_the_stream_that_is_not_found
                ]
                reads: [
                    catching_up_ends_with_what_is_there
                    an_empty_stream_is_up_to_date
                    closed_streams_end_readers_in_every_mode
                    an_empty_closed_stream_ends_readers_in_every_mode
                    from_now_on_nothing_old_is_read
                    reading_goes_on_from_stored_offsets
                    readers_stay_with_what_comes
                    readers_stay_with_text_and_bytes
                    content_that_closes_a_stream_is_read
                    live_batches_have_a_cursor
                    everything_is_collected
                    collecting_goes_on_where_it_was
                    a_message_of_another_type_is_an_error
                    an_offset_that_is_none_is_named
                    a_large_stream_is_read_whole
                ]
                producer: [
                    items_are_in_the_order_of_the_calls
                    batches_are_bounded_by_items
                    batches_are_bounded_by_bytes
                    a_batch_does_not_wait_longer_than_it_lingers
                    flushing_tells_the_end
                    bytes_are_produced
                    the_same_batch_again_is_a_success_without_effect
                    an_older_epoch_is_fenced_off
                    a_fenced_producer_claims_the_next_epoch
                    closing_takes_the_last_batch_along
                    closing_without_items_closes
                    a_stream_that_another_closed_fails_the_producer
                    a_stream_that_is_deleted_fails_the_producer
                    refused_items_do_no_harm
                    what_was_queued_is_sent_when_nobody_holds_the_producer
                ]
            }
        }
    };
    (@each $server:expr; $($module:ident: [$($test:ident)*])*) => {
        $(mod $module {
            use super::*;

            $(#[tokio::test]
            async fn $test() {
                if let Some(server) = $server {
                    super::super::$module::$test(server).await;
                }
            })*
        })*
    };
}

run_with!(embedded, ServerUnderTest::embedded());
run_with!(reference, ServerUnderTest::reference());
run_with!(durable_streams_binary, ServerUnderTest::binary());
