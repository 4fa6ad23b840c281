//! The closed list of event kinds (`FORMAT.md` section 4.3).
//!
//! A kind says what an event is about without saying anything about a person. The list only grows; a text form
//! is never reused for another meaning.

use std::fmt;
use std::str::FromStr;

use crate::error::DecodeError;

macro_rules! kinds {
    ($( $(#[$doc:meta])* $name:ident = $text:literal, )+) => {
        /// What an event records; stored as text in the event core.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Kind { $( $(#[$doc])* $name, )+ }

        impl Kind {
            /// Every kind, in the order of `FORMAT.md`.
            pub const ALL: &'static [Self] = &[ $( Self::$name, )+ ];

            /// Returns the text form, as stored in the event core.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $( Self::$name => $text, )+ }
            }
        }

        impl FromStr for Kind {
            type Err = DecodeError;

            fn from_str(text: &str) -> Result<Self, DecodeError> {
                match text {
                    $( $text => Ok(Self::$name), )+
                    _ => Err(DecodeError::UnknownKind { found: text.chars().take(40).collect() }),
                }
            }
        }
    };
}

kinds! {
    /// A message from a customer (`messages[]` of any content type not listed below).
    WhatsappMessage = "whatsapp.message",
    /// A message sent in the Business app or a companion (`message_echoes[]`).
    WhatsappEcho = "whatsapp.echo",
    /// A delivery status of an outbound message (`statuses[]`).
    WhatsappStatus = "whatsapp.status",
    /// A message from the history synchronisation (`history[].threads[].messages[]`), or its refusal.
    WhatsappHistory = "whatsapp.history",
    /// A contact added, edited or removed in the Business app (`state_sync[]`).
    WhatsappContact = "whatsapp.contact",
    /// A customer's edit of an earlier message.
    WhatsappEdit = "whatsapp.edit",
    /// A customer's deletion for everyone of an earlier message.
    WhatsappRevoke = "whatsapp.revoke",
    /// A customer's reaction, or its removal.
    WhatsappReaction = "whatsapp.reaction",
    /// A system notice in a conversation, such as a changed number.
    WhatsappSystem = "whatsapp.system",
    /// A customer's choice about marketing messages (`user_preferences[]`).
    WhatsappPreference = "whatsapp.preference",
    /// A template's status, quality, category or components changed.
    WhatsappTemplate = "whatsapp.template",
    /// Account, phone number, security, capability, review or user name changes.
    WhatsappAccount = "whatsapp.account",
    /// A call, its recording or transcript.
    WhatsappCall = "whatsapp.call",
    /// A group's life cycle, participants, settings or status.
    WhatsappGroup = "whatsapp.group",
    /// A Flow's status or endpoint health.
    WhatsappFlow = "whatsapp.flow",
    /// A payment configuration change.
    WhatsappPayment = "whatsapp.payment",
    /// A conversation that another sender or the AI agent owns (`standby`).
    WhatsappStandby = "whatsapp.standby",
    /// Control of a conversation passed between senders (`messaging_handovers`).
    WhatsappHandover = "whatsapp.handover",
    /// A person's business-scoped user id changed (`user_id_update[]`).
    WhatsappIdentity = "whatsapp.identity",
    /// An out-of-band error (`value.errors[]`).
    WhatsappError = "whatsapp.error",
    /// A WhatsApp webhook with a known envelope and a field that has no kind of its own; archived whole.
    WhatsappOther = "whatsapp.other",
    /// The skeleton of a delivery that was cut into several items.
    Delivery = "delivery",
    /// An authenticated body that could not be read; archived whole.
    Unrecognised = "unrecognised",
    /// A person agreed to receive messages (any channel).
    ConsentGiven = "consent.given",
    /// A person withdrew an agreement.
    ConsentWithdrawn = "consent.withdrawn",
    /// A person declined when asked.
    ConsentRefused = "consent.refused",
    /// An agreement ended by its own terms.
    ConsentExpired = "consent.expired",
    /// The full definition of a template as it stood at a time.
    TemplateSnapshot = "template.snapshot",
    /// Somebody searched.
    AccessSearch = "access.search",
    /// Somebody looked at an event, its bytes or a conversation.
    AccessView = "access.view",
    /// Somebody exported.
    AccessExport = "access.export",
    /// Somebody verified the ledger through the archive.
    AccessVerify = "access.verify",
    /// An access token was created or revoked.
    AccessToken = "access.token",
    /// The configuration or the policy set changed.
    ConfigChanged = "config.changed",
    /// The ledger's signing key was replaced.
    KeyRotated = "key.rotated",
    /// A disposal was ordered; names every object that goes, with the reason.
    DisposalOrdered = "disposal.ordered",
    /// An ordered disposal was carried out.
    DisposalCompleted = "disposal.completed",
    /// The ledger was created; always event 0.
    LedgerOpened = "ledger.opened",
    /// A writer started on the ledger.
    LedgerStarted = "ledger.started",
    /// A piece of an attachment, in order; the pieces of one attachment are committed before the event that names them.
    MediaPart = "media.part",
    /// An attachment is complete: which message it belongs to, its pieces, its digest as declared and as found.
    MediaCaptured = "media.captured",
    /// An attachment could not be had for good, with the reason.
    MediaUnavailable = "media.unavailable",
    /// The text of an attachment, or why there is none; taken out by the archive for searching.
    MediaText = "media.text",
    /// A request to send through the API, as handed to the proxy or to the journal.
    SendRequested = "send.requested",
    /// The answer to such a request.
    SendAnswered = "send.answered",
    /// A message brought in from an export of another system; weaker evidence than a capture.
    ImportMessage = "import.message",
    /// An import ended: its source, how many items it brought and how many were known.
    ImportCompleted = "import.completed",
    /// What the platform answered when asked about subscriptions, numbers or their health.
    AccountObserved = "account.observed",
    /// A business number was given to an employee, or taken back, from a date.
    AssignmentRecorded = "assignment.recorded",
    /// A device management system reported an enrolled, wiped or unreachable phone.
    DeviceReported = "device.reported",
    /// The capture was alive in an interval: what was received in it, by number.
    CoverageHeartbeat = "coverage.heartbeat",
    /// A number's capture opened, closed or was degraded, with the cause.
    CoverageChanged = "coverage.changed",
    /// The findings of a day: sends against consent, template or window, and gaps.
    FindingReported = "finding.reported",
    /// Every object was read again: how many were sound, damaged and missing.
    StoreScrubbed = "store.scrubbed",
    /// A damaged or missing object was restored from the other store.
    StoreRepaired = "store.repaired",
    /// The second store fell behind by more than the limit.
    ReplicaBehind = "replica.behind",
    /// The second store holds everything again.
    ReplicaCaughtUp = "replica.caught-up",
    /// The host's clock went back, or far ahead.
    ClockJumped = "clock.jumped",
}

impl Kind {
    /// Whether events of this kind are the archive's own and name no person, so that their payload is stored in
    /// clear and whoever verifies without keys can read it.
    #[must_use]
    pub const fn is_clear(self) -> bool {
        matches!(
            self,
            Self::ConfigChanged
                | Self::KeyRotated
                | Self::DisposalOrdered
                | Self::DisposalCompleted
                | Self::LedgerOpened
                | Self::LedgerStarted
                | Self::StoreScrubbed
                | Self::StoreRepaired
                | Self::ReplicaBehind
                | Self::ReplicaCaughtUp
                | Self::ClockJumped
        )
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_reads_back_from_its_text() {
        for kind in Kind::ALL {
            assert_eq!(kind.as_str().parse::<Kind>(), Ok(*kind));
        }
        assert!("whatsapp.nothing".parse::<Kind>().is_err());
    }
}
