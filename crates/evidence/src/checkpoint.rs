//! Signed heads of a log: C2SP tlog-checkpoint in a C2SP signed note.

use crate::{Error, Hash, Id, JournalSigner, VerifierKey, log, moment};
use jiff::Timestamp;
use signed_note::Note;

/// The longest note that is looked at, in bytes; room for witnesses' signatures beside ours.
pub const MAX_NOTE_BYTES: usize = 16 * 1024;

/// "At `time`, the log `origin` had `size` records and this `root`."
///
/// ```
/// use evidence::{Checkpoint, EMPTY_ROOT, Id, JournalSigner};
/// # fn main() -> Result<(), evidence::Error> {
/// let signer = JournalSigner::from_seed([7; 32]);
/// let origin = Id::new("cofferdam/log_1")?;
/// let head = Checkpoint::new(origin.clone(), 0, EMPTY_ROOT, "2026-03-01T12:00:00Z".parse().unwrap());
/// let note = head.sign(&signer)?;
/// assert_eq!(Checkpoint::parse_verify(note.as_bytes(), &signer.verifier_key(&origin))?, head);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Checkpoint {
    origin: Id,
    size: u64,
    root: Hash,
    time: Timestamp,
}

impl Checkpoint {
    /// A head that is not signed yet. `time` is cut to whole milliseconds.
    #[must_use]
    pub fn new(origin: Id, size: u64, root: Hash, time: Timestamp) -> Self {
        Self {
            origin,
            size,
            root,
            time: moment::to_millis(time),
        }
    }

    /// The log's name; also the name of the key that signs it.
    #[must_use]
    pub fn origin(&self) -> &Id {
        &self.origin
    }

    /// The number of records.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The Merkle tree hash over them.
    #[must_use]
    pub fn root(&self) -> Hash {
        self.root
    }

    /// When it was signed, in whole milliseconds.
    #[must_use]
    pub fn time(&self) -> Timestamp {
        self.time
    }

    /// The signed note: origin, size, root, a `time` line, a blank line, the signature.
    ///
    /// # Errors
    ///
    /// [`Error::NotACheckpoint`] where the size is beyond [`log::MAX_SIZE`]; nothing else can fail.
    pub fn sign(&self, signer: &JournalSigner) -> Result<String, Error> {
        if self.size > log::MAX_SIZE {
            return Err(Error::NotACheckpoint {
                reason: "the size is beyond any log",
            });
        }
        let malformed = |_| Error::NotACheckpoint {
            reason: "the note could not be written",
        };
        let mut note = Note::new(&self.text()?, &[]).map_err(malformed)?;
        note.add_sigs(&[&signer.named(&self.origin)])
            .map_err(malformed)?;
        String::from_utf8(note.to_bytes()).map_err(|_| Error::NotACheckpoint { reason: "not text" })
    }

    /// Reads a note that `key` signed. Signatures by other keys (witnesses) may stand beside it and are not checked.
    ///
    /// # Errors
    ///
    /// [`Error::NotACheckpoint`] where the note is malformed, too long, or written in any other way than
    /// [`Checkpoint::sign`] does; [`Error::BadSignature`] where `key` did not sign it, which includes the notes of
    /// every other log.
    pub fn parse_verify(note: &[u8], key: &VerifierKey) -> Result<Self, Error> {
        let refuse = |reason| Error::NotACheckpoint { reason };
        if note.len() > MAX_NOTE_BYTES {
            return Err(refuse("longer than any checkpoint"));
        }
        let note = Note::from_bytes(note).map_err(|_| refuse("not a signed note"))?;
        note.verify(key).map_err(|_| Error::BadSignature)?;
        let text = tlog_tiles::Checkpoint::from_bytes(note.text())
            .map_err(|_| refuse("not origin, size and root"))?;
        let head = Self {
            origin: Id::new(text.origin()).map_err(|_| refuse("the origin is not an id"))?,
            size: text.size(),
            root: *text.hash(),
            time: (text.extension().strip_prefix("time "))
                .and_then(|rest| moment::parse(rest.strip_suffix('\n')?))
                .ok_or(refuse("no time line, or more than that"))?,
        };
        if head.size > log::MAX_SIZE {
            return Err(refuse("the size is beyond any log"));
        }
        if head.text()? != note.text() {
            return Err(refuse("another spelling of a checkpoint"));
        }
        // The key's name is checked with the signature; the first line is what it speaks for.
        if head.origin != *key.origin() {
            return Err(Error::BadSignature);
        }
        Ok(head)
    }

    /// The bytes that are signed.
    fn text(&self) -> Result<Vec<u8>, Error> {
        let time = format!("time {}\n", moment::print(self.time));
        tlog_tiles::Checkpoint::new(self.origin.as_str(), self.size, self.root, &time)
            .map(|text| text.to_bytes())
            .map_err(|_| Error::NotACheckpoint {
                reason: "the note could not be written",
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(origin: &str) -> Checkpoint {
        let time = "2026-03-01T12:00:00.5Z".parse().unwrap();
        Checkpoint::new(Id::new(origin).unwrap(), 3, log::leaf_hash(b"root"), time)
    }

    #[test]
    fn a_checkpoint_is_the_documented_note() {
        let note = head("cofferdam/a")
            .sign(&JournalSigner::from_seed([7; 32]))
            .unwrap();
        let root = log::leaf_hash(b"root");
        let expected =
            format!("cofferdam/a\n3\n{root}\ntime 2026-03-01T12:00:00.500Z\n\n— cofferdam/a ");
        assert!(note.starts_with(&expected), "{note}");
        assert!(note.ends_with("=\n"), "{note}");
    }

    #[test]
    fn a_checkpoint_is_accepted_from_its_own_key_only() {
        let signer = JournalSigner::from_seed([7; 32]);
        let note = head("cofferdam/a").sign(&signer).unwrap();
        let origin = Id::new("cofferdam/a").unwrap();
        let key = signer.verifier_key(&origin);
        assert_eq!(
            Checkpoint::parse_verify(note.as_bytes(), &key).unwrap(),
            head("cofferdam/a")
        );

        let other_key = JournalSigner::from_seed([8; 32]).verifier_key(&origin);
        let other_log = signer.verifier_key(&Id::new("cofferdam/b").unwrap());
        for (case, note, key) in [
            ("another key", note.clone(), &other_key),
            ("another log", note.clone(), &other_log),
            ("size changed", note.replacen("\n3\n", "\n4\n", 1), &key),
            ("leading zero", note.replacen("\n3\n", "\n03\n", 1), &key),
            (
                "origin changed",
                note.replacen("cofferdam/a", "cofferdam/b", 1),
                &key,
            ),
            (
                "time dropped",
                note.replacen("time 2026-03-01T12:00:00.500Z\n", "", 1),
                &key,
            ),
            ("line added", note.replacen("\n\n", "\nmore\n\n", 1), &key),
            (
                "no signature",
                note.split_once("\n\n").unwrap().0.to_owned() + "\n\n",
                &key,
            ),
            ("cut", note[..note.len() - 9].to_owned(), &key),
            ("empty", String::new(), &key),
            ("endless", "a\n".repeat(MAX_NOTE_BYTES), &key),
        ] {
            assert!(
                Checkpoint::parse_verify(note.as_bytes(), key).is_err(),
                "{case}"
            );
        }
    }

    #[test]
    fn a_witness_may_sign_beside_us() {
        let signer = JournalSigner::from_seed([7; 32]);
        let origin = Id::new("cofferdam/a").unwrap();
        let note = head("cofferdam/a").sign(&signer).unwrap();
        let mut note = Note::from_bytes(note.as_bytes()).unwrap();
        let witness = (
            JournalSigner::from_seed([9; 32]),
            Id::new("witness.example").unwrap(),
        );
        note.add_sigs(&[&witness.0.named(&witness.1)]).unwrap();
        assert!(Checkpoint::parse_verify(&note.to_bytes(), &signer.verifier_key(&origin)).is_ok());
    }

    #[test]
    fn a_signed_note_that_is_no_checkpoint_of_ours_is_refused() {
        let signer = JournalSigner::from_seed([7; 32]);
        let origin = Id::new("cofferdam/a").unwrap();
        let root = log::leaf_hash(b"root");
        for text in [
            "hello\n".to_owned(),
            format!("cofferdam/a\n3\n{root}\n"),
            format!("cofferdam/a\n3\n{root}\ntime 2026-03-01T12:00:00Z\n"),
            format!("cofferdam/a\n3\n{root}\ntime 2026-03-01T12:00:00.500Z\nmore\n"),
            format!("cofferdam/b\n3\n{root}\ntime 2026-03-01T12:00:00.500Z\n"),
            format!("cofferdam/a\n18446744073709551615\n{root}\ntime 2026-03-01T12:00:00.500Z\n"),
        ] {
            let mut note = Note::new(text.as_bytes(), &[]).unwrap();
            note.add_sigs(&[&signer.named(&origin)]).unwrap();
            let read = Checkpoint::parse_verify(&note.to_bytes(), &signer.verifier_key(&origin));
            assert!(read.is_err(), "{text}");
        }
    }
}
