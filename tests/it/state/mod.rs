//! The state package's behaviours, and what else a database on a stream promises.

mod db_errors;
mod db_hooks;
mod db_live;
mod db_load;
mod db_slow_readers;
mod db_snapshots;
mod db_support;
mod db_txids;
mod tx_actions;
mod tx_lifecycle;
mod tx_model;
mod tx_paced;
mod tx_support;
