//! Sends the made-up traffic as WhatsApp and other systems would: signed webhooks, and events with a token.

use anyhow::Context as _;
use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::Deserialize;
use sha2::Sha256;

use crate::client::Client;
use crate::output::{GREEN, Output};
use crate::secret::hex;
use crate::text::counted;

/// Written by `cargo xt corpus`: JSON lines, compressed.
const TRAFFIC: &[u8] = include_bytes!("../../../demo/traffic.jsonl.zst");

/// Requests under way at the same time.
const CONNECTIONS: usize = 64;

#[derive(Deserialize)]
struct Line {
    target: Target,
    body: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Target {
    Webhook,
    Event,
}

/// Sends everything; returns when all of it is acknowledged.
pub(super) async fn deliver(client: &Client, app_secret: &str, output: &Output) -> anyhow::Result<()> {
    let lines = lines()?;
    let events = lines.iter().filter(|line| line.target == Target::Event).count() as u64;
    let webhooks = lines.len() as u64 - events;
    let bar = output.progress("Sending", lines.len() as u64);
    let sends = stream::iter(lines).map(|line| async {
        send(client, app_secret, line).await?;
        bar.inc(1);
        anyhow::Ok(())
    });
    sends.buffer_unordered(CONNECTIONS).try_collect::<()>().await?;
    let seconds = bar.elapsed().as_secs_f64();
    bar.finish_and_clear();
    let (webhooks, events) =
        (counted(webhooks, "signed webhook", "signed webhooks"), counted(events, "event", "events"));
    output.line(format_args!(
        "\n{GREEN}✓{GREEN:#} {webhooks} and {events} from other channels sent over HTTP in {seconds:.1} s,\n  \
         each acknowledged after it was on disk: chained, signed and encrypted"
    ))
}

async fn send(client: &Client, app_secret: &str, line: Line) -> anyhow::Result<()> {
    let body = Bytes::from(line.body);
    match line.target {
        Target::Event => client.hand_in(body).await,
        Target::Webhook => deliver_signed(client, app_secret, body).await,
    }
}

/// Delivers a webhook as Meta signs it.
pub(super) async fn deliver_signed(client: &Client, app_secret: &str, body: Bytes) -> anyhow::Result<()> {
    let mut mac =
        Hmac::<Sha256>::new_from_slice(app_secret.as_bytes()).expect("HMAC takes keys of any length");
    mac.update(&body);
    let signature = format!("sha256={}", hex(&mac.finalize().into_bytes()));
    client.deliver(body, &signature).await
}

fn lines() -> anyhow::Result<Vec<Line>> {
    let text = zstd::decode_all(TRAFFIC).context("decompress the demo traffic")?;
    let text = String::from_utf8(text).context("the demo traffic is text")?;
    text.lines().map(|line| serde_json::from_str(line).context("read a line of the demo traffic")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn traffic_is_readable_and_has_several_thousand_webhooks() {
        let lines = lines().unwrap();
        let webhooks = lines.iter().filter(|line| line.target == Target::Webhook).count();
        assert!(webhooks >= 3_000 && webhooks < lines.len(), "{webhooks} of {}", lines.len());
    }
}
