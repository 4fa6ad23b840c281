//! What the platform says about numbers and accounts, as it says it.

use serde_json::Value;

use crate::client::GraphClient;
use crate::error::GraphError;

/// Fields of a number that tell whether messages still come from it.
const NUMBER_FIELDS: &str = "id,display_phone_number,verified_name,status,is_on_biz_app,platform_type,\
quality_rating,account_mode,name_status,throughput,messaging_limit_tier,health_status";

/// Pages of subscribed apps that are read at most.
const PAGES_MAX: usize = 20;

/// An answer without what belongs to one call only, such as the cursors of its pages.
pub type Answer = Value;

impl GraphClient {
    /// Asks for the state of a number.
    ///
    /// # Errors
    /// [`GraphError`].
    pub async fn phone_number(&self, number: &str) -> Result<Answer, GraphError> {
        self.get(&[number], &[("fields", NUMBER_FIELDS)]).await
    }

    /// Asks where a number's webhooks go: an override diverts them from the app's own callback.
    ///
    /// # Errors
    /// [`GraphError`].
    pub async fn webhook_configuration(&self, number: &str) -> Result<Answer, GraphError> {
        self.get(&[number], &[("fields", "webhook_configuration")]).await
    }

    /// Asks which apps get an account's webhooks, and where to. The apps come in the order of their JSON, because the
    /// platform promises none.
    ///
    /// # Errors
    /// [`GraphError`].
    pub async fn subscribed_apps(&self, account: &str) -> Result<Answer, GraphError> {
        let mut apps: Vec<Value> = Vec::new();
        let mut after: Option<String> = None;
        for _ in 0..PAGES_MAX {
            let query: Vec<(&str, &str)> =
                after.as_deref().map(|after| ("after", after)).into_iter().collect();
            let mut page = self.get(&[account, "subscribed_apps"], &query).await?;
            let Some(Value::Array(found)) = page.get_mut("data").map(Value::take) else {
                return Err(GraphError::Malformed { expected: "`data`" });
            };
            apps.extend(found);
            let paging = page.get("paging").filter(|paging| paging.get("next").is_some());
            match paging.and_then(|paging| paging.get("cursors")?.get("after")?.as_str()) {
                Some(cursor) if after.as_deref() != Some(cursor) => after = Some(cursor.to_owned()),
                _ => {
                    apps.sort_by_cached_key(Value::to_string);
                    return Ok(Value::Object(
                        [("data".to_owned(), Value::Array(apps))].into_iter().collect(),
                    ));
                }
            }
        }
        Err(GraphError::Malformed { expected: "an end of the list" })
    }
}
