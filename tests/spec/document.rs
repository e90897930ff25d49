//! Every operation of `spec/openapi.json` is served, and takes no other method.

use std::path::Path;

use serde_json::Value;

use crate::harness::gateway::Home;
use crate::harness::tenants::Tenant;
use crate::harness::upstream::Upstream;

#[test]
fn every_documented_operation_is_served_and_takes_no_other_method() {
    let upstream = Upstream::start();
    let home = Home::new(&upstream.url, "");
    let gateway = home.serve();
    let tenant = Tenant::create(&gateway, "a");
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../spec/openapi.json");
    let document: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    let methods = ["get", "post", "put", "patch", "delete"];
    for (path, item) in document["paths"].as_object().unwrap() {
        let operators = path.starts_with("/admin/")
            || ["/healthz", "/readyz", "/metrics"].contains(&path.as_str());
        let client = if operators {
            gateway.operator()
        } else {
            tenant.steward(&gateway)
        };
        let real = path
            .replace("{tenant}", &tenant.id)
            .replace("{id}", "x")
            .replace("{upstream}", "x");
        for method in methods {
            let answer = client.call(&method.to_uppercase(), &real, None);
            let what = format!("{method} {path}: {} {}", answer.status, answer.text());
            if item.get(method).is_some() {
                assert_ne!(answer.status, 405, "{what}");
                assert!(
                    answer.status != 404 || answer.code() != "unknown_url",
                    "{what}"
                );
            } else {
                assert_eq!(
                    (answer.status, answer.code().as_str()),
                    (405, "method_not_allowed"),
                    "{what}"
                );
                answer.assert_openai_error(&what);
            }
        }
    }
    for path in [
        "/v1/nothing",
        "/v2/models",
        "/tenant/v1/nothing",
        "/tenant/v2/keys",
        "/score",
        "/slots",
        "/pause",
        "/invocations",
    ] {
        let answer = tenant.steward(&gateway).get(path);
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (404, "unknown_url"),
            "{path}: {}",
            answer.text()
        );
        answer.assert_openai_error(path);
    }
}
