//! The project's own template, deployed whole.

use local::{Cloud, Stack, StackOptions, cloud};

#[tokio::test(flavor = "multi_thread")]
async fn the_projects_template_comes_up() {
    let cloud = Cloud::start(&cloud::project_root().unwrap()).await.unwrap();
    let mut options = StackOptions::new(&format!("host-project-{}", std::process::id()));
    options.pollers = false;
    let stack = Stack::start(&cloud, options).await.unwrap();
    let plan = stack.plan();
    assert_eq!(plan.functions.len(), 12, "{:?}", plan.functions.keys());
    assert!(
        plan.routes
            .routes
            .iter()
            .any(|r| r.path == "/v1/sessions" && r.authorizer.is_some())
    );
    assert!(
        plan.routes
            .routes
            .iter()
            .all(|r| r.path.starts_with("/v1/") == r.authorizer.is_some())
    );
    assert!(plan.sources.iter().all(|source| source.partial));
    assert_eq!(plan.schedules.len(), 2);
    for noun in [
        "users",
        "sessions",
        "flows",
        "connections",
        "accounts",
        "targets",
        "events",
        "audit",
    ] {
        stack.table(noun).unwrap();
    }
    for queue in [
        "refresh",
        "rescue",
        "publish",
        "webhook",
        "PublishDeadLetters",
    ] {
        assert_eq!(stack.queue_depth(queue).await.unwrap(), (0, 0, 0));
    }
    stack.stop().await.unwrap();
}
