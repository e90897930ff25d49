//! Rows about fields by which a client takes the wheel: where a call goes, with which credential, by which template.

use serde_json::{Value, json};

use super::face::call_with;
use super::sink::Sink;
use crate::canary::Canary;
use crate::echo::Echo;
use crate::row::{Bench, Row, at_once};
use crate::stats::percentile;
use crate::target::{Answer, Ask};
use crate::verdict::{Control, Finding, Trouble};

pub(super) const ROWS: [Row; 2] = [
    Row::new(21, |bench| Box::pin(confused_deputy(bench))),
    Row::new(32, |bench| Box::pin(caller_template(bench))),
];

/// Fields that gateways and libraries take an address from.
const ADDRESSES: [&str; 28] = [
    "api_base",
    "base_url",
    "baseURL",
    "baseUrl",
    "api_url",
    "apiBase",
    "endpoint",
    "url",
    "host",
    "custom_host",
    "upstream",
    "target",
    "provider_url",
    "azure_endpoint",
    "aws_bedrock_runtime_endpoint",
    "vertex_api_base",
    "proxy",
    "http_proxy",
    "https_proxy",
    "webhook_url",
    "callback_url",
    "langfuse_host",
    "langsmith_base_url",
    "aws_sts_endpoint",
    "token_url",
    "oidc_token_endpoint",
    "model_info_url",
    "fallback_url",
];
/// Fields in which others are hidden from whoever looks at the top alone.
const AROUND: [&str; 8] = [
    "metadata",
    "litellm_params",
    "litellm_metadata",
    "extra_body",
    "provider",
    "config",
    "credentials",
    "options",
];
/// Header lines of the same kind.
const LINES: [&str; 18] = [
    "x-portkey-custom-host",
    "x-custom-host",
    "x-base-url",
    "x-api-base",
    "api-base",
    "x-upstream",
    "x-upstream-url",
    "x-target-url",
    "x-forward-url",
    "x-proxy-url",
    "x-openai-base-url",
    "x-litellm-api-base",
    "helicone-target-url",
    "helicone-openai-api-base",
    "x-forwarded-host",
    "x-original-host",
    "x-envoy-original-dst-host",
    "destination",
];
/// Fields that gateways and libraries take a credential for the upstream from.
const CREDENTIALS: [&str; 12] = [
    "api_key",
    "apiKey",
    "key",
    "token",
    "azure_ad_token",
    "authorization",
    "aws_secret_access_key",
    "vertex_credentials",
    "watsonx_credentials",
    "custom_credentials",
    "upstream_key",
    "provider_key",
];
/// Fields that bring a template, or steer the one that is there.
const TEMPLATES: [&str; 10] = [
    "chat_template",
    "chat_template_kwargs",
    "chat_template_content_format",
    "template",
    "chatTemplate",
    "CHAT_TEMPLATE",
    "prompt_template",
    "jinja_template",
    "system_template",
    "tokenizer_chat_template",
];
/// Those of them that an engine is known to read, at the top of a body.
const READ_BY_ENGINES: [&str; 4] = [
    "chat_template",
    "chat_template_kwargs",
    "chat_template_content_format",
    "template",
];
/// Calls at once.
const WIDTH: usize = 6;

/// Row 21. No field, header or model name of B makes the gateway call another address, or call the upstream with a
/// credential that B brought.
async fn confused_deputy(bench: &Bench) -> Result<Finding, Trouble> {
    let echo = bench.echo()?;
    let sink = Sink::open(bench, &bench.a).await?;
    let awake = sink.is_awake().await;
    let (mark, mut tries) = (echo.mark(), 0);
    let mut leaks = Vec::new();
    let steered = steered(bench, &sink);
    let mut calls = Vec::new();
    for (_, ask) in &steered {
        calls.push(bench.b.send(ask));
    }
    tries += steered.len() as u64;
    at_once(WIDTH, calls)
        .await
        .into_iter()
        .collect::<Result<Vec<Answer>, Trouble>>()?;
    if sink.settled().await > 0 {
        // once more in turns, so that a connection names what brought it
        for (how, ask) in &steered {
            let before = sink.connections();
            bench.b.send(ask).await?;
            if sink.connections() > before {
                leaks.push(format!("{how}: the gateway called the sink"));
            }
        }
        if leaks.is_empty() {
            leaks.push(
                "the gateway called the sink, which of the requests did it is not known".to_owned(),
            );
        }
    }
    let brought: Vec<Canary> = CREDENTIALS.iter().map(|_| bench.canary()).collect();
    for (field, canary) in CREDENTIALS.iter().zip(&brought) {
        for fields in [
            json!({*field: canary.text()}),
            json!({"extra_body": {*field: canary.text()}}),
            json!({"litellm_params": {*field: canary.text()}}),
        ] {
            tries += 1;
            call_with(bench, echo, &bench.b, &fields).await?;
        }
    }
    let used = |canary: &Canary| {
        let requests = echo.requests_since(mark);
        requests
            .iter()
            .any(|request| canary.found_in(&request.head.raw).is_some())
    };
    for (field, canary) in CREDENTIALS.iter().zip(&brought) {
        if used(canary) {
            leaks.push(format!(
                "{field}: the upstream was called with B's own credential"
            ));
        }
    }
    let control = if awake {
        Control::Shown(format!(
            "the sink at {} counts the probe's own connection, and stands where the gateway reaches the upstream",
            sink.authority
        ))
    } else {
        Control::Missing("the sink does not count connections".to_owned())
    };
    Ok(Finding::counted(control, leaks.len() as u64, tries, "requests steered the gateway")
        .details(leaks)
        .reproduce("listen on a port; send a chat call with $KEY_B and \"api_base\": \"http://127.0.0.1:<port>/v1\" (and the fields above): no connection may come"))
}

/// Calls of B that name the sink.
fn steered(bench: &Bench, sink: &Sink) -> Vec<(String, Ask)> {
    let mut found = Vec::new();
    let url = sink.url("/v1");
    let mut body = |how: String, fields: Value| {
        let body = bench
            .b
            .chat_body_with(&format!("Hello {}", bench.canary()), &fields);
        found.push((how, Ask::post("/v1/chat/completions", &body)));
    };
    for field in ADDRESSES {
        body(format!("\"{field}\" in the body"), json!({field: url}));
    }
    let all: Value = ADDRESSES
        .iter()
        .map(|field| ((*field).to_owned(), json!(url)))
        .collect::<serde_json::Map<_, _>>()
        .into();
    for around in AROUND {
        body(format!("addresses in \"{around}\""), json!({around: all}));
        body(
            format!("addresses in a list in \"{around}\""),
            json!({around: [all]}),
        );
    }
    let token_uri = json!({"type": "service_account", "token_uri": url, "private_key": "x", "client_email": "x@x"});
    for field in [
        "vertex_credentials",
        "google_credentials",
        "aws_credentials",
        "azure_credentials",
        "watsonx_credentials",
    ] {
        body(
            format!("\"{field}\" with an address"),
            json!({field: token_uri}),
        );
        body(
            format!("\"{field}\" with an address in a text"),
            json!({field: token_uri.to_string()}),
        );
    }
    for (how, fields) in [
        (
            "fallbacks",
            json!({"fallbacks": [{"model": "openai/x", "api_base": url, "api_key": "x"}]}),
        ),
        (
            "a list of models",
            json!({"model_list": [{"model_name": "x", "litellm_params": {"model": "openai/x", "api_base": url}}]}),
        ),
        (
            "targets",
            json!({"strategy": {"mode": "fallback"}, "targets": [{"provider": "openai", "custom_host": url}]}),
        ),
        (
            "callbacks",
            json!({"callbacks": ["langfuse"], "success_callback": ["langfuse"], "langfuse_host": url, "langfuse_public_key": "x", "langfuse_secret": "x"}),
        ),
        (
            "a guardrail",
            json!({"guardrails": [{"probe": {"api_base": url}}]}),
        ),
        (
            "a tool server",
            json!({"tools": [{"type": "mcp", "server_label": "probe", "server_url": url, "require_approval": "never"}]}),
        ),
        (
            "an image",
            json!({"messages": [{"role": "user", "content": [{"type": "text", "text": "x"}, {"type": "image_url", "image_url": {"url": sink.url("/image.png")}}]}]}),
        ),
        (
            "a file",
            json!({"messages": [{"role": "user", "content": [{"type": "file", "file": {"file_url": sink.url("/file.pdf")}}]}]}),
        ),
        (
            "a sound",
            json!({"messages": [{"role": "user", "content": [{"type": "audio_url", "audio_url": {"url": sink.url("/a.wav")}}]}]}),
        ),
    ] {
        body(how.to_owned(), fields);
    }
    for name in [
        url.clone(),
        format!("openai/{url}"),
        format!("custom/{}/x", sink.authority),
        format!("@{}", sink.authority),
    ] {
        body(
            "a model that is an address".to_owned(),
            json!({"model": name}),
        );
    }
    for line in LINES {
        for value in [url.as_str(), sink.authority.as_str()] {
            let body = bench.b.chat_body(&format!("Hello {}", bench.canary()));
            let ask = Ask::post("/v1/chat/completions", &body).header(line, value);
            found.push((format!("{line}: {value}"), ask));
        }
    }
    let config = json!({"provider": "openai", "custom_host": url, "api_key": "x"}).to_string();
    for (name, provider) in [
        ("x-portkey-config", ""),
        ("x-portkey-config", "openai"),
        ("x-config", ""),
        ("helicone-config", ""),
    ] {
        let body = bench.b.chat_body(&format!("Hello {}", bench.canary()));
        let mut ask = Ask::post("/v1/chat/completions", &body).header(name, &config);
        if !provider.is_empty() {
            ask = ask
                .header("x-portkey-provider", provider)
                .header("x-portkey-custom-host", &url);
        }
        found.push((format!("a configuration in {name}"), ask));
    }
    for field in ["api_base", "base_url", "target", "url"] {
        let body = bench.b.chat_body(&format!("Hello {}", bench.canary()));
        found.push((
            format!("?{field}= in the query"),
            Ask::post(&format!("/v1/chat/completions?{field}={url}"), &body),
        ));
    }
    found
}

/// Row 32. A template that B brings is refused or taken off, however it is named; what it costs A is measured.
async fn caller_template(bench: &Bench) -> Result<Finding, Trouble> {
    let echo = bench.echo()?;
    let alone = times(bench, &[]).await?;
    let (mut tries, mut leaks, mut handed_on) = (0_u64, Vec::new(), 0);
    let (mut refused, mut bodies) = (0, Vec::new());
    for field in TEMPLATES {
        for around in ["", "extra_body", "options", "metadata"] {
            let canary = bench.canary();
            let template =
                format!("{{% for i in range(9) %}}{canary}{{% endfor %}}{{{{ messages }}}}");
            let value = match field {
                "chat_template_kwargs" => json!({"probe": template}),
                _ => json!(template),
            };
            let fields = match around {
                "" => json!({field: value}),
                around => json!({around: {field: value}}),
            };
            tries += 1;
            let arrived = call_with(bench, echo, &bench.b, &fields).await?;
            refused += u64::from(arrived.is_empty());
            let within = if around.is_empty() {
                String::new()
            } else {
                format!(" in \"{around}\"")
            };
            for request in arrived
                .iter()
                .filter(|request| canary.found_in(&request.body).is_some())
            {
                let body = request.json().unwrap_or_default();
                let read = READ_BY_ENGINES.iter().find(|name| {
                    body.get(name).is_some_and(|value| {
                        canary.found_in(value.to_string().as_bytes()).is_some()
                    })
                });
                match read {
                    Some(name) => leaks.push(format!(
                        "\"{field}\"{within} reached the upstream as \"{name}\""
                    )),
                    None => handed_on += 1,
                }
            }
            bodies.push(bench.b.chat_body_with("Hello", &fields));
        }
    }
    let meanwhile = times(bench, &bodies).await?;
    let plain = plain_field(bench, echo).await?;
    let control = if plain {
        Control::Shown("a field that A may send reaches the upstream in its body, so one that is handed on would be seen".to_owned())
    } else {
        Control::Missing("no field that A sends was seen at the upstream".to_owned())
    };
    let p95 = |times: &[f64]| percentile(times, 0.95).unwrap_or_default();
    let (alone, meanwhile) = (p95(&alone), p95(&meanwhile));
    Ok(Finding::counted(control, leaks.len() as u64, tries, "templates of B reached the upstream")
        .details(leaks)
        .detail(format!("{refused} were refused; 95 of 100 calls of A took up to {alone:.1} ms alone, and {meanwhile:.1} ms while B sent templates"))
        .detail(format!("{handed_on} more were handed on under names or in places that no engine is known to read"))
        .measure("refused", refused as f64)
        .measure("p95_alone_ms", alone)
        .measure("p95_meanwhile_ms", meanwhile)
        .reproduce("send a chat call with $KEY_B and \"chat_template\": \"{{ messages }}\": 4xx, or the upstream must not see the field"))
}

/// Whether a stop text of A is handed on.
async fn plain_field(bench: &Bench, echo: &Echo) -> Result<bool, Trouble> {
    let stop = bench.canary();
    let arrived = call_with(bench, echo, &bench.a, &json!({"stop": [stop.text()]})).await?;
    Ok(arrived
        .iter()
        .any(|request| stop.found_in(&request.body).is_some()))
}

/// Milliseconds of A's calls, with these bodies of B in between.
async fn times(bench: &Bench, of_b: &[Value]) -> Result<Vec<f64>, Trouble> {
    let mut times = Vec::new();
    let mut bodies = of_b.chunks(WIDTH).cycle();
    for _ in 0..bench.samples(60, 200) {
        let mut calls = Vec::new();
        for body in bodies.next().unwrap_or_default() {
            calls.push(bench.b.post("/v1/chat/completions", body));
        }
        let text = format!("Hello {}", bench.canary());
        let (answer, others): (_, Vec<Result<Answer, Trouble>>) =
            tokio::join!(bench.a.chat(&text), at_once(WIDTH, calls));
        // B's answers do not matter here, but a run that is spent does
        others
            .into_iter()
            .find(|other| matches!(other, Err(Trouble::Spent)))
            .transpose()?;
        times.push(answer?.whole.as_secs_f64() * 1000.0);
    }
    Ok(times)
}
