//! Coverage: what each business number's capture was like over time, what is missing, and why.
//!
//! Facts come from notices of the platform, from what was asked of it, from the archive's own heartbeat, and from every
//! item that arrived. What was the case is computed from them by pure functions, so a late notice falls into its time.

mod account;
mod beat;
mod callback;
mod counted;
mod fold;
mod history;
mod interval;
mod older;
mod query;
mod reference;
mod rhythm;
mod signal;
mod words;

#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

pub use beat::{DOWNTIME_CERTAIN, DOWNTIME_MIN};
pub use interval::{Interval, Span, intervals};
pub use older::Older;
pub use query::{Canary, Coverage, CoverageOptions, KnownNumber, Missing};
pub use rhythm::{SILENCE_EXPECTED_MIN, UNOPENED_LOST, UNOPENED_WARNING};
pub use words::NEVER_DELIVERED;

pub(crate) use fold::fold;

/// How complete the capture of a number is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Everything that the platform delivers arrives, as far as can be told.
    Open,
    /// Something is missing or may be missing.
    Degraded,
    /// Nothing arrives.
    Closed,
}

impl State {
    /// Returns the stored text form.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Degraded => "degraded",
            Self::Closed => "closed",
        }
    }
}

macro_rules! causes {
    ($( $(#[$doc:meta])* $name:ident = $text:literal, $certain:literal, )+) => {
        /// Why a number's capture has the state it has, or why something is missing. The list only grows.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum Cause { $( $(#[$doc])* $name, )+ }

        impl Cause {
            /// Every cause.
            pub const ALL: &'static [Self] = &[ $( Self::$name, )+ ];

            /// Returns the stored text form.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $( Self::$name => $text, )+ }
            }

            /// Whether something is certainly missing, and not only perhaps.
            #[must_use]
            pub const fn is_certain(self) -> bool {
                match self { $( Self::$name => $certain, )+ }
            }
        }
    };
}

causes! {
    /// The number was connected, or its first message arrived.
    Onboarded = "onboarded", false,
    /// The number was connected again.
    Reconnected = "reconnected", false,
    /// Nothing is known before this: the number was not connected.
    NotConnected = "not-connected", true,
    /// The business, or WhatsApp, ended the connection.
    Disconnected = "disconnected", true,
    /// The phone was changed or the app installed again; the number is expected back.
    Offboarded = "offboarded", true,
    /// WhatsApp ended the connection because the phone was not used for about 14 days.
    PrimaryInactivity = "primary-inactivity", true,
    /// WhatsApp ended the connection because a companion was not used for about 30 days.
    CompanionInactivity = "companion-inactivity", true,
    /// The business went back to the plain app.
    BusinessDowngrade = "business-downgrade", true,
    /// The phone's number was changed.
    NumberChanged = "number-changed", true,
    /// The account was deleted.
    AccountDeleted = "account-deleted", true,
    /// The account is disabled.
    AccountDisabled = "account-disabled", true,
    /// The account will be disabled.
    AccountToBeDisabled = "account-to-be-disabled", false,
    /// The account may not do everything.
    AccountRestricted = "account-restricted", false,
    /// The number is not in a state in which it sends or receives.
    NumberNotConnected = "number-not-connected", true,
    /// The number left the Business app, so nothing written in the app arrives.
    NotOnBusinessApp = "not-on-business-app", true,
    /// The platform refuses to answer for this number: a permission or token was lost.
    PermissionLost = "permission-lost", false,
    /// No app is subscribed to the account.
    SubscriptionMissing = "subscription-missing", true,
    /// Webhooks go to another address than before.
    CallbackChanged = "callback-changed", false,
    /// Webhooks go to an address that is not the archive's.
    CallbackForeign = "callback-foreign", true,
    /// The phone was wiped.
    DeviceWiped = "device-wiped", false,
    /// The phone cannot be reached by its management.
    DeviceOffline = "device-offline", false,
    /// The archive did not run, for longer than WhatsApp repeats.
    DowntimeLost = "downtime-lost", true,
    /// The archive did not run; what WhatsApp repeats may have made up for it.
    Downtime = "downtime", false,
    /// Far less arrived than is usual for the number.
    Silence = "silence", false,
    /// The Business app was not opened for 10 days; WhatsApp disconnects after 14.
    PhoneUnopened = "phone-unopened", false,
    /// The Business app was not opened for 14 days.
    PhoneUnopenedLost = "phone-unopened-lost", true,
    /// The expected test message did not come.
    CanaryMissing = "canary-missing", false,
    /// The business declined to share the history.
    HistoryDeclined = "history-declined", true,
    /// Pieces of the history are missing.
    HistoryIncomplete = "history-incomplete", true,
    /// Attachments of the history never followed.
    HistoryMedia = "history-media", true,
    /// Requests to send, or their answers, that went through the archive while nothing could be stored.
    SendNotArchived = "send-not-archived", true,
    /// WhatsApp lists messages whose content is not here.
    ListedNotCaptured = "listed-not-captured", true,
    /// WhatsApp counted more messages than are here.
    CountedMore = "counted-more", false,
    /// A delivery status for a message whose content is not here.
    OrphanStatus = "orphan-status", true,
    /// A read receipt for a message that was never reported as sent.
    ReadWithoutSent = "read-without-sent", true,
    /// An answer, edit, deletion or reaction to a message that is not here.
    DanglingReference = "dangling-reference", true,
    /// WhatsApp says that a message came and does not deliver its content.
    Unsupported = "unsupported", true,
    /// An attachment could not be fetched.
    MediaUnavailable = "media-unavailable", true,
    /// An attachment was neither fetched nor given up.
    MediaNotFetched = "media-not-fetched", false,
}

/// Microseconds in an hour.
pub(crate) const HOUR: i64 = 3_600_000_000;

/// Microseconds in a day.
pub(crate) const DAY: i64 = 24 * HOUR;
