//! The commit log: what calls note of themselves, of all tenants, in one file, before it stands in the tenants' files.
//!
//! A call is recorded twice, when it begins and when it ends, and must not wait for a transaction of its own. So its
//! notes get their places in the tenant's journal at once, are appended to this log with one write, and are brought into
//! the tenant's file later, hundreds in one transaction. After a crash what the log holds and a tenant's file does not
//! is brought into it when the tenant is opened.
//!
//! **Recorded.** The write has handed the bytes to the operating system: they survive the death of the process. It
//! happens on the thread that asks for it, and takes along what others have appended.
//!
//! **Durable.** The sync of the file that follows makes it so. One thread syncs; one sync covers everything written
//! before it, of every tenant.
//!
//! **Gone.** A new segment is begun now and then ([`CommitLog::turn`]). The old ones are removed when every note in them
//! stands in a tenant's file that is synced, or was carried over to the new segment ([`CommitLog::turned`]).
//!
//! The log holds what the tenants' files hold of calls: ids, counts, times, blinded names, commitments. No content.

mod line;
mod segments;

pub(super) use line::Left;

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use tokio::sync::watch;

use crate::id::TenantId;
use crate::store::StoreError;
use crate::store::entry::Entry;
use segments::Leftovers;

/// A segment this long is followed by another one, in bytes.
const SEGMENT: u64 = 32 << 20;
/// So is one that is this old and not empty: erased tenants are not to be found in here for longer.
const AGE: Duration = Duration::from_secs(60);
/// Syncs begin at least this far apart, so that many calls share one. One that comes alone does not wait.
const APART: Duration = Duration::from_millis(1);
/// The most bytes that may wait to be written, before calls are refused.
const MOST_UNWRITTEN: usize = 8 << 20;

/// The log of one deployment. Dropping it ends its thread once everything is synced.
pub(crate) struct CommitLog {
    shared: Arc<Shared>,
    syncing: Option<JoinHandle<()>>,
}

/// A place in the log: how many bytes of it, since this process began, have to be safe.
pub(super) type Place = u64;

struct Shared {
    folder: PathBuf,
    unwritten: Mutex<Unwritten>,
    file: Mutex<Segment>,
    /// Everything before it is written.
    written: AtomicU64,
    /// The last write failed.
    failing: AtomicBool,
    wanted: Mutex<Wanted>,
    wish: Condvar,
    synced: watch::Sender<Synced>,
    left: Mutex<Leftovers>,
    /// Nothing is to be removed any more.
    kept: AtomicBool,
}

#[derive(Default)]
struct Unwritten {
    lines: Vec<u8>,
    /// How many of them.
    count: usize,
    end: Place,
}

struct Segment {
    file: Arc<File>,
    path: PathBuf,
    number: u64,
    /// What of the file counts. After a write that failed there may be more; the next one goes over it.
    length: u64,
    since: Instant,
    /// The segments before it.
    old: Vec<PathBuf>,
    /// Those of them that are not synced.
    unsynced: Vec<Arc<File>>,
}

struct Wanted {
    place: Place,
    closed: bool,
}

#[derive(Clone, Copy, Default)]
struct Synced {
    place: Place,
    /// The segment that failed to sync. The kernel may have dropped the pages and would call the next sync a success, so
    /// that nothing more becomes durable in it.
    failed: Option<u64>,
}

impl CommitLog {
    /// Opens the log in `folder`, makes it if it is not there, and reads what an earlier process left.
    ///
    /// # Errors
    ///
    /// Faults of the disk.
    pub(crate) fn open(folder: &Path) -> Result<Self, StoreError> {
        let (old, number) = segments::list(folder)?;
        let left = segments::read(&old)?;
        let (path, file) = segments::make(folder, number)?;
        let shared = Arc::new(Shared {
            folder: folder.to_owned(),
            unwritten: Mutex::default(),
            file: Mutex::new(Segment {
                file: Arc::new(file),
                path,
                number,
                length: 0,
                since: Instant::now(),
                old,
                unsynced: Vec::new(),
            }),
            written: AtomicU64::new(0),
            failing: AtomicBool::new(false),
            wanted: Mutex::new(Wanted {
                place: 0,
                closed: false,
            }),
            wish: Condvar::new(),
            synced: watch::Sender::new(Synced::default()),
            left: Mutex::new(left),
            kept: AtomicBool::new(false),
        });
        let this = Arc::clone(&shared);
        let syncing = std::thread::Builder::new()
            .name("sync-log".to_owned())
            .spawn(move || this.serve())?;
        Ok(Self {
            shared,
            syncing: Some(syncing),
        })
    }

    /// What an earlier process noted of a tenant's calls from the record `seq` on. Behind a gap there is nothing: what
    /// is missing was not durable, and what came after it neither.
    pub(super) fn left(&self, tenant: &TenantId, seq: u64) -> Vec<Left> {
        let left = self.shared.left.lock();
        let notes = left.get(tenant).map(Vec::as_slice).unwrap_or_default();
        let fitting = notes
            .iter()
            .skip_while(|note| note.record.seq() < seq)
            .zip(seq..)
            .take_while(|(note, seq)| note.record.seq() == *seq);
        fitting.map(|(note, _)| note.clone()).collect()
    }

    /// What an earlier process left of this tenant stands in its file, synced.
    pub(super) fn brought(&self, tenant: &TenantId) {
        self.shared.left.lock().remove(tenant);
    }

    /// Whether anything can be recorded just now.
    ///
    /// # Errors
    ///
    /// Why not: what made the last write fail, if it still does; [`StoreError::Busy`] where too much waits.
    pub(super) fn ready(&self) -> Result<(), StoreError> {
        if self.shared.failing.load(Ordering::Acquire) {
            self.shared.write(Place::MAX)?;
        }
        if self.shared.synced.borrow().failed.is_some() {
            return Err(failed_sync());
        }
        if self.shared.unwritten.lock().lines.len() > MOST_UNWRITTEN {
            return Err(StoreError::Busy);
        }
        Ok(())
    }

    /// Appends an entry of a tenant. To be called in the order of its journal.
    pub(super) fn append(&self, tenant: TenantId, entry: &Entry) -> Place {
        self.shared
            .append(|lines| line::write(lines, tenant, entry.begun, &entry.body))
    }

    /// Writes what was appended, up to `place` at least.
    ///
    /// # Errors
    ///
    /// Faults of the disk. What was appended is kept, and goes with the next write.
    pub(super) fn write(&self, place: Place) -> Result<(), StoreError> {
        self.shared.write(place)
    }

    /// Asks for a sync that covers `place`. Never blocks.
    pub(super) fn wish(&self, place: Place) {
        let mut wanted = self.shared.wanted.lock();
        if place > wanted.place {
            wanted.place = place;
            self.shared.wish.notify_one();
        }
    }

    /// Waits until what was written up to `place`, and asked for, survives a loss of power.
    ///
    /// # Errors
    ///
    /// Why it may not.
    pub(super) async fn durable(&self, place: Place) -> Result<(), StoreError> {
        let mut synced = self.shared.synced.subscribe();
        let found = synced
            .wait_for(|synced| synced.place >= place || synced.failed.is_some())
            .await
            .map_err(|_| StoreError::Closed)?;
        if found.place >= place {
            Ok(())
        } else {
            Err(failed_sync())
        }
    }

    /// How many lines wait to be written: none, but while the disk refuses.
    pub(crate) fn unwritten(&self) -> usize {
        self.shared.unwritten.lock().count
    }

    /// Writes what waits.
    ///
    /// # Errors
    ///
    /// As [`CommitLog::write`].
    pub(crate) fn flush(&self) -> Result<(), StoreError> {
        self.shared.write(Place::MAX)
    }

    /// Keeps every segment until the next start: some tenant's notes could not be brought into its file.
    pub(super) fn keep(&self) {
        tracing::error!(
            "a tenant was closed before its calls were all in its file; the commit log keeps them for the next start"
        );
        self.shared.kept.store(true, Ordering::Release);
    }

    /// Puts a file in the place of the present segment's, for a test of what happens when it fails; gives that.
    #[cfg(test)]
    pub(in crate::store) fn write_instead(&self, file: Arc<File>) -> Arc<File> {
        std::mem::replace(&mut self.shared.file.lock().file, file)
    }

    /// Some tenants whose calls an earlier process noted and that were not opened since, at most `most`; others with another
    /// `turn`.
    pub(crate) fn tenants_left(&self, most: usize, turn: usize) -> Vec<TenantId> {
        let left = self.shared.left.lock();
        let first = turn.checked_rem(left.len()).unwrap_or(0);
        left.keys()
            .cycle()
            .skip(first)
            .take(most.min(left.len()))
            .copied()
            .collect()
    }

    /// Begins a new segment where the present one is long, old or damaged, or not empty and the `last`. Says whether there
    /// are older ones to be removed, see [`CommitLog::turned`]. Blocks.
    ///
    /// # Errors
    ///
    /// Faults of the disk; the present segment stays.
    pub(crate) fn turn(&self, last: bool) -> Result<bool, StoreError> {
        let failed = self.shared.synced.borrow().failed;
        let (number, due) = {
            let segment = self.shared.file.lock();
            let old = segment.length > 0 && (last || segment.since.elapsed() >= AGE);
            (
                segment.number.saturating_add(1),
                failed == Some(segment.number) || old || segment.length >= SEGMENT,
            )
        };
        if due {
            self.shared.begin(number)?;
        }
        Ok(!self.shared.file.lock().old.is_empty())
    }

    /// Removes the older segments. To be called once every tenant that was open when they ended has a file that is
    /// synced and holds its notes in them; those of tenants that were never opened are carried over. Blocks.
    ///
    /// # Errors
    ///
    /// Faults of the disk; the older segments stay.
    pub(crate) fn turned(&self) -> Result<(), StoreError> {
        if self.shared.kept.load(Ordering::Acquire) {
            return Ok(());
        }
        self.shared.carry_over()?;
        let (old, number) = {
            let segment = &mut *self.shared.file.lock();
            (std::mem::take(&mut segment.old), segment.number)
        };
        // what the damaged segment held is safe elsewhere now
        self.shared.synced.send_if_modified(|state| {
            let over = state.failed.is_some_and(|failed| failed < number);
            if over {
                state.failed = None;
            }
            over
        });
        for path in &old {
            match fs::remove_file(path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    self.shared.file.lock().old.push(path.clone());
                    return Err(error.into());
                }
                _ => {}
            }
        }
        Ok(())
    }
}

impl Drop for CommitLog {
    fn drop(&mut self) {
        self.shared.wanted.lock().closed = true;
        self.shared.wish.notify_one();
        if let Some(thread) = self.syncing.take() {
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn append(&self, put: impl FnOnce(&mut Vec<u8>)) -> Place {
        let unwritten = &mut *self.unwritten.lock();
        let before = unwritten.lines.len();
        put(&mut unwritten.lines);
        unwritten.count = unwritten.count.saturating_add(1);
        let more = unwritten.lines.len().saturating_sub(before);
        unwritten.end = unwritten.end.saturating_add(more as u64);
        unwritten.end
    }

    fn write(&self, place: Place) -> Result<(), StoreError> {
        if self.written.load(Ordering::Acquire) >= place {
            return Ok(());
        }
        let segment = &mut *self.file.lock();
        // somebody else may have taken it along
        if self.written.load(Ordering::Acquire) >= place {
            return Ok(());
        }
        self.write_to(segment)
    }

    fn write_to(&self, segment: &mut Segment) -> Result<(), StoreError> {
        let Unwritten { lines, count, end } = {
            let mut unwritten = self.unwritten.lock();
            let end = unwritten.end;
            std::mem::replace(
                &mut *unwritten,
                Unwritten {
                    end,
                    ..Unwritten::default()
                },
            )
        };
        let wrote = segment.file.write_all_at(&lines, segment.length);
        self.failing.store(wrote.is_err(), Ordering::Release);
        match wrote {
            Ok(()) => {
                segment.length = segment.length.saturating_add(lines.len() as u64);
                self.written.store(end, Ordering::Release);
                self.reuse(lines);
                Ok(())
            }
            Err(error) => {
                let mut unwritten = self.unwritten.lock();
                let later = std::mem::replace(&mut unwritten.lines, lines);
                unwritten.lines.extend_from_slice(&later);
                unwritten.count = unwritten.count.saturating_add(count);
                Err(error.into())
            }
        }
    }

    /// Gives the room of what was written to what will be, unless somebody has begun already.
    fn reuse(&self, mut lines: Vec<u8>) {
        const ROOM: usize = 256 << 10;
        let mut unwritten = self.unwritten.lock();
        if unwritten.lines.capacity() == 0 && lines.capacity() <= ROOM {
            lines.clear();
            unwritten.lines = lines;
        }
    }

    /// The syncing thread.
    fn serve(&self) {
        let mut last: Option<Instant> = None;
        loop {
            {
                let mut wanted = self.wanted.lock();
                while !wanted.closed && wanted.place <= self.synced.borrow().place {
                    self.wish.wait(&mut wanted);
                }
                if wanted.closed && wanted.place <= self.synced.borrow().place {
                    return;
                }
            }
            if let Some(early) = last.and_then(|last| APART.checked_sub(last.elapsed())) {
                std::thread::sleep(early);
            }
            last = Some(Instant::now());
            self.sync();
        }
    }

    fn sync(&self) {
        let (files, place, number) = {
            let segment = &mut *self.file.lock();
            let mut files = std::mem::take(&mut segment.unsynced);
            files.push(Arc::clone(&segment.file));
            (files, self.written.load(Ordering::Acquire), segment.number)
        };
        let synced = files.iter().try_for_each(|file| file.sync_data());
        if let Err(error) = &synced {
            tracing::error!(%error, "the commit log failed to sync; calls are refused until its next segment");
        }
        let mut reached = place;
        self.synced.send_modify(|state| {
            if synced.is_err() {
                state.failed = Some(number);
            }
            if state.failed.is_none() {
                state.place = place;
            }
            reached = state.place;
        });
        if reached < place {
            // nobody is to wait for what will not come
            self.wanted.lock().place = reached;
        }
    }

    fn begin(&self, number: u64) -> Result<(), StoreError> {
        let (path, file) = segments::make(&self.folder, number)?;
        let segment = &mut *self.file.lock();
        // what waits belongs to the old one, if it takes it
        let _ = self.write_to(segment);
        let old = std::mem::replace(&mut segment.file, Arc::new(file));
        if self.synced.borrow().failed.is_none() {
            segment.unsynced.push(old);
        }
        segment.old.push(std::mem::replace(&mut segment.path, path));
        segment.number = number;
        segment.length = 0;
        segment.since = Instant::now();
        Ok(())
    }

    /// Appends what an earlier process left of tenants that nobody opened, and waits until it is synced.
    fn carry_over(&self) -> Result<(), StoreError> {
        let mut place = 0;
        {
            let left = self.left.lock();
            for (tenant, notes) in &*left {
                for note in notes {
                    place = self.append(|lines| {
                        line::write(lines, *tenant, note.begun, &note.record.canonical());
                    });
                }
            }
        }
        if place > 0 {
            self.write(place)?;
            let file = Arc::clone(&self.file.lock().file);
            file.sync_data().map_err(|_| failed_sync())?;
        }
        Ok(())
    }
}

fn failed_sync() -> StoreError {
    StoreError::Failed("the commit log could not be synced".to_owned())
}
