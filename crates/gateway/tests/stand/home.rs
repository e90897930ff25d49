//! A real house in a temporary folder, with two tenants.

use std::sync::Arc;

use compartment::{
    Administration, House, HouseConfig, Models, Operator, TenantId, administration::MintKey,
    credential::FetchError, keys::FileKeyProvider,
};
use jiff::Timestamp;
use policy::{Limits, Right, Rights};
use serde_json::Value;
use tempfile::TempDir;

pub struct Home {
    pub house: Arc<House>,
    pub operator: Operator,
    pub operator_key: String,
    pub tenants: [TenantId; 2],
    /// Keys that may infer with every model.
    pub a: String,
    pub b: String,
    _folder: TempDir,
}

impl Home {
    pub async fn build() -> Home {
        let folder = tempfile::tempdir().unwrap();
        let now = Timestamp::now();
        let config = HouseConfig {
            store: compartment::Engine::Embedded,
            data_dir: folder.path().join("data"),
            keyring_dir: folder.path().join("keyring"),
            provider: Arc::new(FileKeyProvider::create(&folder.path().join("root.key")).unwrap()),
            fetch_jwks: Arc::new(|_| Box::pin(async { Err(FetchError::Unreachable) })),
            open_compartments: 16,
        };
        let secret = House::init(&config, now).unwrap().unwrap();
        let house = House::open(config).unwrap();
        let operator = house.operator(secret.expose()).unwrap();
        let mut tenants = Vec::new();
        for name in ["first", "second"] {
            tenants.push(operator.create_tenant(name, now).await.unwrap().0.id);
        }
        let tenants = [tenants[0], tenants[1]];
        let mut home = Home {
            house,
            operator,
            operator_key: secret.expose().to_owned(),
            tenants,
            a: String::new(),
            b: String::new(),
            _folder: folder,
        };
        home.a = home.mint(0, Models::All, Limits::default()).await;
        home.b = home.mint(1, Models::All, Limits::default()).await;
        home
    }

    /// The administration of a tenant.
    pub async fn tenant(&self, which: usize) -> Administration {
        self.operator
            .tenant(&self.tenants[which], Timestamp::now())
            .await
            .unwrap()
    }

    /// The administration of a tenant as its own steward has it.
    pub async fn steward(&self, which: usize) -> Administration {
        let key = self
            .mint_with(
                which,
                Rights::NONE.and(Right::Steward),
                Models::All,
                Limits::default(),
            )
            .await;
        let now = Timestamp::now();
        let (compartment, who) = self.house.gatehouse().admit(&key, now).await.unwrap();
        compartment.steward(&who, now).unwrap()
    }

    /// A new key of a tenant that may infer.
    pub async fn mint(&self, which: usize, models: Models, limits: Limits) -> String {
        self.mint_with(which, Rights::NONE.and(Right::Infer), models, limits)
            .await
    }

    async fn mint_with(
        &self,
        which: usize,
        scopes: Rights,
        models: Models,
        limits: Limits,
    ) -> String {
        let wish = MintKey {
            name: "k".to_owned(),
            scopes,
            models,
            limits,
            expires: None,
        };
        let minted = self
            .tenant(which)
            .await
            .keys()
            .mint(wish, Timestamp::now())
            .await
            .unwrap();
        minted.secret.expose().to_owned()
    }

    /// An allow-list of these models.
    pub fn only(models: &[&str]) -> Models {
        Models::from_list(Some(
            models.iter().map(|model| (*model).to_owned()).collect(),
        ))
        .unwrap()
    }

    /// All records of tenant A's journal.
    pub async fn records(&self, which: usize) -> Vec<Value> {
        let rows = self
            .tenant(which)
            .await
            .journal()
            .records(0, 1000)
            .await
            .unwrap();
        rows.iter()
            .map(|row| serde_json::from_slice(&row.body).unwrap())
            .collect()
    }

    /// How tenant A's calls ended, once this many have: outcome and status.
    pub async fn settled(&self, calls: usize) -> Vec<(String, u64)> {
        let ends = self.settlements(calls).await;
        ends.iter()
            .map(|end| {
                (
                    end["outcome"].as_str().unwrap().to_owned(),
                    end["status"].as_u64().unwrap(),
                )
            })
            .collect()
    }

    /// The records of it.
    pub async fn settlements(&self, calls: usize) -> Vec<Value> {
        for _ in 0..500 {
            let records = self.records(0).await;
            let ends: Vec<Value> = records
                .iter()
                .filter_map(|record| find(record, "outcome"))
                .cloned()
                .collect();
            if ends.len() >= calls {
                return ends;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        panic!(
            "{calls} calls were never settled: {:?}",
            self.records(0).await
        );
    }
}

/// The innermost object with this field.
fn find<'a>(value: &'a Value, field: &str) -> Option<&'a Value> {
    let object = value.as_object()?;
    if object.contains_key(field) {
        return Some(value);
    }
    object.values().find_map(|inner| find(inner, field))
}
