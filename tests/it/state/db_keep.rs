//! Snapshots that a database keeps on disk, and starts from where they fit.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

use fastrand::Rng;
use serde_json::{Value, json};
use tailwater::db::{Builder, Keep, StreamDb};
use tailwater::schema::Catalog;
use tailwater::stream::{CreateOptions, DurableStream};

use super::db_support::*;
use crate::streams::server_help::Dir;

fn often(dir: &Dir) -> Keep {
    Keep::in_directory(dir.path())
        .every(Duration::from_millis(5))
        .after_bytes(1)
}

fn file(dir: &Dir) -> PathBuf {
    dir.path().join("snapshot")
}

fn keeping(world: &World, dir: &Dir) -> Builder {
    StreamDb::builder(world.stream.clone()).keep(often(dir))
}

/// Opens a database and leaves a snapshot of all there is.
async fn leave(builder: Builder) {
    let db = builder.open().unwrap();
    db.preload().await.unwrap();
    eventually("a snapshot", || db.kept().written.is_some()).await;
    assert_eq!(db.kept().error, None);
    db.close();
}

fn rows(db: &StreamDb, name: &str) -> Vec<(String, Value)> {
    let rows = db.collection_named(name).unwrap().query().read();
    let row = |row: tailwater::db::Row<'_, tailwater::value::Value>| {
        let value = row.value().unwrap();
        (row.key(), serde_json::from_str(&value.to_string()).unwrap())
    };
    rows.iter().map(row).collect()
}

/// All rows, read from the start.
async fn fresh(world: &World, name: &str) -> Vec<(String, Value)> {
    let db = world.open();
    db.preload().await.unwrap();
    rows(&db, name)
}

fn note(key: &str, n: u64) -> Value {
    let value = json!({"n": n, "text": "ü".repeat(n as usize % 7), "list": [n, null, {"a": 2.5}]});
    event("upsert", "note", key, value)
}

#[tokio::test]
async fn only_what_came_later_is_read_again() {
    let (world, dir) = (World::new().await, Dir::new());
    let notes: Vec<Value> = (0..300)
        .map(|n| note(&format!("{:03}", n % 200), n))
        .collect();
    world.append(&notes).await;
    world
        .append(&[
            json!(7),
            with_txid(note("x", 1), "tx-1"),
            event("insert", "word", "1", json!("one")),
        ])
        .await;
    leave(keeping(&world, &dir)).await;
    world.append(&[note("y", 5), delete("note", "007")]).await;

    let (tell, told) = mpsc::channel();
    let db = keeping(&world, &dir)
        .on_event(move |_| {
            let _ = tell.send(());
        })
        .open()
        .unwrap();
    db.preload().await.unwrap();
    assert!(db.kept().resumed.is_some(), "{:?}", db.kept());
    assert_eq!(told.try_iter().count(), 2, "only the tail was read");
    for name in ["note", "word"] {
        assert_eq!(rows(&db, name), fresh(&world, name).await);
    }
    // What was seen before is known, and so is what was wrong.
    db.await_txid("tx-1", Duration::ZERO).await.unwrap();
    assert_eq!(db.dead_letters().total, 1);
    assert_eq!(db.dead_letters().latest[0].text, "7");
    // Changes of rows from the snapshot are changes.
    world.append(&[note("003", 9)]).await;
    eventually("a change", || {
        let changed = rows(&db, "note").into_iter().find(|row| row.0 == "003");
        changed.is_some_and(|row| row.1["n"] == 9)
    })
    .await;
}

/// Columns may have other places where queries were there first.
#[tokio::test]
async fn queries_that_are_there_first_find_their_columns() {
    let (world, dir) = (World::new().await, Dir::new());
    world
        .append(&(0..20).map(|n| note(&n.to_string(), n)).collect::<Vec<_>>())
        .await;
    leave(keeping(&world, &dir)).await;
    let db = keeping(&world, &dir).open().unwrap();
    let path = |field| json!({"type": "ref", "path": ["note", field]});
    let select = json!({"absent": path("absent"), "list": path("list"), "n": path("n")});
    let from = json!({"type": "collectionRef", "collection": "note", "alias": "note"});
    let live = db
        .live(query(&json!({"from": from, "select": select})))
        .unwrap();
    db.preload().await.unwrap();
    assert!(db.kept().resumed.is_some());
    let seen: Vec<String> = live
        .rows()
        .unwrap()
        .iter()
        .map(ToString::to_string)
        .collect();
    assert!(
        seen.contains(&r#"{"list":[3,null,{"a":2.5}],"n":3}"#.to_owned()),
        "{seen:?}"
    );
    assert_eq!(rows(&db, "note"), fresh(&world, "note").await);
}

/// Starts with a snapshot that does not fit; gives why not.
async fn refused(world: &World, dir: &Dir, builder: Builder) -> String {
    let _ = fs::remove_file(dir.path().join("snapshot.rejected"));
    let db = builder.open().unwrap();
    db.preload().await.unwrap();
    let kept = db.kept();
    assert_eq!(kept.resumed, None);
    assert_eq!(rows(&db, "note"), fresh(world, "note").await);
    assert!(dir.path().join("snapshot.rejected").exists());
    kept.rejected.unwrap()
}

/// A database that writes no snapshots of its own.
fn idle(world: &World, dir: &Dir) -> Builder {
    let keep = Keep::in_directory(dir.path()).every(Duration::from_secs(3600));
    StreamDb::builder(world.stream.clone()).keep(keep)
}

#[tokio::test]
async fn what_does_not_fit_is_set_aside_and_the_stream_replayed() {
    let (world, dir) = (World::new().await, Dir::new());
    world
        .append(
            &(0..2000)
                .map(|n| note(&n.to_string(), n))
                .collect::<Vec<_>>(),
        )
        .await;
    leave(keeping(&world, &dir)).await;
    let whole = fs::read(file(&dir)).unwrap();
    let put = |bytes: &[u8]| fs::write(file(&dir), bytes).unwrap();
    let check = async |bytes: &[u8], reason: &str| {
        put(bytes);
        let why = refused(&world, &dir, idle(&world, &dir)).await;
        assert!(why.contains(reason), "{why}");
    };
    check(&[], "it ends too soon").await;
    check(b"something else altogether", "it has another format").await;
    check(&whole[..whole.len() - 1], "it ends too soon").await;
    check(&whole[..whole.len() - 8], "it ends too soon").await;
    check(
        &[&whole[..], b"x"].concat(),
        "it has not as much as it says",
    )
    .await;
    let mut torn = whole.clone();
    let middle = torn.len() / 2;
    torn[middle..middle + 512].fill(0);
    check(&torn, "a checksum is wrong").await;

    put(&whole);
    let why = refused(&world, &dir, idle(&world, &dir).schema_version(2)).await;
    assert_eq!(why, "it was made with another schema");
    put(&whole);
    let schema = r#"{"collections":{"note":{"type":"note","primaryKey":"id"}}}"#;
    let db = idle(&world, &dir)
        .catalog(Catalog::from_json(schema).unwrap())
        .open()
        .unwrap();
    db.preload().await.unwrap();
    assert_eq!(
        db.kept().rejected.as_deref(),
        Some("it was made with another schema")
    );
    assert_eq!(db.collection_named("note").unwrap().len(), 2000);

    put(&whole);
    let other = World::new().await;
    other.append(&[note("other", 1)]).await;
    let why = refused(&other, &dir, idle(&other, &dir)).await;
    assert!(why.starts_with("it is of the stream http://"), "{why}");

    // Another stream under the same URL, in which the offset means something else.
    put(&whole);
    world.stream.delete().await.unwrap();
    world.stream.create(CreateOptions::json()).await.unwrap();
    world
        .append(
            &(0..3000)
                .map(|n| note(&format!("b{n}"), n))
                .collect::<Vec<_>>(),
        )
        .await;
    let why = refused(&world, &dir, idle(&world, &dir)).await;
    assert!(why.starts_with("it is of the stream with the id "), "{why}");
}

#[tokio::test]
async fn a_snapshot_of_other_collections_is_set_aside() {
    let (world, dir) = (World::new().await, Dir::new());
    world
        .append(&[
            user("insert", "1", "A"),
            message("insert", "m", "x"),
            note("n", 1),
        ])
        .await;
    let of = |schema: &str| {
        let catalog = Catalog::from_json(schema).unwrap();
        keeping(&world, &dir).catalog(catalog)
    };
    let users = r#"{"collections":{"users":{"type":"user","primaryKey":"id"}}}"#;
    leave(of(users)).await;
    let both = r#"{"collections":{"users":{"type":"user","primaryKey":"id"},
                                  "messages":{"type":"message","primaryKey":"id"}}}"#;
    let renamed = r#"{"collections":{"users":{"type":"user","primaryKey":"name"}}}"#;
    for (schema, why) in [
        (users, None),
        (
            both,
            Some("it has no collection `messages` as the schema has it"),
        ),
        (
            renamed,
            Some("it has no collection `users` as the schema has it"),
        ),
    ] {
        let db = of(schema).open().unwrap();
        db.preload().await.unwrap();
        let kept = db.kept();
        assert_eq!(
            (kept.rejected.as_deref(), kept.resumed.is_none()),
            (why, why.is_some())
        );
        assert_eq!(db.collection_named("users").unwrap().len(), 1);
        db.close();
        drop(db);
        let _ = fs::remove_file(file(&dir));
        leave(of(users)).await;
    }
}

/// Whatever a disk makes of the file, the rows are those of the stream.
#[tokio::test]
async fn a_damaged_file_is_never_believed() {
    let (world, dir) = (World::new().await, Dir::new());
    world
        .append(&(0..50).map(|n| note(&n.to_string(), n)).collect::<Vec<_>>())
        .await;
    leave(keeping(&world, &dir)).await;
    let whole = fs::read(file(&dir)).unwrap();
    let right = fresh(&world, "note").await;
    let mut random = Rng::with_seed(3);
    for _ in 0..60 {
        let mut bytes = whole.clone();
        let at = random.usize(..bytes.len());
        match random.u32(..3) {
            0 => bytes.truncate(at),
            1 => bytes[at] ^= 1 << random.u32(..8),
            _ => bytes[at..].fill(0),
        }
        if bytes == whole {
            continue;
        }
        fs::write(file(&dir), &bytes).unwrap();
        let db = idle(&world, &dir).open().unwrap();
        db.preload().await.unwrap();
        assert!(db.kept().rejected.is_some(), "at {at}");
        assert_eq!(rows(&db, "note"), right);
    }
}

#[tokio::test]
async fn a_place_that_cannot_be_written_stops_nothing() {
    let (world, dir) = (World::new().await, Dir::new());
    world.append(&[note("1", 1)]).await;
    fs::create_dir_all(dir.path()).unwrap();
    let place = dir.path().join("file");
    fs::write(&place, "no directory").unwrap();
    let keep = Keep::in_directory(&place)
        .every(Duration::from_millis(5))
        .after_bytes(1);
    let db = StreamDb::builder(world.stream.clone())
        .keep(keep)
        .open()
        .unwrap();
    db.preload().await.unwrap();
    eventually("an error", || db.kept().error.is_some()).await;
    assert!(Path::exists(&place));
    world.append(&[note("2", 2)]).await;
    eventually("a row", || db.collection_named("note").unwrap().len() == 2).await;
    // It is tried again.
    fs::remove_file(&place).unwrap();
    fs::create_dir(&place).unwrap();
    eventually("a snapshot", || db.kept().written.is_some()).await;
    assert_eq!(db.kept().error, None);
}

/// What is between the start and the end of a snapshot in the stream is no state to keep.
#[tokio::test]
async fn a_half_read_snapshot_of_the_stream_is_not_kept() {
    let (world, dir) = (World::new().await, Dir::new());
    let control = |control: &str| json!({"type": "note", "headers": {"control": control}});
    world
        .append(&[note("old", 1), control("snapshot-start"), note("new", 2)])
        .await;
    let db = keeping(&world, &dir).open().unwrap();
    db.preload().await.unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(db.kept().written, None);
    world.append(&[control("snapshot-end")]).await;
    eventually("a snapshot", || db.kept().written.is_some()).await;
    drop(db);
    let db = idle(&world, &dir).open().unwrap();
    db.preload().await.unwrap();
    assert_eq!(rows(&db, "note"), fresh(&world, "note").await);
    assert_eq!(rows(&db, "note").len(), 1);
}

/// A stream that is not there fails as it does without a snapshot, and the snapshot stays.
#[tokio::test]
async fn a_stream_that_is_away_costs_no_snapshot() {
    let (world, dir) = (World::new().await, Dir::new());
    world.append(&[note("1", 1)]).await;
    leave(keeping(&world, &dir)).await;
    let elsewhere = DurableStream::new(world.server.stream_url("absent")).unwrap();
    let keep = Keep::in_directory(dir.path());
    let db = StreamDb::builder(elsewhere).keep(keep).open().unwrap();
    let error = db.preload().await.unwrap_err().to_string();
    assert!(error.starts_with("no stream at http://"), "{error}");
    assert!(file(&dir).exists());
}
