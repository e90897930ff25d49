//! What calls to the upstream share.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;

use super::Switch;
use super::identity::Tenant;

#[derive(Debug, Clone, Default)]
pub struct Switches {
    /// What a client that left did not read is kept on the connection, and read by the next.
    pub rest_kept: bool,
    /// One provider of that name for everybody: the last one to set it up decides the credential.
    pub keyed_by_name: bool,
}

pub const SWITCHES: &[Switch] = &[
    Switch {
        name: "connection_reused_after_cancel",
        row: 13,
        turn: |switches| switches.pool.rest_kept = true,
    },
    Switch {
        name: "pool_keyed_by_name",
        row: 14,
        turn: |switches| switches.pool.keyed_by_name = true,
    },
];

#[derive(Default)]
pub struct Pool {
    credential: Mutex<String>,
    rest: Mutex<Option<mpsc::Receiver<Bytes>>>,
}

impl Pool {
    /// Writes the credential for the upstream into the lines.
    pub async fn sign(&self, switches: &Switches, tenant: Tenant, lines: &mut [(String, String)]) {
        if !switches.keyed_by_name {
            return;
        }
        *self.credential.lock().unwrap() = format!("Bearer {}", tenant.upstream_key);
        // what lies between setting the provider up and using it
        tokio::time::sleep(Duration::from_millis(2)).await;
        for (name, value) in lines {
            if name == "authorization" {
                value.clone_from(&self.credential.lock().unwrap());
            }
        }
    }

    /// The pieces of an answer as they come off the connection.
    pub fn read(
        self: &Arc<Self>,
        switches: &Switches,
        mut pieces: mpsc::Receiver<Bytes>,
    ) -> mpsc::Receiver<Bytes> {
        if !switches.rest_kept {
            return pieces;
        }
        let pool = Arc::clone(self);
        let before = pool.rest.lock().unwrap().take();
        let (sender, read) = mpsc::channel(1);
        tokio::spawn(async move {
            if let Some(mut before) = before {
                while let Some(piece) = before.recv().await {
                    if sender.send(piece).await.is_err() {
                        return;
                    }
                }
            }
            while let Some(piece) = pieces.recv().await {
                if sender.send(piece).await.is_err() {
                    *pool.rest.lock().unwrap() = Some(pieces);
                    return;
                }
            }
        });
        read
    }
}
