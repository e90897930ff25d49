//! One line of the commit log.
//!
//! `checksum ⇥ head ⇥ record ⏎`: CRC-32 in 8 hex digits over what follows it, a JSON object that says whose the record is
//! and what its row keeps besides, and the record in canonical form. JSON has no tabs and no line breaks of its own, so
//! a line that was torn spoils no other.

use std::io::Write as _;

use evidence::{Record, RecordKind};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::id::TenantId;
use crate::store::entry::{Begun, Note};

/// The longest line, in bytes: the longest record and room for the rest.
pub(super) const MAX_LINE: usize = evidence::MAX_RECORD_BYTES + 1024;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    tenant: TenantId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    begun: Option<Begun>,
}

/// What an earlier process noted of a call.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::store) struct Left {
    pub(in crate::store) record: Record,
    pub(in crate::store) begun: Option<Begun>,
}

impl Left {
    pub(in crate::store) fn into_note(self) -> (Note, Timestamp) {
        let time = self.record.time();
        let note = Note {
            record: self.record.into_kind(),
            begun: self.begun,
        };
        (note, time)
    }
}

/// Puts a line at the end of `lines`.
pub(super) fn write(lines: &mut Vec<u8>, tenant: TenantId, begun: Option<Begun>, body: &[u8]) {
    const CHECKSUM: usize = 8;
    let start = lines.len();
    lines.extend_from_slice(b"00000000\t");
    #[expect(
        clippy::expect_used,
        reason = "INVARIANT: plain data, written to memory: serialising cannot fail"
    )]
    serde_json::to_writer(&mut *lines, &Head { tenant, begun }).expect("a head is plain data");
    lines.push(b'\t');
    lines.extend_from_slice(body);
    let (head, rest) = lines.split_at_mut(start + CHECKSUM);
    let checksum = crc32fast::hash(rest);
    if let Some(mut place) = head.get_mut(start..) {
        // eight digits into eight bytes
        let _ = write!(place, "{checksum:08x}");
    }
    lines.push(b'\n');
}

/// Reads a line, without its line break. `None` where it is not whole.
pub(super) fn read(line: &[u8]) -> Option<(TenantId, Left)> {
    if line.len() > MAX_LINE {
        return None;
    }
    let (checksum, rest) = line.split_at_checked(8)?;
    let checksum = u32::from_str_radix(std::str::from_utf8(checksum).ok()?, 16).ok()?;
    if crc32fast::hash(rest) != checksum {
        return None;
    }
    let mut parts = rest.strip_prefix(b"\t")?.splitn(2, |byte| *byte == b'\t');
    let head: Head = serde_json::from_slice(parts.next()?).ok()?;
    let record = Record::parse(parts.next()?).ok()?;
    let begins = matches!(record.kind(), RecordKind::CallIntent(_));
    (begins == head.begun.is_some()).then_some((
        head.tenant,
        Left {
            record,
            begun: head.begun,
        },
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use evidence::{CallRefused, Id};

    fn record(seq: u64) -> Record {
        let id = |text: &str| Id::new(text).unwrap();
        let refused = CallRefused {
            call: id("call_1"),
            credential: None,
            route: id("/v1/embeddings"),
            model: None,
            reason: id("no_money"),
            count: std::num::NonZeroU32::MIN,
        };
        let time = Timestamp::from_second(1_800_000_000).unwrap();
        Record::new(seq, time, RecordKind::CallRefused(refused))
    }

    #[test]
    fn a_line_reads_back_and_no_other_bytes_do() {
        let tenant = TenantId::from_bytes([5; 16]);
        let mut lines = Vec::new();
        write(&mut lines, tenant, None, &record(7).canonical());
        let line = lines.strip_suffix(b"\n").unwrap();
        assert!(!line.contains(&b'\n'));
        let read_back = Left {
            record: record(7),
            begun: None,
        };
        assert_eq!(read(line), Some((tenant, read_back)));
        for end in 0..line.len() {
            assert_eq!(read(&line[..end]), None, "cut at {end}");
        }
        for place in 0..line.len() {
            let mut other = line.to_vec();
            other[place] ^= 0x40;
            assert_eq!(read(&other), None, "changed at {place}");
        }
    }

    #[test]
    fn what_only_a_row_keeps_belongs_to_an_intent() {
        let begun = Begun {
            subject: Some([1; 16]),
            session: None,
            started: Timestamp::from_second(1).unwrap(),
        };
        let mut lines = Vec::new();
        write(
            &mut lines,
            TenantId::from_bytes([5; 16]),
            Some(begun),
            &record(7).canonical(),
        );
        assert_eq!(read(lines.strip_suffix(b"\n").unwrap()), None);
    }
}
