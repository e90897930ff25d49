//! Whatever is shown at the door: it is read within bounds, never panics, and has one spelling.

#![no_main]

use compartment::credential::{ApiKeyKind, MAX_API_KEY_BYTES, MAX_CREDENTIAL_BYTES, Presented};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    match Presented::parse(text) {
        Ok(Presented::Key(key)) => {
            let prefix = match key.kind() {
                ApiKeyKind::Tenant => "cfdk_",
                ApiKeyKind::Operator => "cfdo_",
            };
            // What was read is at the end of the text, to the byte, behind a scheme at most.
            let token = &text[text.len() - MAX_API_KEY_BYTES..];
            let id = key.id().to_string().replace("key_", prefix);
            assert!(token.starts_with(&id));
            assert!(Presented::parse(&token.to_ascii_uppercase()).is_err());
        }
        Ok(Presented::Session(session)) => {
            let _ = session.minted_by();
        }
        Ok(Presented::Jwt(jwt)) => {
            let _ = (jwt.unproven().issuer(), jwt.unproven().texts().count());
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
    if text.len() > MAX_CREDENTIAL_BYTES + 64 && !text.contains("  ") {
        assert!(Presented::parse(text).is_err());
    }
});
