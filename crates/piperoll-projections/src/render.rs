//! The text of a template message: the definition with the parameters of a send in it.

use serde_json::Value;

/// Renders a template: header, body, footer and buttons, one line each. `parameters` is the `components` of a send.
#[must_use]
pub fn render(components: &Value, parameters: Option<&Value>) -> String {
    let mut lines = Vec::new();
    for component in components.as_array().into_iter().flatten() {
        let kind = text(component, "type").to_ascii_uppercase();
        let sent = parameters_of(&kind, None, parameters);
        match kind.as_str() {
            "HEADER" if !matches!(text(component, "format"), "" | "TEXT") => {
                let format = text(component, "format").to_ascii_lowercase();
                let name = sent.first().map(|one| parameter(one)).filter(|name| !name.is_empty());
                lines.push(name.map_or_else(|| format!("[{format}]"), |name| format!("[{format}: {name}]")));
            }
            "HEADER" | "BODY" | "FOOTER" => lines.push(fill(text(component, "text"), &sent)),
            "BUTTONS" => render_buttons(component, parameters, &mut lines),
            "CAROUSEL" => render_cards(component, parameters, &mut lines),
            _ => {
                let text = text(component, "text");
                lines.extend((!text.is_empty()).then(|| text.to_owned()));
            }
        }
    }
    lines.retain(|line| !line.is_empty());
    lines.join("\n")
}

fn render_buttons(component: &Value, parameters: Option<&Value>, lines: &mut Vec<String>) {
    let buttons = component.get("buttons").and_then(Value::as_array).into_iter().flatten();
    for (index, button) in buttons.enumerate() {
        let sent = parameters_of("BUTTON", Some(index), parameters);
        let url = text(button, "url");
        let target = if url.is_empty() { text(button, "phone_number").to_owned() } else { fill(url, &sent) };
        let label = text(button, "text");
        lines.push(if target.is_empty() { format!("[{label}]") } else { format!("[{label}] {target}") });
    }
}

/// Renders every card of a carousel with the parameters of the card of the same number.
fn render_cards(component: &Value, parameters: Option<&Value>, lines: &mut Vec<String>) {
    let sent = parameters_of_component("CAROUSEL", None, parameters);
    let cards = component.get("cards").and_then(Value::as_array).into_iter().flatten();
    for (index, card) in cards.enumerate() {
        let sent = sent.and_then(|sent| sent.get("cards")?.as_array()?.get(index)?.get("components"));
        if let Some(components) = card.get("components") {
            lines.push(render(components, sent));
        }
    }
}

/// Returns the parameters that were sent for a component.
fn parameters_of<'v>(kind: &str, index: Option<usize>, components: Option<&'v Value>) -> Vec<&'v Value> {
    let component = parameters_of_component(kind, index, components);
    let list = component.and_then(|component| component.get("parameters")).and_then(Value::as_array);
    list.into_iter().flatten().collect()
}

fn parameters_of_component<'v>(
    kind: &str,
    index: Option<usize>,
    components: Option<&'v Value>,
) -> Option<&'v Value> {
    let is_wanted = |component: &&Value| {
        let at = component.get("index").map(|at| at.as_str().map_or_else(|| at.to_string(), str::to_owned));
        text(component, "type").eq_ignore_ascii_case(kind)
            && index.is_none_or(|index| at.is_none_or(|at| at == index.to_string()))
    };
    components?.as_array()?.iter().find(is_wanted)
}

/// Puts parameters into `{{1}}` by position and into `{{name}}` by name.
fn fill(template: &str, parameters: &[&Value]) -> String {
    let mut filled = String::with_capacity(template.len());
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("{{") {
        filled.push_str(before);
        let Some((name, behind)) = after.split_once("}}") else {
            filled.push_str("{{");
            rest = after;
            continue;
        };
        let name = name.trim();
        let named = parameters.iter().find(|sent| text(sent, "parameter_name") == name);
        let position = name.parse::<usize>().ok().and_then(|nth| parameters.get(nth.checked_sub(1)?));
        match named.or(position) {
            Some(sent) => filled.push_str(&parameter(sent)),
            // As the template has it: nothing was sent for this place.
            None => filled.extend(["{{", name, "}}"]),
        }
        rest = behind;
    }
    filled.push_str(rest);
    filled
}

/// Returns a parameter as the person reads it.
fn parameter(sent: &Value) -> String {
    let kind = text(sent, "type");
    let inner = sent.get(kind).unwrap_or(&Value::Null);
    match (kind, inner) {
        (_, Value::String(text)) => text.clone(),
        ("currency" | "date_time", value) => text(value, "fallback_value").to_owned(),
        ("location", value) => text(value, "name").to_owned(),
        (_, Value::Object(_)) => {
            let found = ["filename", "link", "id"].iter().map(|key| text(inner, key));
            found.into_iter().find(|text| !text.is_empty()).unwrap_or_default().to_owned()
        }
        _ => text(sent, "text").to_owned(),
    }
}

fn text<'v>(value: &'v Value, key: &str) -> &'v str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::disallowed_methods, reason = "`json!` unwraps")]

    use serde_json::json;

    use super::*;

    #[test]
    fn parts_are_rendered_with_parameters_by_position_and_name() {
        let components = json!([
            {"type": "HEADER", "format": "TEXT", "text": "Hello {{1}}"},
            {"type": "BODY", "text": "Order {{order_id}} of {{ 2 }} costs {{3}}. {{4}} {{ open"},
            {"type": "FOOTER", "text": "Reply STOP to end"},
            {"type": "BUTTONS", "buttons": [
                {"type": "QUICK_REPLY", "text": "Stop promotions"},
                {"type": "URL", "text": "Track", "url": "https://t.example/{{1}}"},
                {"type": "PHONE_NUMBER", "text": "Call", "phone_number": "+15550100"}]}]);
        let sent = json!([
            {"type": "header", "parameters": [{"type": "text", "text": "Ada"}]},
            {"type": "body", "parameters": [
                {"type": "text", "parameter_name": "order_id", "text": "A7"},
                {"type": "date_time", "date_time": {"fallback_value": "May 1"}},
                {"type": "currency", "currency": {"fallback_value": "$5", "code": "USD", "amount_1000": 5000}}]},
            {"type": "button", "sub_type": "url", "index": "1", "parameters": [{"type": "text", "text": "A7"}]}]);
        assert_eq!(
            render(&components, Some(&sent)),
            "Hello Ada\nOrder A7 of May 1 costs $5. {{4}} {{ open\nReply STOP to end\n[Stop promotions]\n\
             [Track] https://t.example/A7\n[Call] +15550100"
        );
    }

    #[test]
    fn media_headers_and_cards_are_named() {
        let components = json!([{"type": "HEADER", "format": "IMAGE"}, {"type": "CAROUSEL", "cards": [
            {"components": [{"type": "BODY", "text": "Card {{1}}"}]},
            {"components": [{"type": "BODY", "text": "Card {{1}}"}]}]}]);
        let sent = json!([
            {"type": "header", "parameters": [{"type": "image", "image": {"link": "https://i.example/a.png"}}]},
            {"type": "carousel", "cards": [
                {"card_index": 0, "components": [{"type": "body", "parameters": [{"type": "text", "text": "one"}]}]},
                {"card_index": 1, "components": [{"type": "body", "parameters": [{"type": "text", "text": "two"}]}]}]}]);
        assert_eq!(render(&components, Some(&sent)), "[image: https://i.example/a.png]\nCard one\nCard two");
        assert_eq!(render(&components, None), "[image]\nCard {{1}}\nCard {{1}}");
    }

    #[test]
    fn odd_definitions_give_what_can_be_read() {
        for odd in [json!(null), json!({}), json!([7, {"type": "BODY"}, {"type": "BUTTONS", "buttons": 1}])] {
            assert_eq!(render(&odd, Some(&json!([{"type": "body", "parameters": "x"}]))), "");
        }
    }
}
