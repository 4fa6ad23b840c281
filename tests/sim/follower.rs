//! A reader that follows the ledger by its number, and goes on from its cursor when it dies.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use piperoll_format::{Kek, Seq};
use piperoll_tests::KEK;
use piperoll_verify::{LedgerReader, ReadError, StoreKeys};
use tokio::time::sleep;

use crate::process::FOR_EVER;
use crate::world::World;

/// Follows the ledger until the world is over and everything was seen.
pub(crate) async fn follow(world: &World, number: usize) {
    for life in 0.. {
        let operations = i64::try_from(world.random.below(150)).unwrap();
        let life_time = if life == 0 && world.random.chance(50) { operations } else { FOR_EVER };
        let link = Arc::new(world.link(&format!("follower-{number}.{life}"), life_time));
        let died = link.died.clone();
        let is_done = tokio::select! {
            biased;
            () = died.notified() => false,
            () = read_on(world, number, link) => true,
        };
        if is_done {
            return;
        }
    }
}

async fn read_on(world: &World, number: usize, link: Arc<crate::link::Link>) {
    let keys = Arc::new(StoreKeys::new(link.clone(), world.archive.ledger(), Kek::new(KEK)));
    let reader = loop {
        match LedgerReader::open(link.clone(), world.archive.ledger()).await {
            Ok(reader) => break reader.with_keys(keys),
            Err(error) => pause(world, &error).await,
        }
    };
    loop {
        let was_over = world.is_over();
        match advance(world, number, &reader).await {
            Ok(()) if was_over && world.weather.faults_percent.load(Ordering::SeqCst) == 0 => {
                // Writers that were closing may have committed a last time.
                sleep(Duration::from_secs(5)).await;
                while advance(world, number, &reader).await.is_err() {}
                return;
            }
            Ok(()) => sleep(world.random.millis(40)).await,
            Err(error) => pause(world, &error).await,
        }
    }
}

/// Reads what is new.
async fn advance(world: &World, number: usize, reader: &LedgerReader) -> Result<(), ReadError> {
    let head = reader.refresh().await?;
    let cursor = world.seen.lock().unwrap().entry(number).or_default().len() as u64;
    for seq in cursor..head.map_or(0, |head| head.size) {
        let read = reader.read(Seq(seq)).await?;
        match &read.payload {
            Ok(_) => {}
            Err(error) if error.is_destroyed() => {}
            // The reader knows the ledger's time up to its head only, and may be behind the order to destroy it.
            Err(ReadError::Missing { object }) if object.contains("/brief/") => {}
            Err(ReadError::Store(_)) => return Ok(()),
            Err(error) => panic!("event {seq}: {error}"),
        }
        let seen = (read.event.core.seq.0, read.event.leaf_hash().0);
        world.seen.lock().unwrap().entry(number).or_default().push(seen);
    }
    Ok(())
}

async fn pause(world: &World, error: &ReadError) {
    assert!(matches!(error, ReadError::Store(_)), "{error:?}");
    sleep(world.random.millis(30)).await;
}
