//! Both sides of administration over a socket: stewards on the data plane, the operator on the control plane.

use std::{net::SocketAddr, sync::Arc};

use gateway::control;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::{
    Stand,
    client::{Open, Reply},
};

/// Somebody with a credential at one of the planes.
#[derive(Clone)]
pub struct Desk {
    pub address: SocketAddr,
    pub key: String,
}

impl Desk {
    pub async fn call(&self, method: &str, path: &str, body: Option<&Value>) -> Reply {
        let body = body.map(Value::to_string).unwrap_or_default();
        self.send(method, path, "application/json", body.as_bytes())
            .await
    }

    /// Whatever bytes, of whatever kind.
    pub async fn send(&self, method: &str, path: &str, kind: &str, body: &[u8]) -> Reply {
        let headers = format!(
            "authorization: Bearer {}\r\ncontent-type: {kind}\r\n",
            self.key
        );
        Open::send(self.address, &format!("{method} {path}"), &headers, body)
            .await
            .finish()
            .await
    }

    pub async fn get(&self, path: &str) -> Reply {
        self.call("GET", path, None).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Reply {
        self.call("POST", path, Some(&body)).await
    }
}

impl Reply {
    /// The JSON of an answer that must have this status.
    pub fn expect(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text());
        self.json()
    }

    /// Status and code of a refusal, which must have the shape that OpenAI's have.
    pub fn refusal(&self) -> (u16, String) {
        let error = &self.json()["error"];
        for field in ["message", "type", "code"] {
            assert!(
                error[field].as_str().is_some_and(|text| !text.is_empty()),
                "{field}: {}",
                self.text()
            );
        }
        (self.status, self.code())
    }
}

/// The control plane, on its own thread until this is dropped.
pub struct ControlPlane {
    pub operator: Desk,
    stop: CancellationToken,
}

impl Drop for ControlPlane {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Stand {
    pub fn control(&self) -> ControlPlane {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        control::serve(
            listener,
            Arc::clone(&self.gateway),
            self.listen,
            stop.clone(),
        )
        .unwrap();
        ControlPlane {
            operator: Desk {
                address,
                key: self.home.operator_key.clone(),
            },
            stop,
        }
    }

    /// Somebody with this credential at the data plane.
    pub fn desk(&self, key: &str) -> Desk {
        Desk {
            address: self.address,
            key: key.to_owned(),
        }
    }

    /// Where the operator finds this tenant.
    pub fn below(&self, which: usize) -> String {
        format!("/admin/v1/tenants/{}", self.home.tenants[which])
    }
}

impl ControlPlane {
    /// The secret of a new key, and its id.
    pub async fn mint(&self, stand: &Stand, which: usize, scopes: &[&str]) -> (String, String) {
        let wish = json!({"name": scopes.join(" and "), "scopes": scopes});
        let minted = self
            .operator
            .post(&format!("{}/keys", stand.below(which)), wish)
            .await
            .expect(201);
        let text = |field: &str| minted[field].as_str().unwrap().to_owned();
        (text("key"), text("id"))
    }
}
