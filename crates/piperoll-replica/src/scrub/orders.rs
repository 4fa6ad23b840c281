//! The disposal orders that a pass comes by: they explain what is gone, and finish what the replica was to destroy.

use piperoll_format::{DisposalOrder, EventCore, Kind, ObjectName, Segment, Seq};
use piperoll_verify::LedgerReader;

use super::{Going, Scrubber, seq_at};
use crate::error::ReplicaError;
use crate::place::Place;

impl Scrubber {
    /// Takes the disposal orders of a segment into account.
    pub(super) async fn follow_orders(
        &self,
        going: &mut Going,
        segment: &Segment<'_>,
    ) -> Result<(), ReplicaError> {
        for (index, core) in segment.cores.iter().enumerate() {
            let kind = EventCore::decode(core).map(|core| core.kind);
            if matches!(kind, Ok(Kind::DisposalOrdered | Kind::DisposalCompleted)) {
                self.follow_order(going, seq_at(segment, index)).await?;
            }
        }
        Ok(())
    }

    async fn follow_order(&self, going: &mut Going, seq: Seq) -> Result<(), ReplicaError> {
        // An order that neither store can show explains nothing: what it named stays missing.
        let Some(order) = self.read_order(seq).await? else { return Ok(()) };
        if self.repairs {
            self.destroy_leftovers(&order).await?;
        }
        going.orders.push(order);
        Ok(())
    }

    /// Destroys on the replica what is gone from the primary on this order: the follower may have been stopped, or the
    /// replica may have refused then.
    async fn destroy_leftovers(&self, order: &DisposalOrder) -> Result<(), ReplicaError> {
        let Some(replica) = &self.replica else { return Ok(()) };
        for (text, _) in &order.objects {
            let Ok(name @ (ObjectName::Pack { .. } | ObjectName::Keys { .. })) = ObjectName::parse(text)
            else {
                continue;
            };
            if self.primary.head(&name).await?.is_some() || replica.head(&name).await?.is_none() {
                continue;
            }
            match replica.store.delete(&replica.key(&name)).await {
                Ok(()) => {
                    tracing::info!(object = text, "destroyed on the replica what had been ordered to go");
                }
                Err(error) => tracing::warn!(%error, "the replica keeps an object that was disposed of"),
            }
        }
        Ok(())
    }

    async fn read_order(&self, seq: Seq) -> Result<Option<DisposalOrder>, ReplicaError> {
        for place in self.sides().filter_map(|side| self.place(side)) {
            if let Some(order) = read_order(place, seq).await? {
                return Ok(Some(order));
            }
        }
        Ok(None)
    }
}

/// Reads an order in one store; `None` when it is not readable there, whatever the reason.
async fn read_order(place: &Place, seq: Seq) -> Result<Option<DisposalOrder>, ReplicaError> {
    let side = place.side;
    let reader = match LedgerReader::open(place.store.clone(), place.ledger).await {
        Ok(reader) => reader,
        Err(source @ piperoll_verify::ReadError::Store(_)) => {
            return Err(ReplicaError::Read { side, source });
        }
        Err(_) => return Ok(None),
    };
    let opened = match reader.read(seq).await.and_then(|read| read.payload) {
        Ok(opened) => opened,
        Err(source @ piperoll_verify::ReadError::Store(_)) => {
            return Err(ReplicaError::Read { side, source });
        }
        Err(_) => return Ok(None),
    };
    Ok(opened.payload.parts.first().and_then(|document| DisposalOrder::decode(document).ok()))
}
