//! Templates as the platform has them now.

use serde_json::Value;

use crate::client::GraphClient;
use crate::error::GraphError;

/// What is asked for: everything that says what a recipient sees, and whether it may be sent.
const FIELDS: &str = "id,name,language,status,category,sub_category,previous_category,correct_category,components,\
parameter_format,quality_score,rejected_reason,message_send_ttl_seconds,library_template_name,\
cta_url_link_tracking_opted_out,degrees_of_freedom_spec";

/// Templates on one page.
const PAGE: &str = "100";

/// Pages that are read at most: an account has at most 6,000 templates.
const PAGES_MAX: usize = 400;

/// A template: the platform's own JSON, with the members that name it.
#[derive(Clone, Debug, PartialEq)]
pub struct Template {
    /// The platform's id of it.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its language code.
    pub language: String,
    /// Everything that was answered.
    pub answer: Value,
}

impl GraphClient {
    /// Lists all templates of an account.
    ///
    /// # Errors
    /// [`GraphError`]; nothing is returned when one page is missing.
    pub async fn templates(&self, account: &str) -> Result<Vec<Template>, GraphError> {
        let mut templates = Vec::new();
        let mut after: Option<String> = None;
        for _ in 0..PAGES_MAX {
            let mut query = vec![("fields", FIELDS), ("limit", PAGE)];
            query.extend(after.as_deref().map(|after| ("after", after)));
            let mut page = self.get(&[account, "message_templates"], &query).await?;
            let Some(Value::Array(found)) = page.get_mut("data").map(Value::take) else {
                return Err(GraphError::Malformed { expected: "`data`" });
            };
            for answer in found {
                templates.push(read(answer)?);
            }
            // The address of the next page has a token in it and is not used; its presence says that there is one.
            let paging = page.get("paging").filter(|paging| paging.get("next").is_some());
            let cursor = paging.and_then(|paging| paging.get("cursors")?.get("after")?.as_str());
            match cursor {
                Some(cursor) if after.as_deref() != Some(cursor) => after = Some(cursor.to_owned()),
                _ => return Ok(templates),
            }
        }
        Err(GraphError::Malformed { expected: "an end of the list" })
    }

    /// Asks for one template.
    ///
    /// # Errors
    /// [`GraphError`].
    pub async fn template(&self, id: &str) -> Result<Template, GraphError> {
        read(self.get(&[id], &[("fields", FIELDS)]).await?)
    }
}

fn read(answer: Value) -> Result<Template, GraphError> {
    let text = |key: &'static str| {
        let value = answer.get(key);
        let text = value.and_then(|value| match value {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        });
        text.ok_or(GraphError::Malformed { expected: "`id`, `name` and `language` of a template" })
    };
    Ok(Template { id: text("id")?, name: text("name")?, language: text("language")?, answer })
}
