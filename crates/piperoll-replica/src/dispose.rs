//! Disposals on the replica: what was ordered to go goes there too, once the order is in the copied log.

use piperoll_format::{DisposalOrder, ObjectName, Seq};
use piperoll_store::StoreError;
use piperoll_verify::LedgerReader;

use crate::copy::Copier;
use crate::error::{ReplicaError, Side};

impl Copier {
    /// Destroys on the replica what the order at `seq` names.
    ///
    /// # Errors
    /// [`ReplicaError`] when a store does not answer: then it is repeated. What the replica refuses is kept and tried
    /// again with every pass.
    pub(crate) async fn carry_out(&mut self, seq: Seq) -> Result<(), ReplicaError> {
        let order = match self.read_order(seq).await? {
            Ok(order) => order,
            Err(reason) => {
                self.report(format!("the disposal order {seq} cannot be read: {reason}"));
                return Ok(());
            }
        };
        for (text, _) in order.objects {
            let Ok(name @ (ObjectName::Pack { .. } | ObjectName::Keys { .. })) = ObjectName::parse(&text)
            else {
                let what = "which is no pack or key object";
                self.report(format!("the disposal order {seq} names `{text}`, {what}"));
                continue;
            };
            self.destroy(&name).await?;
        }
        Ok(())
    }

    /// Tries again what the replica refused before.
    pub(crate) async fn retry_left(&mut self) -> Result<(), ReplicaError> {
        for text in self.left.keys().cloned().collect::<Vec<_>>() {
            let name = ObjectName::parse(&text).expect("only names of the format are kept");
            self.destroy(&name).await?;
        }
        Ok(())
    }

    async fn destroy(&mut self, name: &ObjectName) -> Result<(), ReplicaError> {
        match self.replica.store.delete(&self.replica.key(name)).await {
            Ok(()) | Err(StoreError::NotFound { .. }) => {
                self.left.remove(&name.to_string());
                Ok(())
            }
            Err(error @ (StoreError::Retained { .. } | StoreError::Denied { .. })) => {
                let (object, reason) = (name.to_string(), error.to_string());
                if self.left.insert(object.clone(), reason.clone()).is_none() {
                    tracing::warn!(object, reason, "the replica keeps an object that was disposed of");
                }
                Ok(())
            }
            Err(error) => Err(self.replica.failed(error)),
        }
    }

    /// Reads an order from the copy; the inner error says why it is none.
    async fn read_order(&self, seq: Seq) -> Result<Result<DisposalOrder, String>, ReplicaError> {
        let side = Side::Replica;
        let reader = LedgerReader::open(self.pair.replica.clone(), self.pair.ledger).await;
        let reader = reader.map_err(|source| ReplicaError::Read { side, source })?;
        let read = reader.read(seq).await.map_err(|source| ReplicaError::Read { side, source })?;
        let opened = match read.payload {
            Ok(opened) => opened,
            Err(source @ piperoll_verify::ReadError::Store(_)) => {
                return Err(ReplicaError::Read { side, source });
            }
            Err(error) => return Ok(Err(error.to_string())),
        };
        let Some(document) = opened.payload.parts.first() else {
            return Ok(Err("it has no document".to_owned()));
        };
        Ok(DisposalOrder::decode(document).map_err(|error| error.to_string()))
    }
}
