//! One cloud for all tests of this binary, and a stack of its own for each.

use std::{path::PathBuf, sync::Arc, time::Duration};

use local::{Cloud, Stack, StackOptions, cloud, template::Template};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

/// A generous bound: everything awaited here takes milliseconds on an idle machine.
pub(crate) const BOUND: Duration = Duration::from_secs(30);

pub(crate) async fn shared_cloud() -> Arc<Cloud> {
    static CLOUD: OnceCell<Arc<Cloud>> = OnceCell::const_new();
    let made = CLOUD.get_or_init(|| async {
        let root = cloud::project_root().unwrap();
        let python = cloud::python(&root).unwrap();
        let text = include_str!("../fixtures/template.json");
        let template = Template::from_json(text).unwrap();
        Cloud::with_template(&root.join(".local"), &python, template)
            .await
            .unwrap()
    });
    Arc::clone(made.await)
}

/// Options for a stack that runs the example function `probe`.
pub(crate) fn options(name: &str) -> StackOptions {
    let program = std::env::current_exe().unwrap();
    let profile: PathBuf = program.ancestors().nth(2).unwrap().to_owned();
    let mut options = StackOptions::new(&format!("host-{name}-{}", std::process::id()));
    options.binaries = profile.join("examples");
    options
}

pub(crate) async fn stack(name: &str) -> Stack {
    start(options(name)).await
}

pub(crate) async fn start(options: StackOptions) -> Stack {
    Stack::start(&shared_cloud().await, options).await.unwrap()
}

/// Lets the probe do one thing and gives its answer.
pub(crate) async fn wish(stack: &Stack, wish: &str) -> Value {
    stack
        .invoke("probe", &json!({"do": wish}))
        .await
        .unwrap()
        .json()
        .unwrap()
}

/// Lets the probe put one row.
pub(crate) async fn put(stack: &Stack, id: &str) -> Value {
    let event = json!({"do": "put", "table": stack.table("rows").unwrap(), "id": id});
    stack.invoke("probe", &event).await.unwrap().json().unwrap()
}

/// Whether a row is in the table.
pub(crate) async fn has_row(stack: &Stack, id: &str) -> bool {
    let request = json!({"TableName": stack.table("rows").unwrap(), "Key": {"id": {"S": id}}});
    let answer = stack
        .aws()
        .json("dynamodb", "DynamoDB_20120810.GetItem", &request)
        .await
        .unwrap();
    answer.get("Item").is_some()
}
