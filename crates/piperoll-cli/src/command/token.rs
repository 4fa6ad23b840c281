//! `piperoll token`: who may do what.

use chrono::{DateTime, Utc};
use piperoll_server::{Role, TokenView};
use serde::{Deserialize, Serialize};

use crate::args::{Global, RoleArg, TokenCommand, TokenCreateArgs};
use crate::client::{Client, encode};
use crate::error::Exit;
use crate::output::{Output, object};

#[derive(Serialize, Deserialize)]
struct Created {
    token: String,
    name: String,
    role: Role,
}

#[derive(Serialize, Deserialize)]
struct Listed {
    tokens: Vec<TokenView>,
}

pub(crate) async fn run(global: &Global, command: &TokenCommand, output: &Output) -> anyhow::Result<Exit> {
    let client = Client::connect(global).await?;
    let done = match command {
        TokenCommand::Create(args) => create(&client, args, output).await,
        TokenCommand::List => list(&client, output).await,
        TokenCommand::Revoke(args) => revoke(&client, &args.name, output).await,
    };
    client.close().await;
    done?;
    Ok(Exit::Success)
}

async fn create(client: &Client, args: &TokenCreateArgs, output: &Output) -> anyhow::Result<()> {
    let body = object([("name", args.name.as_str().into()), ("role", role(args.role).as_str().into())]);
    let created: Created = client.post("/v1/tokens", &body).await?;
    if output.is_json() {
        return output.json_line(&created);
    }
    output.line(&created.token)?;
    output.note(format_args!("Token `{}` with role {}; it is shown this once.", created.name, created.role));
    Ok(())
}

async fn list(client: &Client, output: &Output) -> anyhow::Result<()> {
    let listed: Listed = client.get("/v1/tokens").await?;
    if output.is_json() {
        return output.json_line(&listed);
    }
    let time = |at: DateTime<Utc>| output.short_time(at);
    let rows = listed.tokens.into_iter().map(|token| {
        let ends = match (token.revoked_at, token.expires_at) {
            (Some(at), _) => format!("revoked {}", time(at)),
            (None, Some(at)) => format!("until {}", time(at)),
            (None, None) => "in force".to_owned(),
        };
        vec![token.name, token.role.to_string(), time(token.created_at), ends]
    });
    output.table(&["name", "role", "created", "state"], rows.collect(), &[])
}

async fn revoke(client: &Client, name: &str, output: &Output) -> anyhow::Result<()> {
    client.delete(&format!("/v1/tokens/{}", encode(name))).await?;
    if output.is_json() {
        return output.json_line(&object([("revoked", name.into())]));
    }
    output.line(format_args!("Token `{name}` is revoked."))
}

const fn role(role: RoleArg) -> Role {
    match role {
        RoleArg::Admin => Role::Admin,
        RoleArg::Auditor => Role::Auditor,
        RoleArg::Ingest => Role::Ingest,
        RoleArg::Officer => Role::Officer,
    }
}
