//! The row about tenants that administrate, or say what they are.

use serde_json::{Value, json};

use super::face::{Face, PLAIN, call_with};
use crate::options::shorten;
use crate::row::{Bench, Row, at_once};
use crate::target::{Answer, Ask, Client};
use crate::verdict::{Control, Finding, Trouble};

pub(super) const ROWS: [Row; 1] = [Row::new(9, |bench| Box::pin(privilege_climb(bench)))];

/// Administration of whole deployments: of this gateway's kind and of others. Nothing a tenant may see of itself.
const READS: [&str; 44] = [
    "/admin",
    "/admin/tenants",
    "/admin/users",
    "/admin/keys",
    "/admin/config",
    "/admin/v1/tenants",
    "/admin/v1/models",
    "/admin/v1/deployment/checkpoint",
    "/v1/admin/tenants",
    "/v1/admin/keys",
    "/v1/organization/users",
    "/v1/organization/projects",
    "/v1/organization/admin_api_keys",
    "/api/admin/users",
    "/api/v1/users",
    "/api/v1/configs/export",
    "/api/config",
    "/api/providers",
    "/api/keys",
    "/api/governance/virtual-keys",
    "/api/governance/customers",
    "/api/user/",
    "/api/channel/",
    "/api/option/",
    "/api/log/",
    "/user/list",
    "/team/list",
    "/organization/list",
    "/customer/list",
    "/credentials",
    "/config/yaml",
    "/config/list",
    "/get/config/callbacks",
    "/global/spend/logs",
    "/global/spend/report",
    "/global/activity",
    "/spend/keys",
    "/spend/users",
    "/services",
    "/consumers",
    "/plugins",
    "/config_dump",
    "/actuator/env",
    "/debug/vars",
];
/// Fields that say who someone is or what they may do.
const FIELDS: [&str; 18] = [
    "tenant",
    "tenant_id",
    "tenantId",
    "org_id",
    "organization",
    "organization_id",
    "team_id",
    "user_id",
    "account_id",
    "customer_id",
    "project_id",
    "namespace",
    "principal",
    "role",
    "user_role",
    "allowed_routes",
    "is_admin",
    "scopes",
];
/// Calls at once.
const WIDTH: usize = 8;

/// What would make an administrator, or a new tenant, user or setting.
fn writes(canary: &str) -> Vec<(&'static str, &'static str, Value)> {
    let name = format!("probe-{canary}");
    vec![
        ("POST", "/admin/tenants", json!({"name": name})),
        ("POST", "/admin/v1/tenants", json!({"name": name})),
        ("POST", "/v1/organization/projects", json!({"name": name})),
        (
            "POST",
            "/v1/organization/admin_api_keys",
            json!({"name": name}),
        ),
        (
            "POST",
            "/user/new",
            json!({"user_alias": name, "user_role": "proxy_admin", "auto_create_key": false}),
        ),
        ("POST", "/team/new", json!({"team_alias": name})),
        (
            "POST",
            "/organization/new",
            json!({"organization_alias": name}),
        ),
        ("POST", "/customer/new", json!({"user_id": name})),
        (
            "POST",
            "/config/update",
            json!({"environment_variables": {}}),
        ),
        (
            "POST",
            "/model/new",
            json!({"model_name": name, "litellm_params": {"model": name}, "model_info": {}}),
        ),
        ("POST", "/api/user/", json!({"username": name, "role": 100})),
        ("POST", "/api/governance/customers", json!({"name": name})),
        (
            "POST",
            "/api/v1/users",
            json!({"name": name, "role": "admin"}),
        ),
        ("POST", "/consumers", json!({"username": name})),
    ]
}

/// What would raise the caller itself. An answer of 2xx is not yet a leak: what matters is what changes.
fn raises(b: &Client) -> Vec<(&'static str, &'static str, Value)> {
    let everything = json!({
        "key": b.key().secret(), "role": "admin", "user_role": "proxy_admin", "allowed_routes": ["*"],
        "scopes": ["infer", "steward", "operator"], "tenant_id": "*", "models": ["*"], "max_budget": 1e9,
    });
    [
        ("POST", "/user/update"),
        ("POST", "/key/update"),
        ("PATCH", "/v1/me"),
        ("PATCH", "/v1/organization/users/me"),
        ("PUT", "/api/user/self"),
        ("PATCH", "/tenant/v1/self"),
        ("PUT", "/admin/v1/self"),
    ]
    .map(|(method, path)| (method, path, everything.clone()))
    .into()
}

/// Row 9. B's key opens no administration, and no field that B sends changes who it is to the upstream.
async fn privilege_climb(bench: &Bench) -> Result<Finding, Trouble> {
    let echo = bench.echo()?;
    let mut leaks = Vec::new();
    let of_a = Face::seen(bench, echo, &bench.a).await?;
    let of_b = Face::seen(bench, echo, &bench.b).await?;

    let nowhere = bench.b.get(&format!("/{}", bench.canary())).await?;
    let before = read_all(bench).await?;
    let mut tries = before.len() as u64;
    let there = before
        .iter()
        .filter(|answer| answer.status != nowhere.status)
        .count();
    let opens = |answers: &[Answer]| -> Vec<&str> {
        let open = answers
            .iter()
            .zip(READS)
            .filter(|(answer, _)| is_told(answer, &nowhere));
        open.map(|(_, path)| path).collect()
    };
    leaks.extend(
        opens(&before)
            .iter()
            .map(|path| format!("GET {path} is open to B")),
    );
    for (method, path, body) in writes(bench.canary().text()) {
        tries += 1;
        let answer = bench
            .b
            .send(&Ask::new(method, path).body(body.to_string()))
            .await?;
        if is_told(&answer, &nowhere) {
            leaks.push(format!(
                "{method} {path} was taken from B: {}",
                answer.brief()
            ));
        }
    }
    for (method, path, body) in raises(&bench.b) {
        tries += 1;
        bench
            .b
            .send(&Ask::new(method, path).body(body.to_string()))
            .await?;
    }
    let after = read_all(bench).await?;
    let opened = opens(&after);
    leaks.extend(
        opened
            .iter()
            .filter(|path| !opens(&before).contains(path))
            .map(|path| format!("GET {path} is open to B after B asked for more rights")),
    );

    let only_a = of_a.beyond(&of_b);
    for (value, fields) in claims(bench, &only_a) {
        tries += 1;
        for request in call_with(bench, echo, &bench.b, &fields).await? {
            if let Some(wrong) = of_b.wrong_in(&request, &value, &only_a) {
                leaks.push(format!("{}: {wrong}", shown(&fields, &value)));
            }
        }
    }
    let plane = match &bench.admin {
        Some(admin) => Some(control_plane(bench, admin).await?),
        None => None,
    };
    let (mut with_admin, mut admin_silent) = (String::new(), false);
    if let Some(plane) = plane {
        admin_silent = plane.shown == 0;
        with_admin = format!(
            "; the operator's key opens {} paths of the control plane",
            plane.shown
        );
        tries += plane.tries;
        leaks.extend(plane.leaks);
    }
    let control = if of_b.calls == PLAIN && of_a.calls == PLAIN && !admin_silent {
        Control::Shown(format!(
            "{there} of {} administration paths are there and answer B; {} things that the upstream is told differ between A and B{with_admin}",
            READS.len(),
            only_a.len()
        ))
    } else {
        Control::Missing(format!(
            "plain calls did not all reach the upstream once, or no key opens the control plane{with_admin}"
        ))
    };
    Ok(Finding::counted(control, leaks.len() as u64, tries, "steps up were taken by B")
        .details(leaks)
        .measure("administration_paths", there as f64)
        .reproduce("curl $TARGET/admin/v1/tenants (and the other paths) -H \"Authorization: Bearer $KEY_B\": never 2xx")
        .reproduce("send a chat call with $KEY_B and \"tenant_id\": \"<A's>\" in the body: the upstream must see the same as without"))
}

/// What tenants' keys do at the control plane.
struct Plane {
    shown: usize,
    tries: u64,
    leaks: Vec<String>,
}

/// No tenant's key opens what the operator's opens, nor changes anything there.
async fn control_plane(bench: &Bench, admin: &Client) -> Result<Plane, Trouble> {
    let mut paths: Vec<String> = READS.map(str::to_owned).into();
    let tenants = admin.get("/admin/v1/tenants").await?.json();
    let ids = tenants
        .get("data")
        .and_then(Value::as_array)
        .into_iter()
        .flatten();
    for id in ids.filter_map(|tenant| tenant.get("id")?.as_str()).take(2) {
        for part in [
            "",
            "/keys",
            "/limits",
            "/usage",
            "/issuers",
            "/journal/checkpoint",
            "/journal/records",
        ] {
            paths.push(format!("/admin/v1/tenants/{id}{part}"));
        }
    }
    let of_operator = read(admin, admin, &paths).await?;
    let mut plane = Plane {
        shown: of_operator.iter().filter(|answer| answer.is_ok()).count(),
        tries: 0,
        leaks: Vec::new(),
    };
    for (name, tenant) in [("A", &bench.a), ("B", &bench.b)] {
        let answers = read(admin, tenant, &paths).await?;
        for ((path, own), answer) in paths.iter().zip(&of_operator).zip(&answers) {
            plane.tries += u64::from(own.is_ok());
            if own.is_ok() && answer.is_ok() {
                plane.leaks.push(format!(
                    "GET {path} of the control plane is open to {name}'s key"
                ));
            }
        }
    }
    for (method, path, body) in writes(bench.canary().text()) {
        let ask = Ask::new(method, path)
            .body(body.to_string())
            .header("authorization", &bench.b.authorization());
        plane.tries += 1;
        if admin.send(&ask).await?.is_ok() {
            plane.leaks.push(format!(
                "{method} {path} of the control plane was taken from B"
            ));
        }
    }
    Ok(plane)
}

/// The answers to every read of tenants.
async fn read_all(bench: &Bench) -> Result<Vec<Answer>, Trouble> {
    read(&bench.b, &bench.b, &READS.map(str::to_owned)).await
}

/// The answers to these paths, asked at `at` with the key of `who`.
async fn read(at: &Client, who: &Client, paths: &[String]) -> Result<Vec<Answer>, Trouble> {
    let mut asks = Vec::new();
    for path in paths {
        asks.push(Ask::get(path).header("authorization", &who.authorization()));
    }
    let mut calls = Vec::new();
    for ask in &asks {
        calls.push(at.send(ask));
    }
    at_once(WIDTH, calls).await.into_iter().collect()
}

/// Whether this is an answer of an interface, and not the page that everything gets.
fn is_told(answer: &Answer, nowhere: &Answer) -> bool {
    answer.is_ok() && !answer.json().is_null() && answer.body != nowhere.body
}

/// The value claimed, and the fields of the body that claim it.
fn claims(bench: &Bench, only_a: &[(String, String)]) -> Vec<(String, Value)> {
    let mut values: Vec<String> = only_a
        .iter()
        .filter(|(name, _)| name != "authorization")
        .map(|(_, value)| value.clone())
        .take(4)
        .collect();
    values.push(bench.canary().to_string());
    let mut claims = Vec::new();
    for value in values {
        for field in FIELDS {
            claims.push((value.clone(), json!({field: value})));
        }
        let nested = json!({"tenant_id": value, "user_api_key_team_id": value, "user_api_key_user_role": "proxy_admin"});
        for around in [
            "metadata",
            "litellm_metadata",
            "extra_body",
            "user_info",
            "context",
        ] {
            claims.push((value.clone(), json!({around: nested})));
        }
    }
    claims
}

fn shown(fields: &Value, value: &str) -> String {
    fields.to_string().replace(value, &shorten(value))
}
