//! One authenticated request, as it came in. It is not interpreted here.

use piperoll_format::Timestamp;

/// An inbound request whose sender was authenticated, with the exact bytes of its body.
#[derive(Clone, Copy, Debug)]
pub struct Delivery<'a> {
    /// The sender's name ([`Sender::as_str`](crate::Sender::as_str)), or that of a generic source.
    pub source: &'a str,
    /// The body before any decoding.
    pub body: &'a [u8],
    /// The signature header as received, kept so that the check can be repeated.
    pub signature: Option<&'a str>,
    /// The id of the secret that verified the body.
    pub verified_by: Option<&'a str>,
    /// The `Content-Type` header as received.
    pub content_type: Option<&'a str>,
    /// When the last byte of the body was read.
    pub received_at: Timestamp,
}
