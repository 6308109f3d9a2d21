//! The schema makes itself.

use crm::{LATEST, tables};
use futures_util::future::join_all;

use crate::ground::{Ground, change};

#[tokio::test(flavor = "multi_thread")]
async fn instances_that_start_at_once_make_the_schema_once() {
    let ground = Ground::new().await;
    let databases: Vec<_> = (0..8).map(|_| ground.database()).collect();
    // Half by the command, half by their first write.
    let made = join_all(databases.iter().enumerate().map(async |(at, database)| {
        match at % 2 {
            0 => drop(database.migrate().await.unwrap()),
            _ => drop(
                database
                    .apply(vec![change(at as u32, 1, Some("x"))])
                    .await
                    .unwrap(),
            ),
        }
    }));
    made.await;
    let sql = "SELECT count(*)::text FROM passerelle.schema_migrations";
    assert_eq!(ground.texts(sql).await, [LATEST.to_string()]);
    assert_eq!(databases[0].count(&tables::POSTS).await.unwrap(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_version_goes_on_against_a_newer_schema() {
    let ground = Ground::new().await;
    let older = ground.database();
    older.migrate().await.unwrap();
    ground
        .run(
            "ALTER TABLE passerelle.posts ADD COLUMN mood text DEFAULT 'calm'; \
             INSERT INTO passerelle.schema_migrations (version, name) VALUES (99, 'later')",
        )
        .await;
    older.apply(vec![change(1, 1, Some("x"))]).await.unwrap();
    // Another that starts only now.
    let second = ground.database();
    second.apply(vec![change(1, 2, Some("y"))]).await.unwrap();
    assert_eq!(second.migrate().await.unwrap(), 99);
    let sql = "SELECT text || mood FROM passerelle.posts";
    assert_eq!(ground.texts(sql).await, ["ycalm"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schema_that_was_dropped_is_made_again() {
    let ground = Ground::new().await;
    let database = ground.database();
    database.apply(vec![change(1, 1, Some("x"))]).await.unwrap();
    ground.run("DROP SCHEMA passerelle CASCADE").await;
    database.apply(vec![change(2, 1, Some("y"))]).await.unwrap();
    assert_eq!(database.count(&tables::POSTS).await.unwrap(), 1);
}

/// The role may be allowed the schema and not the database.
#[tokio::test(flavor = "multi_thread")]
async fn a_schema_that_somebody_else_made_is_enough() {
    let ground = Ground::new().await;
    let name = &ground.name;
    ground
        .run(&format!(
            "ALTER DATABASE {name} OWNER TO postgres; REVOKE CREATE ON DATABASE {name} FROM PUBLIC; \
             CREATE SCHEMA passerelle AUTHORIZATION {name}"
        ))
        .await;
    assert_eq!(ground.database().migrate().await.unwrap(), LATEST);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_statements_know_the_tables_that_the_migrations_make() {
    let ground = Ground::new().await;
    ground.database().migrate().await.unwrap();
    for table in tables::ALL {
        let sql = format!(
            "SELECT column_name || ' ' || CASE data_type WHEN 'timestamp with time zone' \
             THEN 'timestamptz' ELSE data_type END FROM information_schema.columns \
             WHERE table_schema = 'passerelle' AND table_name = '{}' AND is_generated = 'NEVER' \
             ORDER BY ordinal_position",
            table.name
        );
        let columns = table.columns.iter();
        let mut expected: Vec<_> = columns
            .map(|(name, kind)| format!("{name} {}", kind.sql()))
            .collect();
        expected.extend([
            "sequence numeric".to_owned(),
            "synced_at timestamptz".to_owned(),
        ]);
        assert_eq!(ground.texts(&sql).await, expected, "{}", table.name);
        let sql = format!(
            "SELECT a.attname FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid \
             AND a.attnum = ANY(i.indkey) WHERE i.indisprimary \
             AND i.indrelid = 'passerelle.{}'::regclass ORDER BY array_position(i.indkey, a.attnum)",
            table.name
        );
        let keys: Vec<_> = table.key_columns().collect();
        assert_eq!(ground.texts(&sql).await, keys, "{}", table.name);
    }
}
