//! What the platform says it did: the messages of a number with its tries to deliver webhooks, and how many it counted.

use serde_json::Value;

use crate::client::GraphClient;
use crate::error::GraphError;

/// Fields of a message in the history; no text is among them, the platform keeps none.
const FIELDS: &str =
    "message_id,events{delivery_status,webhook_update_state,timestamp,webhook_uri,error_description}";

/// Messages on a page.
const PAGE: &str = "100";

/// A message in the history of a number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedMessage {
    /// Its id.
    pub id: String,
    /// The earliest moment of its events, seconds since the epoch.
    pub at: i64,
    /// The tries to deliver webhooks about it.
    pub tries: Vec<WebhookTry>,
}

/// A try to deliver a webhook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookTry {
    /// How it went, as the platform calls it.
    pub state: String,
    /// The address, without its query.
    pub uri: Option<String>,
}

/// How many messages of a number the platform counted in a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MessageCount {
    /// From this moment, seconds since the epoch.
    pub start: i64,
    /// Until just before this moment.
    pub end: i64,
    /// Messages that the number sent.
    pub sent: u64,
    /// Messages of those that were delivered.
    pub delivered: u64,
}

impl GraphClient {
    /// Asks for one page of a number's messages, and for the cursor of the next. Messages without an id or a time are left
    /// out.
    ///
    /// # Errors
    /// [`GraphError`].
    pub async fn message_history(
        &self,
        number: &str,
        after: Option<&str>,
    ) -> Result<(Vec<ListedMessage>, Option<String>), GraphError> {
        let mut query = vec![("fields", FIELDS), ("limit", PAGE)];
        query.extend(after.map(|after| ("after", after)));
        let page = self.get(&[number, "message_history"], &query).await?;
        let listed = page.get("data").and_then(Value::as_array);
        let listed = listed.ok_or(GraphError::Malformed { expected: "`data`" })?;
        let paging = page.get("paging").filter(|paging| paging.get("next").is_some());
        let next = paging.and_then(|paging| paging.get("cursors")?.get("after")?.as_str());
        let next = next.filter(|next| after != Some(*next)).map(str::to_owned);
        Ok((listed.iter().filter_map(message).collect(), next))
    }

    /// Asks how many messages the platform counted for a phone number (digits) on each day between two moments (seconds
    /// since the epoch).
    ///
    /// # Errors
    /// [`GraphError`].
    pub async fn message_counts(
        &self,
        account: &str,
        phone: &str,
        (start, end): (i64, i64),
    ) -> Result<Vec<MessageCount>, GraphError> {
        if phone.is_empty() || !phone.bytes().all(|c| c.is_ascii_digit()) {
            return Err(GraphError::NotFound);
        }
        let fields =
            format!("analytics.start({start}).end({end}).granularity(DAY).phone_numbers([\"{phone}\"])");
        let answer = self.get(&[account], &[("fields", &fields)]).await?;
        // Without any message there are no points, or no analytics at all.
        let points = answer.get("analytics").and_then(|analytics| analytics.get("data_points"));
        let points = points.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let count = |point: &Value| {
            let number = |key: &str| point.get(key).and_then(Value::as_i64);
            let count = |key: &str| number(key).and_then(|count| u64::try_from(count).ok());
            let (start, end) = (number("start")?, number("end")?);
            (start < end).then_some(MessageCount {
                start,
                end,
                sent: count("sent").unwrap_or(0),
                delivered: count("delivered").unwrap_or(0),
            })
        };
        Ok(points.iter().filter_map(count).collect())
    }
}

fn message(listed: &Value) -> Option<ListedMessage> {
    let id = listed.get("message_id")?.as_str()?.to_owned();
    let events = listed.get("events")?;
    let events = events.as_array().or_else(|| events.get("data")?.as_array())?;
    let at = events.iter().filter_map(|event| event.get("timestamp")?.as_i64()).min()?;
    let tries = events.iter().filter_map(|event| {
        let state = event.get("webhook_update_state")?.as_str()?.to_owned();
        let uri = event.get("webhook_uri").and_then(Value::as_str);
        let uri = uri.and_then(|uri| uri.split(['?', '#']).next()).map(str::to_owned);
        Some(WebhookTry { state, uri })
    });
    Some(ListedMessage { id, at, tries: tries.collect() })
}
