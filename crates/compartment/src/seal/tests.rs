//! What seals and blind values keep to.

use super::*;
use crate::{
    credential::{Presented, keyed_hash},
    keys::{Purpose, RootKey},
};
use serde_json::Value;
use std::collections::BTreeSet;

fn key(byte: u8) -> Secret32 {
    Secret32::from_bytes([byte; 32])
}

fn tenant(byte: u8) -> TenantId {
    TenantId::from_bytes([byte; 16])
}

#[test]
fn a_sealed_value_opens_in_its_own_place_only() {
    let sealer = Sealer::new(key(1), &tenant(1));
    let sealed = sealer.seal(Kind::Call, b"name", 7, b"plaintext").unwrap();
    assert_eq!(
        **sealer.open(Kind::Call, b"name", 7, &sealed).unwrap(),
        *b"plaintext"
    );
    assert_eq!(sealed.len(), b"plaintext".len() + OVERHEAD_BYTES);
    let refused = |sealer: &Sealer, kind, name: &str, version| {
        assert_eq!(
            sealer.open(kind, name.as_bytes(), version, &sealed),
            Err(SealError::DoesNotOpen),
            "{name}"
        );
    };
    refused(&Sealer::new(key(2), &tenant(1)), Kind::Call, "name", 7);
    refused(&Sealer::new(key(1), &tenant(2)), Kind::Call, "name", 7);
    refused(&Sealer::deployment(key(1)), Kind::Call, "name", 7);
    refused(&sealer, Kind::Call, "name", 8);
    for name in ["nam", "names", "", "Name", "name\0"] {
        refused(&sealer, Kind::Call, name, 7);
    }
    for kind in Kind::ALL.into_iter().filter(|kind| *kind != Kind::Call) {
        refused(&sealer, kind, "name", 7);
    }
}

#[test]
fn a_changed_or_cut_value_does_not_open() {
    let sealer = Sealer::new(key(1), &tenant(1));
    let sealed = sealer.seal(Kind::Call, b"n", 1, b"plain").unwrap();
    for at in 0..sealed.len() {
        for bit in 0..8 {
            let mut changed = sealed.clone();
            changed[at] ^= 1 << bit;
            assert!(
                sealer.open(Kind::Call, b"n", 1, &changed).is_err(),
                "byte {at}, bit {bit}"
            );
        }
        assert!(
            sealer.open(Kind::Call, b"n", 1, &sealed[..at]).is_err(),
            "cut off after {at}"
        );
    }
    assert!(
        sealer
            .open(Kind::Call, b"n", 1, &[sealed.as_slice(), b"x"].concat())
            .is_err()
    );
    assert!(
        sealer.open(Kind::Call, b"n", 1, &sealed).is_ok(),
        "the positive control"
    );
}

#[test]
fn the_same_plaintext_never_looks_the_same_twice() {
    let sealer = Sealer::new(key(1), &tenant(1));
    let seal = || sealer.seal(Kind::Call, b"n", 1, b"same").unwrap();
    assert_ne!(seal(), seal());
}

#[test]
fn what_is_too_long_is_not_sealed() {
    let sealer = Sealer::new(key(1), &tenant(1));
    let long = vec![0; MAX_PLAINTEXT_BYTES + 1];
    assert_eq!(
        sealer.seal(Kind::Call, b"", 0, &long),
        Err(SealError::TooLong)
    );
    assert!(sealer.seal(Kind::Call, b"", 0, &long[1..]).is_ok());
    assert!(
        sealer
            .open(Kind::Call, b"", 0, &[long.as_slice(), &[0; 64]].concat())
            .is_err()
    );
}

#[test]
fn every_kind_has_a_label_of_its_own() {
    let labels: BTreeSet<_> = Kind::ALL.iter().map(|kind| kind.label()).collect();
    assert_eq!(labels.len(), Kind::ALL.len());
}

#[test]
fn fields_never_run_into_one_another() {
    let key = key(3);
    let macs = [
        blind(&key, "l", &[b"ab", b"c"]),
        blind(&key, "l", &[b"a", b"bc"]),
        blind(&key, "l", &[b"abc"]),
        blind(&key, "l", &[b"abc", b""]),
        blind(&key, "l", &[b"", b"abc"]),
        blind(&key, "la", &[b"bc"]),
        blind(&key, "", &[b"l", b"abc"]),
        blind(&key, "l", &[]),
        blind(&key, "l", &[b""]),
        blind(&key, "l", &[b"a", b"\0\0\0\0\0\0\0\x02bc"]),
    ];
    assert_eq!(macs.iter().collect::<BTreeSet<_>>().len(), macs.len());
}

proptest::proptest! {
    #[test]
    fn different_lists_of_fields_have_different_encodings(
        one in proptest::collection::vec(proptest::collection::vec(0_u8..3, 0..4), 0..4),
        two in proptest::collection::vec(proptest::collection::vec(0_u8..3, 0..4), 0..4),
    ) {
        let encoded = |list: &Vec<Vec<u8>>| fields(&list.iter().map(Vec::as_slice).collect::<Vec<_>>());
        assert_eq!(one == two, encoded(&one) == encoded(&two));
    }
}

#[test]
fn upstreams_get_43_characters_that_depend_on_everything() {
    let token = |salt, label, backend, epoch, caller| {
        side_channel_token(&key(salt), label, backend, epoch, caller)
    };
    let tokens = [
        token(1, "cache", "vllm", 1, Some("ab")),
        token(2, "cache", "vllm", 1, Some("ab")),
        token(1, "key", "vllm", 1, Some("ab")),
        token(1, "cache", "sglang", 1, Some("ab")),
        token(1, "cache", "vllm", 2, Some("ab")),
        token(1, "cache", "vllm", 1, Some("a")),
        token(1, "cache", "vllm", 1, Some("")),
        token(1, "cache", "vllm", 1, None),
    ];
    assert!(tokens.iter().all(|token| token.len() == 43));
    assert_eq!(tokens.iter().collect::<BTreeSet<_>>().len(), tokens.len());
    assert_eq!(
        tokens[0],
        token(1, "cache", "vllm", 1, Some("ab")),
        "stable"
    );
}

#[test]
fn the_shared_vectors_hold() {
    let vectors: Value =
        serde_json::from_str(include_str!("../../../../spec/vectors/seal.json")).unwrap();
    let each = |name: &str| {
        vectors[name]
            .as_array()
            .filter(|list| !list.is_empty())
            .unwrap()
            .clone()
    };
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let bytes = |value: &Value| hex::decode(value.as_str().unwrap()).unwrap();
    let secret = |value: &Value| Secret32::from_slice(&bytes(value)).unwrap();

    let purposes = each("purpose");
    assert_eq!(purposes.len(), Purpose::ALL.len());
    for (vector, purpose) in purposes.iter().zip(Purpose::ALL) {
        assert_eq!(text(&vector["label"]), purpose.label());
        assert_eq!(
            RootKey::of(secret(&vector["root"])).derive(purpose),
            secret(&vector["key"])
        );
    }
    for vector in each("seal") {
        let kind = Kind::ALL
            .into_iter()
            .find(|kind| kind.label() == text(&vector["kind"]))
            .unwrap();
        let (name, plain) = (bytes(&vector["name"]), bytes(&vector["plaintext"]));
        let version = text(&vector["version"]).parse().unwrap();
        let nonce = bytes(&vector["nonce"]).try_into().unwrap();
        let sealer = match <[u8; 16]>::try_from(bytes(&vector["owner"])) {
            Ok(tenant) => Sealer::new(secret(&vector["key"]), &TenantId::from_bytes(tenant)),
            Err(_) => Sealer::deployment(secret(&vector["key"])),
        };
        let place = sealer.place(kind, &name, version);
        assert_eq!(place, bytes(&vector["associated_data"]));
        let sealed = bytes(&vector["sealed"]);
        assert_eq!(
            encrypt_with(&sealer.key, &place, &plain, &nonce).unwrap(),
            sealed
        );
        assert_eq!(
            **sealer.open(kind, &name, version, &sealed).unwrap(),
            *plain
        );
    }
    for vector in each("blind") {
        let parts: Vec<Vec<u8>> = vector["fields"]
            .as_array()
            .unwrap()
            .iter()
            .map(bytes)
            .collect();
        let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
        let mac = blind(&secret(&vector["key"]), &text(&vector["label"]), &parts);
        assert_eq!(mac.as_slice(), bytes(&vector["mac"]));
        assert_eq!(
            blind16(&secret(&vector["key"]), &text(&vector["label"]), &parts),
            mac[..16]
        );
    }
    for vector in each("side_channel_token") {
        let (label, backend) = (text(&vector["label"]), text(&vector["backend"]));
        let (epoch, caller) = (vector["epoch"].as_u64().unwrap(), vector["caller"].as_str());
        assert_eq!(
            side_channel_token(&secret(&vector["salt"]), &label, &backend, epoch, caller),
            text(&vector["token"])
        );
    }
    for vector in each("api_key") {
        let (token, hash_key) = (text(&vector["token"]), secret(&vector["hash_key"]));
        let Ok(Presented::Key(shown)) = Presented::parse(&token) else {
            panic!("a key")
        };
        assert_eq!(shown.id().to_string(), text(&vector["id"]));
        assert_eq!(
            keyed_hash(&hash_key, &token).as_slice(),
            bytes(&vector["keyed_hash"])
        );
    }
}
