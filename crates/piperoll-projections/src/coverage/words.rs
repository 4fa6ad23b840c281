//! Coverage in words for people: what a cause means, and what can still be done.

use super::query::Missing;
use super::{Cause, DAY};
use crate::time::utc;

/// How long the id of an attachment can be used (Meta, since 2025-10-09). Microseconds.
const MEDIA_LIFE: i64 = 7 * DAY;

/// How long WhatsApp may repeat a webhook at most. Microseconds.
const REPEATS: i64 = 7 * DAY;

/// How long after onboarding the history can be asked for. Microseconds.
const HISTORY_WITHIN: i64 = DAY;

/// What WhatsApp never delivers to a business platform, whatever an archive does.
pub const NEVER_DELIVERED: [&str; 9] = [
    "group chats of the Business app",
    "calls made or taken in the app",
    "view-once, live location and disappearing messages of the app",
    "status updates, channels and broadcast lists",
    "messages from unsupported companions (Windows app, Wear OS)",
    "deletions \"for me\"",
    "edits made before the number was connected",
    "messages that were deleted before the history was shared",
    "which employee or device wrote a message in the app",
];

impl Cause {
    /// Says what the cause means, for a person who has never seen the archive's code.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Onboarded => "the number was connected",
            Self::Reconnected => "the number was connected again",
            Self::NotConnected => "the number was not connected to the archive",
            Self::Disconnected => "the connection to the WhatsApp Business Platform was ended",
            Self::Offboarded => {
                "the phone was changed or the app installed again; nothing was delivered until it reconnected"
            }
            Self::PrimaryInactivity => {
                "WhatsApp disconnected the number: the phone was not used for about 14 days"
            }
            Self::CompanionInactivity => {
                "WhatsApp disconnected the number: a linked device was not used for about 30 days"
            }
            Self::BusinessDowngrade => "the business left the platform for the plain app",
            Self::NumberChanged => "the phone changed its number",
            Self::AccountDeleted => "the WhatsApp account was deleted",
            Self::AccountDisabled => "WhatsApp disabled the account",
            Self::AccountToBeDisabled => "WhatsApp announced that it will disable the account",
            Self::AccountRestricted => "WhatsApp restricted the account",
            Self::NumberNotConnected => "WhatsApp reports the number as not connected",
            Self::NotOnBusinessApp => "the number left the Business app: nothing written in the app arrives",
            Self::PermissionLost => {
                "WhatsApp refuses to answer for the number: a token or permission was lost"
            }
            Self::SubscriptionMissing => "no app is subscribed to the account: no webhook is sent",
            Self::CallbackChanged => "webhooks are sent to another address than before",
            Self::CallbackForeign => "webhooks are sent to an address that is not the archive's",
            Self::DeviceWiped => "the phone was wiped",
            Self::DeviceOffline => "the phone cannot be reached by the device management",
            Self::DowntimeLost => {
                "the archive did not run for more than 36 hours: WhatsApp stopped repeating"
            }
            Self::Downtime => "the archive did not run; what WhatsApp repeats may have made up for it",
            Self::Silence => "nothing arrived for much longer than is usual for the number",
            Self::PhoneUnopened => "no sign of the Business app for 10 days; WhatsApp disconnects after 14",
            Self::PhoneUnopenedLost => "no sign of the Business app for 14 days: WhatsApp disconnects then",
            Self::CanaryMissing => "the expected test message did not come",
            Self::HistoryDeclined => "the business declined to share the chat history",
            Self::HistoryIncomplete => "pieces of the chat history did not come",
            Self::HistoryMedia => "attachments of the chat history never followed",
            Self::SendNotArchived => {
                "requests to send, or their answers, that went through while the archive could store nothing"
            }
            Self::ListedNotCaptured => "messages that WhatsApp lists and whose content is not here",
            Self::CountedMore => "WhatsApp counted more messages than are here (its counts are approximate)",
            Self::OrphanStatus => "messages whose delivery is known and whose content is not",
            Self::ReadWithoutSent => "messages that were read and never reported as sent",
            Self::DanglingReference => "answers, edits, deletions or reactions to messages that are not here",
            Self::Unsupported => "messages that WhatsApp announced without their content",
            Self::MediaUnavailable => "attachments that could not be fetched",
            Self::MediaNotFetched => "attachments that were not fetched yet",
        }
    }
}

impl Cause {
    /// Says what ends it, where that does not depend on times.
    const fn repair(self, is_over: bool) -> Option<&'static str> {
        Some(match self {
            Self::SubscriptionMissing => "subscribe the app to the account again",
            Self::CallbackChanged => "set the callback address back to the archive",
            Self::PermissionLost => "give the archive a new token for the account",
            Self::SendNotArchived | Self::ListedNotCaptured | Self::CountedMore | Self::OrphanStatus => {
                "let the sending system use the proxy or the journal, and hand in these messages from its own log"
            }
            Self::CanaryMissing => "check the test handset, then the number's subscription",
            Self::DeviceWiped => "set up the Business app again on the phone",
            Self::DeviceOffline if !is_over => {
                "bring the phone back online before WhatsApp disconnects it after about 14 days"
            }
            _ => return None,
        })
    }
}

impl Missing {
    /// Says what can still be done to bring what is missing; nothing where it is lost for good or not lost at all.
    #[must_use]
    pub fn remedy(&self, now: i64) -> Option<String> {
        let until = |end: i64| (end > now).then(|| utc(end));
        let phone = "export the chats on the phone and bring them with `piperoll import`";
        let is_over = self.to < now;
        Some(match self.cause {
            Cause::HistoryMedia | Cause::HistoryIncomplete | Cause::HistoryDeclined => {
                match until(self.from.saturating_add(HISTORY_WITHIN)) {
                    Some(end) => format!("the history can be asked for until {end}, 24 hours after onboarding"),
                    None => "disconnect the number and connect it again: then 180 days of history, and attachments of the \
                             last 14 days, can be shared once more"
                        .to_owned(),
                }
            }
            Cause::MediaUnavailable => {
                let end = until(self.to.saturating_add(MEDIA_LIFE))?;
                format!("the attachment can be fetched until {end}, 7 days after the message")
            }
            Cause::MediaNotFetched => match until(self.to.saturating_add(MEDIA_LIFE)) {
                Some(end) => {
                    format!(
                        "run `piperoll serve` with `[graph]` configured until {end}, 7 days after the message"
                    )
                }
                None => phone.to_owned(),
            },
            Cause::Downtime | Cause::DowntimeLost => match until(self.to.saturating_add(REPEATS)) {
                Some(end) => format!("WhatsApp may repeat until {end}; for the rest, {phone}"),
                None => phone.to_owned(),
            },
            Cause::PhoneUnopened if is_over => return None,
            Cause::PhoneUnopened => "open the WhatsApp Business app on the phone".to_owned(),
            Cause::PhoneUnopenedLost
            | Cause::PrimaryInactivity
            | Cause::CompanionInactivity
            | Cause::Disconnected
            | Cause::Offboarded
            | Cause::BusinessDowngrade
            | Cause::NotOnBusinessApp
            | Cause::SubscriptionMissing
            | Cause::CallbackChanged
            | Cause::CallbackForeign
                if is_over =>
            {
                format!("WhatsApp does not repeat that time; {phone}")
            }
            Cause::PhoneUnopenedLost | Cause::PrimaryInactivity | Cause::CompanionInactivity => {
                format!("open the Business app and connect the number again; for the time between, {phone}")
            }
            Cause::Disconnected | Cause::Offboarded | Cause::BusinessDowngrade | Cause::NotOnBusinessApp => {
                format!("connect the number again; WhatsApp does not repeat the time between, so {phone}")
            }
            Cause::CallbackForeign => format!(
                "remove the override or set it to the archive; WhatsApp does not repeat the time between, so {phone}"
            ),
            Cause::DanglingReference | Cause::Unsupported | Cause::Silence | Cause::NumberNotConnected => {
                phone.to_owned()
            }
            Cause::NotConnected => format!(
                "if the business shared its history, up to 180 days before the connection are here; for the rest, {phone}"
            ),
            cause => return cause.repair(is_over).map(str::to_owned),
        })
    }
}
