//! The OpenAPI schemas of all shapes fit together in one document.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use std::collections::BTreeMap;

use serde_json::Value;
use utoipa::ToSchema;
use utoipa::openapi::{RefOr, Schema};

type Named = Vec<(String, RefOr<Schema>)>;

fn gather<T: ToSchema>(all: &mut Named) {
    all.push((T::name().into_owned(), T::schema()));
    T::schemas(all);
}

fn everything() -> Named {
    use wire::{admin, openai, steward};
    let mut all = Named::new();
    let gathers: &[fn(&mut Named)] = &[
        gather::<openai::chat::ChatParams>,
        gather::<openai::chat::ChatResponse>,
        gather::<openai::chat::ChatChunk>,
        gather::<openai::completions::CompletionParams>,
        gather::<openai::completions::CompletionResponse>,
        gather::<openai::embeddings::EmbeddingParams>,
        gather::<openai::embeddings::EmbeddingResponse>,
        gather::<openai::models::Model>,
        gather::<openai::models::ModelList>,
        gather::<openai::error::ErrorBody>,
        gather::<steward::MintKey>,
        gather::<steward::MintedKey>,
        gather::<steward::ChangeKey>,
        gather::<steward::ApiKey>,
        gather::<steward::RecordRow>,
        gather::<steward::Issuer>,
        gather::<steward::Credential>,
        gather::<steward::Deleted>,
        gather::<steward::MintSession>,
        gather::<steward::SessionToken>,
        gather::<steward::Myself>,
        gather::<steward::LimitSet>,
        gather::<steward::LimitsView>,
        gather::<steward::UsageList>,
        gather::<steward::Call>,
        gather::<steward::Checkpoint>,
        gather::<steward::InclusionProof>,
        gather::<steward::PutIssuer>,
        gather::<steward::PutCredential>,
        gather::<admin::CreateTenant>,
        gather::<admin::ChangeTenant>,
        gather::<admin::Tenant>,
        gather::<admin::ModelRoute>,
        gather::<admin::Health>,
    ];
    gathers.iter().for_each(|gather| gather(&mut all));
    all
}

fn references<'a>(schema: &'a Value, found: &mut Vec<&'a str>) {
    match schema {
        Value::Object(fields) => {
            fields
                .iter()
                .for_each(|(name, value)| match (name.as_str(), value) {
                    ("$ref", Value::String(target)) => {
                        found.push(target.rsplit('/').next().unwrap())
                    }
                    _ => references(value, found),
                })
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        _ => {}
    }
}

#[test]
fn every_name_means_one_schema_and_every_reference_leads_to_one() {
    let mut by_name = BTreeMap::new();
    for (name, schema) in everything() {
        let schema = serde_json::to_value(&schema).unwrap();
        let earlier = by_name.insert(name.clone(), schema.clone());
        assert!(
            earlier.is_none_or(|earlier| earlier == schema),
            "two different shapes are called {name}"
        );
    }
    for (name, schema) in &by_name {
        let mut found = Vec::new();
        references(schema, &mut found);
        for target in found {
            assert!(
                by_name.contains_key(target),
                "{name} leads to {target}, which is not there"
            );
        }
    }
}

#[test]
fn names_in_the_document_are_names_people_would_look_for() {
    let names: Vec<String> = everything().into_iter().map(|(name, _)| name).collect();
    for name in [
        "ChatCompletionRequest",
        "ChatCompletion",
        "ChatCompletionChunk",
        "ErrorBody",
        "MintKey",
    ] {
        assert!(
            names.iter().any(|known| known == name),
            "{name} is missing among {names:?}"
        );
    }
}
