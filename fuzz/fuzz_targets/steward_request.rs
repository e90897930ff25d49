//! Bodies of administration: refused by field, or read within bounds and written again as they were.

#![no_main]

use libfuzzer_sys::fuzz_target;
use wire::admin::{ChangeTenant, CreateTenant};
use wire::steward::{self, Body, ChangeKey, LimitSet, MintKey, MintSession, PutCredential, PutIssuer};

fn check<B: Body + serde::Serialize>(data: &[u8]) {
    if let Ok(body) = B::parse(data) {
        assert!(B::parse(&steward::write(&body)).is_ok());
    }
}

fuzz_target!(|data: &[u8]| {
    check::<CreateTenant>(data);
    check::<ChangeTenant>(data);
    check::<MintKey>(data);
    check::<ChangeKey>(data);
    check::<LimitSet>(data);
    check::<MintSession>(data);
    check::<PutCredential>(data);
    check::<PutIssuer>(data);
    let _ = serde_json::from_slice::<policy::LimitSet>(data);
});
