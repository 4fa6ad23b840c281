//! One test per property of the port, to be run for every adapter.
//!
//! Each function takes a [`Fixture`] and panics if the property does not hold. The functions can share one
//! store: each works below a prefix of its own. [`crate::conformance_tests`] makes a test of each.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use tokio::task::JoinHandle;

use crate::clock::{Clock, ManualClock};
use crate::error::StoreError;
use crate::key::ObjectKey;
use crate::port::{Lock, LockMode, LockStatus, WormStore};

/// How long a lock lasts that a test waits out, in µs. A clock that runs by itself really waits.
const SHORT_MICROS: u64 = 5_000_000;

/// How long a lock lasts that outlives every test but not the test store by much, in µs.
const LONG_MICROS: u64 = 600_000_000;

/// How many tasks race for one key.
const RACERS: usize = 32;

/// The properties with what they say, in the order of [`crate::conformance_tests`].
pub const PROPERTIES: [(&str, &str); 17] = [
    ("created_object_is_immutable", "what was created is what is read, and no other call changes it"),
    ("second_create_is_refused", "a second create is refused, also with the same bytes"),
    ("racing_creates_have_one_winner", "of 32 tasks that create one key, exactly one wins"),
    ("retained_object_cannot_be_deleted", "a retained object stays until its time"),
    ("retention_is_only_extended", "retention grows and never shrinks"),
    ("hold_blocks_delete", "a hold blocks deletion until it is released"),
    ("expired_object_can_be_deleted", "when retention has ended, the object can be deleted"),
    ("ranged_reads_are_exact", "a ranged read gives exactly the range or an error"),
    ("listing_is_ordered_and_paged", "a listing follows the bytes of the keys, and pages add up"),
    ("folders_are_listed_once", "what keys have in common up to a slash is listed once and in order"),
    ("derived_objects_can_be_replaced", "derived objects are replaced, listed and deleted"),
    ("derived_cannot_replace_locked", "a derived object cannot take the place of a locked one"),
    ("missing_object_is_not_found", "what is not there is not found, by every operation"),
    ("head_reports_the_lock", "head and listing report the lock that was asked for"),
    ("empty_object_is_kept", "an object may be empty"),
    ("large_object_is_kept", "an object of 8 MB comes back whole and in parts"),
    ("probe_passes", "the probe passes, twice in a row"),
];

/// Returns when the store's clock has reached a time in µs since the Unix epoch.
pub type WaitUntil = Box<dyn Fn(u64) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>;

/// A store to test.
pub struct Fixture {
    /// The store.
    pub store: Arc<dyn WormStore>,
    /// The clock by which it judges retention.
    pub clock: Arc<dyn Clock>,
    /// Put before every key; ends in `/` or is empty. Stores that outlive the test need a fresh one.
    pub prefix: String,
    /// Waits for that clock, or moves it.
    pub wait_until: WaitUntil,
}

impl Fixture {
    /// Makes a fixture for an empty store whose clock the test moves.
    pub fn with_manual_clock(store: Arc<dyn WormStore>, clock: Arc<ManualClock>) -> Self {
        let moved = Arc::clone(&clock);
        let wait_until: WaitUntil = Box::new(move |micros| {
            moved.set(micros);
            Box::pin(std::future::ready(()))
        });
        Self { store, clock, prefix: String::new(), wait_until }
    }

    fn key(&self, name: &str) -> ObjectKey {
        ObjectKey::new(format!("{}{name}", self.prefix)).expect("conformance tests spell valid keys")
    }

    /// Returns a time that is `micros` µs ahead.
    fn ahead(&self, micros: u64) -> u64 {
        self.clock.now_micros() + micros
    }

    async fn create(&self, name: &str, bytes: &[u8], lock: Lock) -> ObjectKey {
        let key = self.key(name);
        let created = self.store.create(&key, Bytes::copy_from_slice(bytes), &lock).await;
        created.unwrap_or_else(|error| panic!("`{key}` is a fresh key: {error:?}"));
        key
    }

    async fn lock(&self, key: &ObjectKey) -> LockStatus {
        self.store.head(key).await.unwrap_or_else(|error| panic!("`{key}` has a lock: {error:?}")).lock
    }

    #[track_caller]
    fn expect_bytes(&self, found: Result<Bytes, StoreError>, expected: &[u8]) {
        let found = found.unwrap_or_else(|error| panic!("the object can be read: {error:?}"));
        assert!(found == expected, "expected {} bytes, found {} others", expected.len(), found.len());
    }
}

impl fmt::Debug for Fixture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fixture")
            .field("store", &self.store)
            .field("prefix", &self.prefix)
            .finish_non_exhaustive()
    }
}

/// Panics unless `$result` is an error of the given variant.
macro_rules! expect_error {
    ($result:expr, $variant:ident) => {
        match $result {
            Err(StoreError::$variant { .. }) => {}
            other => panic!("expected {}, found {other:?}", stringify!($variant)),
        }
    };
}

/// What was created is what is read, and no other call of the port changes it.
pub async fn created_object_is_immutable(fixture: &Fixture) {
    let store = &fixture.store;
    let key = fixture.create("immutable/a", b"first", Lock::until(fixture.ahead(LONG_MICROS))).await;
    expect_error!(store.create(&key, Bytes::from_static(b"second"), &Lock::NONE).await, AlreadyExists);
    expect_error!(store.put_derived(&key, Bytes::from_static(b"third")).await, Retained);
    expect_error!(store.delete_derived(&key).await, Retained);
    expect_error!(store.delete(&key).await, Retained);
    fixture.expect_bytes(store.get(&key).await, b"first");
    assert_eq!(store.head(&key).await.map(|meta| meta.size).ok(), Some(5));
}

/// A second create is refused, also with the same bytes, and leaves the lock alone.
pub async fn second_create_is_refused(fixture: &Fixture) {
    let store = &fixture.store;
    let until = fixture.ahead(LONG_MICROS);
    let key = fixture.create("second/a", b"same", Lock::until(until)).await;
    let held_longer = Lock { retain_until: Some(until + 1_000_000), hold: true };
    expect_error!(store.create(&key, Bytes::from_static(b"same"), &held_longer).await, AlreadyExists);
    let lock = fixture.lock(&key).await;
    assert_eq!((lock.retain_until, lock.hold), (Some(until), false));
}

/// Of many tasks that create one key, one wins, and its bytes stay.
pub async fn racing_creates_have_one_winner(fixture: &Fixture) {
    // Two rounds at once: a service may let those who race for one key wait in turn, SeaweedFS for a second each.
    for first in [0, 2] {
        let rounds = [race(fixture, first), race(fixture, first + 1)];
        for (key, racers) in rounds {
            one_winner(fixture, &key, racers).await;
        }
    }
}

async fn one_winner(fixture: &Fixture, key: &ObjectKey, racers: Vec<JoinHandle<Result<(), StoreError>>>) {
    let mut winners = Vec::new();
    for (racer, task) in racers.into_iter().enumerate() {
        match task.await.expect("a create does not panic") {
            Ok(()) => winners.push(racer),
            Err(StoreError::AlreadyExists { .. }) => {}
            Err(error) => panic!("expected success or AlreadyExists, found {error:?}"),
        }
    }
    let [winner] = winners[..] else { panic!("expected one winner, found {winners:?}") };
    fixture.expect_bytes(fixture.store.get(key).await, &race_bytes(winner));
    assert_eq!(fixture.lock(key).await.hold, winner % 2 == 0, "the hold is the winner's");
    fixture.store.set_hold(key, false).await.expect("the hold can be released");
}

/// Starts the creates of one key.
fn race(fixture: &Fixture, round: usize) -> (ObjectKey, Vec<JoinHandle<Result<(), StoreError>>>) {
    let key = fixture.key(&format!("race/{round}"));
    let racers = (0..RACERS).map(|racer| {
        let (store, key) = (Arc::clone(&fixture.store), key.clone());
        let lock = Lock { retain_until: None, hold: racer % 2 == 0 };
        tokio::spawn(async move { store.create(&key, race_bytes(racer), &lock).await })
    });
    (key.clone(), racers.collect())
}

fn race_bytes(racer: usize) -> Bytes {
    format!("racer {racer} ").repeat(1_000).into()
}

/// A retained object stays until its time.
pub async fn retained_object_cannot_be_deleted(fixture: &Fixture) {
    let until = fixture.ahead(LONG_MICROS);
    let key = fixture.create("retained/a", b"kept", Lock::until(until)).await;
    match fixture.store.delete(&key).await {
        Err(StoreError::Retained { until: found, .. }) => assert_eq!(found, Some(until)),
        other => panic!("expected Retained, found {other:?}"),
    }
    fixture.expect_bytes(fixture.store.get(&key).await, b"kept");
}

/// Retention grows and never shrinks; the same date again changes nothing; an unretained object can
/// become retained.
pub async fn retention_is_only_extended(fixture: &Fixture) {
    let store = &fixture.store;
    let until = fixture.ahead(LONG_MICROS);
    let key = fixture.create("extended/a", b"x", Lock::until(until)).await;
    expect_error!(store.extend_retention(&key, until - 1_000_000).await, Retained);
    store.extend_retention(&key, until).await.expect("the same date is accepted");
    assert_eq!(fixture.lock(&key).await.retain_until, Some(until));
    store.extend_retention(&key, until + 1_000_000).await.expect("a later date is accepted");
    assert_eq!(fixture.lock(&key).await.retain_until, Some(until + 1_000_000));
    expect_error!(store.extend_retention(&key, until).await, Retained);
    expect_error!(store.delete(&key).await, Retained);
    fixture.expect_bytes(store.get(&key).await, b"x");

    let unlocked = fixture.create("extended/b", b"y", Lock::NONE).await;
    store.extend_retention(&unlocked, until).await.expect("an unretained object can be retained");
    expect_error!(store.delete(&unlocked).await, Retained);
}

/// A hold blocks deletion whatever the retention, until it is released.
pub async fn hold_blocks_delete(fixture: &Fixture) {
    let store = &fixture.store;
    let born_held = fixture.create("hold/a", b"x", Lock { retain_until: None, hold: true }).await;
    let held_later = fixture.create("hold/b", b"y", Lock::NONE).await;
    for _ in 0..2 {
        store.set_hold(&held_later, true).await.expect("a hold can be placed, also again");
    }
    for key in [&born_held, &held_later] {
        assert!(fixture.lock(key).await.hold);
        expect_error!(store.delete(key).await, Retained);
        for _ in 0..2 {
            store.set_hold(key, false).await.expect("a hold can be released, also again");
        }
        assert!(!fixture.lock(key).await.hold);
        store.delete(key).await.expect("nothing keeps it any longer");
        expect_error!(store.get(key).await, NotFound);
    }
}

/// When retention has ended, the object can be deleted, and its key is free again.
pub async fn expired_object_can_be_deleted(fixture: &Fixture) {
    let store = &fixture.store;
    let until = fixture.ahead(SHORT_MICROS);
    let key = fixture.create("expired/a", b"x", Lock::until(until)).await;
    expect_error!(store.delete(&key).await, Retained);
    (fixture.wait_until)(until).await;
    fixture.expect_bytes(store.get(&key).await, b"x");
    store.delete(&key).await.expect("its retention has ended");
    expect_error!(store.get(&key).await, NotFound);
    expect_error!(store.delete(&key).await, NotFound);
    fixture.create("expired/a", b"again", Lock::NONE).await;
}

/// A ranged read gives exactly the range, or an error if the object is too short.
pub async fn ranged_reads_are_exact(fixture: &Fixture) {
    let store = &fixture.store;
    let key = fixture.create("range/a", b"0123456789", Lock::NONE).await;
    for range in [0..10, 0..1, 3..7, 9..10, 0..0, 10..10] {
        let positions =
            usize::try_from(range.start).expect("small")..usize::try_from(range.end).expect("small");
        fixture.expect_bytes(store.get_range(&key, range).await, &b"0123456789"[positions]);
    }
    let inverted = std::ops::Range { start: 7, end: 3 };
    for range in [0..11, 9..12, 11..11, 11..12, 10..u64::MAX, inverted] {
        match store.get_range(&key, range).await {
            Err(StoreError::OutOfRange { size, .. }) => assert_eq!(size, 10),
            other => panic!("expected OutOfRange, found {other:?}"),
        }
    }
}

/// Listing follows the bytes of the keys, over directories that sort between files, and pages add up.
pub async fn listing_is_ordered_and_paged(fixture: &Fixture) {
    let names = [
        "list/a",
        "list/a-b",
        "list/a.b/c",
        "list/a/b/c",
        "list/a/b/d",
        "list/a0",
        "list/b/a",
        "list/c",
        "listing",
    ];
    // Directory stores cannot hold both `list/a` and `list/a/b`.
    let names: Vec<_> = names.into_iter().filter(|name| *name != "list/a").collect();
    for name in names.iter().rev() {
        fixture.create(name, name.as_bytes(), Lock::NONE).await;
    }
    let below: Vec<_> = names.iter().copied().filter(|name| name.starts_with("list/")).collect();
    for page_size in 1..=below.len() + 1 {
        assert_eq!(list_paged(fixture, "list/", page_size).await, below, "pages of {page_size}");
    }
    assert_eq!(list_paged(fixture, "list", 100).await, names);
    assert_eq!(list_paged(fixture, "list/a/b", 100).await, ["list/a/b/c", "list/a/b/d"]);
    assert_eq!(list_paged(fixture, "list/a-", 100).await, ["list/a-b"]);
    assert!(list_paged(fixture, "list/nothing", 100).await.is_empty());
    let after = fixture.key("list/a/zzz");
    let listed = fixture.store.list(&fixture.prefix, Some(&after), 1).await.expect("a listing");
    assert_eq!(listed[0].key, fixture.key("list/a0"), "`after` need not exist");
    assert_eq!(listed[0].size, 7);
    assert!(fixture.store.list(&fixture.prefix, None, 0).await.expect("a listing").is_empty());
}

/// What keys have in common up to their next slash is listed once and in order.
pub async fn folders_are_listed_once(fixture: &Fixture) {
    for name in ["a/x/1", "a/x/2", "a/z", "a-b/y", "a0/y/1", "b/y/1", "c"] {
        fixture.create(&format!("folders/{name}"), b"1", Lock::NONE).await;
    }
    let folders = async |prefix: &str| {
        let found = fixture.store.folders(&format!("{}folders/{prefix}", fixture.prefix)).await;
        let found = found.expect("a listing of folders");
        let names = found.iter().map(|name| name[fixture.prefix.len() + "folders/".len()..].to_owned());
        names.collect::<Vec<_>>()
    };
    assert_eq!(folders("").await, ["a-b/", "a/", "a0/", "b/"]);
    assert_eq!(folders("a").await, ["a-b/", "a/", "a0/"], "a prefix may end inside a segment");
    assert_eq!(folders("a/").await, ["a/x/"]);
    assert!(folders("c").await.is_empty() && folders("nothing/").await.is_empty());
}

/// Lists everything below `prefix` in pages and returns the names without the fixture's prefix.
async fn list_paged(fixture: &Fixture, prefix: &str, page_size: usize) -> Vec<String> {
    let prefix = format!("{}{prefix}", fixture.prefix);
    let (mut names, mut after) = (Vec::new(), None);
    loop {
        let page = fixture.store.list(&prefix, after.as_ref(), page_size).await.expect("a listing");
        assert!(page.len() <= page_size);
        names.extend(page.iter().map(|meta| meta.key.as_str()[fixture.prefix.len()..].to_owned()));
        match page.last() {
            Some(last) if page.len() == page_size => after = Some(last.key.clone()),
            _ => return names,
        }
    }
}

/// Derived objects are replaced, listed, and deleted whether they are there or not.
pub async fn derived_objects_can_be_replaced(fixture: &Fixture) {
    let store = &fixture.store;
    let key = fixture.key("derived/a/checkpoint");
    store.delete_derived(&key).await.expect("nothing to delete is no failure");
    for bytes in [&b"one"[..], b"two, longer", b"", b"three"] {
        store
            .put_derived(&key, Bytes::copy_from_slice(bytes))
            .await
            .expect("derived objects are replaceable");
        fixture.expect_bytes(store.get(&key).await, bytes);
    }
    assert_eq!(fixture.lock(&key).await, LockStatus::NONE);
    assert_eq!(list_paged(fixture, "derived/", 10).await, ["derived/a/checkpoint"]);
    store.delete_derived(&key).await.expect("it can be deleted");
    expect_error!(store.get(&key).await, NotFound);
}

/// A derived object cannot take the place of a locked one.
pub async fn derived_cannot_replace_locked(fixture: &Fixture) {
    let store = &fixture.store;
    let retained = fixture.create("replace/a", b"kept", Lock::until(fixture.ahead(LONG_MICROS))).await;
    let held = fixture.create("replace/b", b"kept", Lock { retain_until: None, hold: true }).await;
    for key in [&retained, &held] {
        expect_error!(store.put_derived(key, Bytes::from_static(b"new")).await, Retained);
        expect_error!(store.delete_derived(key).await, Retained);
        fixture.expect_bytes(store.get(key).await, b"kept");
    }
    store.set_hold(&held, false).await.expect("the hold can be released");
}

/// Every operation on a key that names nothing says so, also next to keys that do.
pub async fn missing_object_is_not_found(fixture: &Fixture) {
    let store = &fixture.store;
    fixture.create("missing/dir/a", b"x", Lock::NONE).await;
    for name in ["missing/b", "missing/dir", "missing/dir/a/b", "missing/no/such/dir"] {
        let key = fixture.key(name);
        expect_error!(store.get(&key).await, NotFound);
        expect_error!(store.get_range(&key, 0..1).await, NotFound);
        expect_error!(store.head(&key).await, NotFound);
        expect_error!(store.extend_retention(&key, fixture.ahead(LONG_MICROS)).await, NotFound);
        expect_error!(store.set_hold(&key, true).await, NotFound);
        expect_error!(store.delete(&key).await, NotFound);
    }
}

/// Head and listing report the same lock, and the one that was asked for.
pub async fn head_reports_the_lock(fixture: &Fixture) {
    let until = Some(fixture.ahead(LONG_MICROS));
    let locks = [
        ("head/a", Lock { retain_until: until, hold: false }),
        ("head/b", Lock { retain_until: until, hold: true }),
        ("head/c", Lock { retain_until: None, hold: true }),
        ("head/d", Lock::NONE),
    ];
    for (name, lock) in locks {
        let key = fixture.create(name, b"123", lock).await;
        let meta = fixture.store.head(&key).await.expect("it is there");
        assert_eq!((&meta.key, meta.size), (&key, 3));
        assert_eq!((meta.lock.retain_until, meta.lock.hold), (lock.retain_until, lock.hold), "{name}");
        assert_eq!(meta.lock.mode == LockMode::None, lock == Lock::NONE, "{name}");
        let listed = fixture.store.list(key.as_str(), None, 10).await.expect("a listing");
        assert_eq!(listed.iter().map(|meta| meta.lock).collect::<Vec<_>>(), [meta.lock], "{name}");
        fixture.store.set_hold(&key, false).await.expect("the hold can be released");
    }
}

/// An object may be empty.
pub async fn empty_object_is_kept(fixture: &Fixture) {
    let key = fixture.create("empty/a", b"", Lock::until(fixture.ahead(LONG_MICROS))).await;
    fixture.expect_bytes(fixture.store.get(&key).await, b"");
    fixture.expect_bytes(fixture.store.get_range(&key, 0..0).await, b"");
    expect_error!(fixture.store.get_range(&key, 0..1).await, OutOfRange);
    expect_error!(fixture.store.create(&key, Bytes::new(), &Lock::NONE).await, AlreadyExists);
}

/// An object of 8 MB comes back whole and in parts.
pub async fn large_object_is_kept(fixture: &Fixture) {
    const SIZE: u32 = 8_000_000;
    let bytes: Vec<u8> =
        (0..SIZE / 4).flat_map(|word| word.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    let key = fixture.create("large/a", &bytes, Lock::NONE).await;
    fixture.expect_bytes(fixture.store.get(&key).await, &bytes);
    fixture.expect_bytes(
        fixture.store.get_range(&key, 7_000_001..7_000_999).await,
        &bytes[7_000_001..7_000_999],
    );
    assert_eq!(fixture.store.head(&key).await.map(|meta| meta.size).ok(), Some(u64::from(SIZE)));
}

/// A sound store passes its own probe, twice in a row.
pub async fn probe_passes(fixture: &Fixture) {
    for _ in 0..2 {
        let report = fixture.store.probe().await;
        assert!(report.is_passed() && report.checks.len() > 5, "{report:#?}");
    }
    assert!(!fixture.store.describe().statement.is_empty());
}

/// Hands the names of all properties to a macro: `$then! { $fixture => name name … }`.
#[macro_export]
macro_rules! with_properties {
    ($fixture:ident, $($then:tt)+) => {
        $($then)+! { $fixture =>
            created_object_is_immutable
            second_create_is_refused
            racing_creates_have_one_winner
            retained_object_cannot_be_deleted
            retention_is_only_extended
            hold_blocks_delete
            expired_object_can_be_deleted
            ranged_reads_are_exact
            listing_is_ordered_and_paged
            folders_are_listed_once
            derived_objects_can_be_replaced
            derived_cannot_replace_locked
            missing_object_is_not_found
            head_reports_the_lock
            empty_object_is_kept
            large_object_is_kept
            probe_passes
        }
    };
}

/// Makes one test per property. `$fixture` is a function that returns a [`Fixture`] and whatever must live
/// as long.
#[macro_export]
macro_rules! conformance_tests {
    ($fixture:ident) => {
        $crate::with_properties!($fixture, $crate::conformance_tests);
    };
    ($fixture:ident => $($property:ident)+) => {
        #[test]
        fn every_property_is_tested() {
            let tested = [$(stringify!($property)),+];
            assert_eq!(tested, $crate::conformance::PROPERTIES.map(|(name, _)| name));
        }
        $(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $property() {
            let (fixture, _guard) = $fixture();
            $crate::conformance::$property(&fixture).await;
        }
        )+
    };
}
