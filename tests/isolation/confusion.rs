//! Paths and hosts that two parsers could read in two ways: refused or closed, and nobody's secrets (attacks 5 and 11).

use crate::door::Door;

#[test]
fn a_path_or_host_that_could_mean_two_things_opens_nothing() {
    let door = Door::new();
    // as the tenant itself, as the operator, as nobody
    let credentials = [
        format!("authorization: Bearer {}\r\n", door.a.steward_key),
        format!("authorization: Bearer {}\r\n", door.gateway.operator_key()),
        String::new(),
    ];
    let b = &door.b;
    let targets = [
        "//tenant/v1/keys",
        "/tenant//v1/keys",
        "/tenant/v1//keys",
        "/tenant/v1/keys/",
        "/tenant/v1/keys//",
        "/tenant%2fv1%2fkeys",
        "/tenant/v1%2fkeys",
        "/%74enant/v1/keys",
        "/tenant/v1/%6beys",
        "/tenant/v1/keys%00",
        "/tenant/v1/keys%20",
        "/tenant/v1/keys;a=b",
        "/tenant/v1;x/keys",
        "/;/tenant/v1/keys",
        "/tenant/v1/keys/.",
        "/tenant/./v1/keys",
        "/x/../tenant/v1/keys",
        "/tenant/v1/x/../keys",
        "/..%2ftenant/v1/keys",
        "/%2e%2e/tenant/v1/keys",
        "/tenant/v1/keys/..;/keys",
        "/Tenant/v1/keys",
        "/tenant/V1/keys",
        "/TENANT/V1/KEYS",
        "\\tenant\\v1\\keys",
        "/tenant\\v1\\keys",
        "/v1/../tenant/v1/keys",
        "/v1/..%5ctenant/v1/keys",
        "/v1/models/../../tenant/v1/keys",
        "/admin/v1/tenants/",
        "//admin/v1/tenants",
        "/admin/v1/tenants/..",
        "/Admin/v1/tenants",
        "/admin/v1/tenants%2f",
        "/v1/v1/models",
        "/v1/admin/v1/tenants",
        "/v1/tenant/v1/keys",
        "/tenant/v1/../../admin/v1/tenants",
        "/metrics/",
        "http://gateway/tenant/v1/keys",
        "http://127.0.0.1:7071/admin/v1/tenants",
        "https://gateway/tenant/v1/keys",
        "//gateway/tenant/v1/keys",
        "*",
        "?",
        "#",
        "tenant/v1/keys",
        "/\u{212a}eys",
        "/.",
        "/..",
    ];
    let ids = [
        format!("/tenant/v1/keys/{}%20", b.app_key_id),
        format!("/tenant/v1/keys/{}/", b.app_key_id),
        format!("/tenant/v1/keys/{}", b.app_key_id.to_uppercase()),
        format!("/tenant/v1/keys/{}.", b.app_key_id),
        format!("/tenant/v1/keys/x/../{}", b.app_key_id),
        format!("/tenant/v1/keys/{}", b.id),
        format!("/admin/v1/tenants/{}/keys/..", b.id),
        format!("/admin/v1/tenants/{}%2fkeys", b.id),
        format!("/admin/v1/tenants/{}/../{}/keys", door.a.id, b.id),
        format!("/admin/v1/tenants/{};x/keys", b.id),
        format!("/admin/v1/tenants/{}/keys", b.id.to_uppercase()),
        format!("/tenant/v1/{}/keys", b.id),
    ];
    for target in targets.into_iter().map(str::to_owned).chain(ids) {
        for credential in &credentials {
            let request = format!(
                "GET {target} HTTP/1.1\r\nhost: gateway\r\n{credential}connection: close\r\n\r\n"
            );
            door.check(
                &format!("{target} with {}", credential.len()),
                request.as_bytes(),
            );
        }
    }
    let hosts = [
        "host: x/?\r\n",
        "host: gateway/admin\r\n",
        "host: a\r\nhost: b\r\n",
        "host: user@gateway\r\n",
        "host: a b\r\n",
        "",
        "host: gateway#x\r\n",
        "host: gateway, other\r\n",
        "host: gateway\\x\r\n",
        "host : gateway\r\n",
        "host: \u{e9}\r\n",
    ];
    for host in hosts {
        for credential in &credentials {
            for target in ["/tenant/v1/keys", "/admin/v1/tenants"] {
                let request =
                    format!("GET {target} HTTP/1.1\r\n{host}{credential}connection: close\r\n\r\n");
                door.check(&format!("{target} at {host:?}"), request.as_bytes());
            }
        }
    }
    door.still_serves();
}
