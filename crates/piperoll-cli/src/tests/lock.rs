//! Tests of the lock and of the note about a running server.

use std::fs;

use crate::directory::{ArchiveDirectory, create_secret_directory};
use crate::error::{Exit, exit_of};
use crate::lock::{Running, WriterLock};

#[tokio::test]
async fn one_process_writes_and_tells_how_to_reach_it() {
    let dir = tempfile::tempdir().unwrap();
    let directory = ArchiveDirectory::new(dir.path());
    create_secret_directory(&directory.secrets()).unwrap();
    fs::write(directory.local_token(), "prt_x\n").unwrap();
    assert!(!WriterLock::is_held(&directory));
    let lock = WriterLock::take(&directory).await.unwrap();
    assert!(WriterLock::is_held(&directory));
    assert_eq!(Running::find(&directory).unwrap(), None, "a command holds it, no server");
    let running = Running { url: "http://127.0.0.1:1".to_owned(), pid: 7 };
    let announced = running.announce(&directory).unwrap();
    assert_eq!(Running::find(&directory).unwrap(), Some((running.clone(), "prt_x".to_owned())));
    let refused = WriterLock::take(&directory).await.unwrap_err();
    assert_eq!(exit_of(&refused), Exit::Conflict);
    drop(announced);
    assert_eq!(Running::find(&directory).unwrap(), None);
    drop(lock);
    // A process that was killed leaves its note but not its lock.
    let left = running.announce(&directory).unwrap();
    assert_eq!(Running::find(&directory).unwrap(), None);
    let lock = WriterLock::take(&directory).await.unwrap();
    assert_eq!(Running::find(&directory).unwrap(), None, "the note of the dead server is not believed");
    drop((lock, left));
}
