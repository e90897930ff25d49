//! A whole gateway on a socket, in front of a programmable upstream, with a real house of two tenants behind it.
#![allow(dead_code, reason = "each test file uses its own part of the stand")]

pub mod client;
pub mod desk;
pub mod fake;
pub mod home;
pub mod interface;
pub mod schema;

use std::{net::SocketAddr, sync::Arc};

use compartment::House;
use gateway::{
    app::Gateway,
    config::{DataPlane, ListenLimits, file},
    data_plane,
    listen::{self, Drained},
};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use client::{Open, Reply};
use fake::{Fake, Seen, Step};

#[derive(Deserialize)]
struct Tables {
    #[serde(default)]
    limits: file::Limits,
    upstream: Vec<file::Upstream>,
    model: Vec<file::Model>,
}

pub struct Stand {
    pub fake: Fake,
    pub address: SocketAddr,
    pub gateway: Arc<Gateway>,
    pub listen: ListenLimits,
    /// Key of tenant A, with all models.
    pub a: String,
    /// Key of tenant B, with all models.
    pub b: String,
    pub home: home::Home,
    stop: CancellationToken,
    served: JoinHandle<Drained>,
}

impl Stand {
    /// A gateway with a server as upstream and these models: `m` (free), `priced`, `unpriced`, `hidden`, `emb`,
    /// `org/other:1` (by another path), `local` (a cell).
    pub async fn start(script: impl Fn(&Seen) -> Vec<Step> + Send + Sync + 'static) -> Stand {
        Stand::with("", "", script).await
    }

    /// The same with more lines for the tables `[[upstream]]` and `[limits]`.
    pub async fn with(
        upstream: &str,
        limits: &str,
        script: impl Fn(&Seen) -> Vec<Step> + Send + Sync + 'static,
    ) -> Stand {
        Stand::arranged(upstream, limits, |_| {}, script).await
    }

    /// The same with a last hand on the checked configuration.
    pub async fn arranged(
        upstream: &str,
        limits: &str,
        arrange: impl FnOnce(&mut DataPlane),
        script: impl Fn(&Seen) -> Vec<Step> + Send + Sync + 'static,
    ) -> Stand {
        let fake = Fake::start(script).await;
        let key_file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(key_file.path(), "sk-operator-key\n").unwrap();
        let derived = if upstream.contains("derived") {
            ""
        } else {
            "derived = \"none\""
        };
        let text = format!(
            r#"
            [limits]
            {limits}
            [[upstream]]
            kind = "openai"
            name = "main"
            key_file = "{key}"
            {upstream}
            {derived}
            {main_url}
            [[upstream]]
            kind = "openai"
            name = "other"
            url = "{url}/other/v1"
            derived = "none"
            extra_fields = ["other_field"]
            [[upstream]]
            kind = "cell"
            name = "cells"
            model_file = "{key}"
            [[model]]
            name = "m"
            upstream = "main"
            upstream_model = "upstream-model"
            free = true
            max_output_tokens = 100
            [[model]]
            name = "priced"
            upstream = "main"
            upstream_model = "gpt-4o-mini"
            max_output_tokens = 100
            [[model]]
            name = "unpriced"
            upstream = "main"
            upstream_model = "nobody-knows-its-price"
            [[model]]
            name = "hidden"
            upstream = "main"
            free = true
            [[model]]
            name = "emb"
            upstream = "main"
            task = "embedding"
            free = true
            [[model]]
            name = "org/other:1"
            upstream = "other"
            free = true
            [[model]]
            name = "local"
            upstream = "cells"
            free = true
            "#,
            // a test may name another place
            main_url = if upstream.contains("url =") {
                String::new()
            } else {
                format!("url = \"{}\"", fake.url())
            },
            url = fake.url(),
            key = key_file.path().display(),
        );
        let tables: Tables = toml::from_str(&text).unwrap();
        let mut config = DataPlane::check(&tables.limits, &tables.upstream, &tables.model).unwrap();
        arrange(&mut config);
        let listen = config.listen;
        let home = home::Home::build().await;
        let catalogue = policy::Catalogue::shipped().unwrap();
        let gateway = Gateway::new(
            Arc::clone(&home.house),
            config,
            &catalogue,
            Timestamp::now(),
        )
        .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let served = tokio::spawn(listen::serve(
            listener,
            data_plane::router(Arc::clone(&gateway)),
            listen,
            stop.clone(),
        ));
        Stand {
            fake,
            address,
            gateway,
            listen,
            a: home.a.clone(),
            b: home.b.clone(),
            home,
            stop,
            served,
        }
    }

    pub fn house(&self) -> &Arc<House> {
        &self.home.house
    }

    /// Sends a body with a key; the answer is still to come.
    pub async fn open(&self, key: &str, path: &str, body: &Value) -> Open {
        let headers = format!("authorization: Bearer {key}\r\ncontent-type: application/json\r\n");
        Open::send(
            self.address,
            &format!("POST {path}"),
            &headers,
            body.to_string().as_bytes(),
        )
        .await
    }

    /// Posts a body with A's key.
    pub async fn post(&self, path: &str, body: &Value) -> Reply {
        self.open(&self.a, path, body).await.finish().await
    }

    /// Gets a path with a key.
    pub async fn get(&self, key: &str, path: &str) -> Reply {
        let headers = format!("authorization: Bearer {key}\r\n");
        Open::send(self.address, &format!("GET {path}"), &headers, b"")
            .await
            .finish()
            .await
    }

    /// Stops the gateway and waits for its calls.
    pub async fn stop(self) -> Drained {
        self.stop.cancel();
        self.served.await.unwrap()
    }
}

/// A chat request for the free model.
pub fn chat(text: &str) -> Value {
    json!({"model": "m", "messages": [{"role": "user", "content": text}]})
}

/// The same, streamed.
pub fn chat_streamed(text: &str) -> Value {
    json!({"model": "m", "messages": [{"role": "user", "content": text}], "stream": true})
}
