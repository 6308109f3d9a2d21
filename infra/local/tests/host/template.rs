//! The project's own template, deployed whole.

use local::{Cloud, Stack, StackOptions, cloud};

#[tokio::test(flavor = "multi_thread")]
async fn the_projects_template_comes_up() {
    let cloud = Cloud::start(&cloud::project_root().unwrap()).await.unwrap();
    let mut options = StackOptions::new(&format!("host-project-{}", std::process::id()));
    options.pollers = false;
    let options = options.parameter("StatisticsTimeZone", "Asia/Tokyo");
    let stack = Stack::start(&cloud, options).await.unwrap();
    let plan = stack.plan();
    assert_eq!(plan.functions.len(), 24, "{:?}", plan.functions.keys());
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
    assert_eq!(plan.schedules.len(), 4);
    // Statistics are read by the clock of the deployment's own zone.
    let zones: Vec<(&str, &str)> = plan
        .schedules
        .iter()
        .filter(|schedule| schedule.function == "insights")
        .map(|schedule| (schedule.expression.as_str(), schedule.zone.as_str()))
        .collect();
    assert_eq!(
        zones,
        [
            ("cron(0/5 8-23 * * ? *)", "Asia/Tokyo"),
            ("cron(0 10 * * ? *)", "Asia/Tokyo"),
        ]
    );
    for noun in [
        "users",
        "sessions",
        "flows",
        "connections",
        "accounts",
        "targets",
        "events",
        "audit",
        "snapshots",
        "figures",
        "SyncLogs",
    ] {
        stack.table(noun).unwrap();
    }
    for queue in [
        "refresh",
        "rescue",
        "publish",
        "webhook",
        "PublishDeadLetters",
        "insights",
    ] {
        assert_eq!(stack.queue_depth(queue).await.unwrap(), (0, 0, 0));
    }
    stack.stop().await.unwrap();
}
