//! The bounds of connections and calls.

use std::time::Duration;

use super::{ConfigError, file, within};

/// Bounds of every connection of a listener.
#[derive(Clone, Copy, Debug)]
pub struct ListenLimits {
    /// Open connections.
    pub max_connections: usize,
    /// Bytes of a request's head.
    pub max_head_bytes: usize,
    /// Header lines of a request.
    pub max_headers: usize,
    /// From a head's first byte to its end.
    pub head_timeout: Duration,
    /// Between two requests.
    pub idle_timeout: Duration,
    /// How long a client may take nothing of an answer.
    pub write_stall: Duration,
    /// How long calls in flight may take to finish at shutdown.
    pub drain: Duration,
}

/// Bounds of every call before it has a permit.
#[derive(Clone, Copy, Debug)]
pub struct CallLimits {
    /// Bytes of a request body.
    pub max_body_bytes: usize,
    /// Bytes of request bodies that one tenant may have in the process at once.
    pub max_tenant_body_bytes: usize,
    /// From a request's head to the end of its body.
    pub body_timeout: Duration,
}

pub(super) fn check(file: &file::Limits) -> Result<(ListenLimits, CallLimits), ConfigError> {
    let number = |field, value, least, most| -> Result<usize, ConfigError> {
        let value = within("limits", field, value, least, most)?;
        // every bound here fits 32 bits
        Ok(usize::try_from(value).unwrap_or(usize::MAX))
    };
    let millis = |field, value, least, most| {
        within("limits", field, value, least, most).map(Duration::from_millis)
    };
    let max_body_bytes = number("max_body_bytes", file.max_body_bytes, 1024, 64 << 20)?;
    let listen = ListenLimits {
        max_connections: number("max_connections", file.max_connections, 1, 65_536)?,
        max_head_bytes: number("max_head_bytes", file.max_head_bytes, 1024, 65_536)?,
        max_headers: number("max_headers", file.max_headers, 8, 256)?,
        head_timeout: millis("head_timeout_ms", file.head_timeout_ms, 100, 120_000)?,
        idle_timeout: millis("idle_timeout_ms", file.idle_timeout_ms, 1_000, 600_000)?,
        write_stall: millis("write_stall_ms", file.write_stall_ms, 1_000, 600_000)?,
        drain: millis("drain_ms", file.drain_ms, 0, 600_000)?,
    };
    let calls = CallLimits {
        max_body_bytes,
        max_tenant_body_bytes: number(
            "max_tenant_body_bytes",
            file.max_tenant_body_bytes,
            file.max_body_bytes,
            1 << 30,
        )?,
        body_timeout: millis("body_timeout_ms", file.body_timeout_ms, 100, 600_000)?,
    };
    Ok((listen, calls))
}
