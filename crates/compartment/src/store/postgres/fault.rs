//! What Postgres says, in the kinds that callers act upon.

use postgres::error::SqlState;

use crate::store::StoreError;

impl From<postgres::Error> for StoreError {
    fn from(error: postgres::Error) -> Self {
        let Some(said) = error.as_db_error() else {
            return unsaid(&error);
        };
        let code = said.code();
        if *code == SqlState::DISK_FULL {
            return Self::Full;
        }
        if away(code) {
            return Self::Unreachable;
        }
        // the message names tables and constraints; the detail, which is left out, would name values
        Self::Failed(format!("{}: {}", code.code(), said.message()))
    }
}

/// A fault that the server did not send.
fn unsaid(error: &postgres::Error) -> StoreError {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if error.is::<postgres::types::WrongType>() || error.is::<postgres::types::WasNull>() {
            return StoreError::Corrupt("a value is not of its kind".to_owned());
        }
        // an I/O error names as its cause what its own content names, and not that content
        let content = error
            .downcast_ref::<std::io::Error>()
            .and_then(std::io::Error::get_ref);
        if content.is_some_and(|content| content.is::<rustls::Error>()) {
            return StoreError::Failed(format!("TLS with the database: {error}"));
        }
        cause = error.source();
    }
    if error.to_string().contains("deserializing") {
        return StoreError::Corrupt("a value is not of its kind".to_owned());
    }
    StoreError::Unreachable
}

/// Whether the server is going away, is not there yet, or has ended this session: another try may find it again.
fn away(code: &SqlState) -> bool {
    let gone = [
        SqlState::ADMIN_SHUTDOWN,
        SqlState::CRASH_SHUTDOWN,
        SqlState::CANNOT_CONNECT_NOW,
        SqlState::DATABASE_DROPPED,
        SqlState::TOO_MANY_CONNECTIONS,
        SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT,
    ];
    // class 08: the connection
    gone.contains(code) || code.code().starts_with("08")
}
