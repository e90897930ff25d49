//! A tenant's journal, exported and verified as an auditor would: with the binary, offline, against a pinned key.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

use super::gateway::{BINARY, Gateway, Home};

/// An export in a file.
pub struct Export {
    pub file: PathBuf,
    pub key: String,
    pub records: Vec<Value>,
}

/// One call as the journal has it.
#[derive(Debug, Clone)]
pub struct Entry {
    pub intent: Value,
    pub settled: Option<Value>,
}

impl Export {
    /// Exports with `cofferdam audit export` and verifies with `cofferdam audit verify`.
    pub fn verified(home: &Home, gateway: &Gateway, tenant: &str) -> Export {
        let file = home.path().join(format!("{tenant}.journal"));
        let export = Command::new(BINARY)
            .args(["audit", "export", "--tenant", tenant, "--output"])
            .arg(&file)
            .args(["--admin", &gateway.control_plane, "--operator-key-file"])
            .arg(home.path().join("secrets/operator.key"))
            .output()
            .unwrap();
        assert!(
            export.status.success(),
            "export: {}",
            String::from_utf8_lossy(&export.stderr)
        );
        let checkpoint = gateway
            .operator()
            .get(&format!("/admin/v1/tenants/{tenant}/journal/checkpoint"))
            .ok();
        let key = checkpoint["verifier_key"].as_str().unwrap().to_owned();
        let checked = verify(&file, &key);
        let told = String::from_utf8_lossy(&checked.stderr).into_owned();
        assert_eq!(checked.status.code(), Some(0), "verify: {told}");
        let text = std::fs::read_to_string(&file).unwrap();
        let records = text.lines().filter(|line| line.starts_with("{\"seq\":"));
        let records = records
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        Export { file, key, records }
    }

    /// Every call that has an intent.
    pub fn calls(&self) -> BTreeMap<String, Entry> {
        let mut calls = BTreeMap::new();
        for record in &self.records {
            let id = record["call"].as_str().unwrap_or_default().to_owned();
            match record["kind"].as_str() {
                Some("call_intent") => {
                    let twice = calls.insert(
                        id,
                        Entry {
                            intent: record.clone(),
                            settled: None,
                        },
                    );
                    assert!(twice.is_none(), "two intents: {record}");
                }
                Some("call_settled") => {
                    let entry = calls
                        .get_mut(&id)
                        .unwrap_or_else(|| panic!("settled without intent: {record}"));
                    assert!(
                        entry.settled.replace(record.clone()).is_none(),
                        "settled twice: {record}"
                    );
                }
                _ => {}
            }
        }
        calls
    }
}

impl Entry {
    pub fn is_settled(&self) -> bool {
        self.settled.is_some()
    }

    pub fn outcome(&self) -> &str {
        self.settled
            .as_ref()
            .and_then(|settled| settled["outcome"].as_str())
            .unwrap_or("open")
    }

    pub fn cost(&self) -> u64 {
        self.settled
            .as_ref()
            .and_then(|settled| settled["cost_nanos"].as_u64())
            .unwrap_or(0)
    }

    pub fn reserved(&self) -> u64 {
        self.intent["reserved_nanos"].as_u64().unwrap()
    }
}

/// Runs the offline verifier with a pinned key.
pub fn verify(file: &Path, key: &str) -> Output {
    Command::new(BINARY)
        .args(["audit", "verify"])
        .arg(file)
        .args(["--key", key])
        .output()
        .unwrap()
}
