//! `twinrow install`

use super::Context;
use super::open::open_each;
use super::output;
use crate::error::{Context as _, Result};
use crate::pipeline::{self, tables_at};

/// `twinrow install`
#[derive(Debug, clap::Args)]
pub struct Install {
    /// Print the script for a DBA to run instead; running it by hand is as good.
    #[arg(long)]
    print_sql: bool,
}

/// Creates change logs and triggers, or prints the script that does.
pub async fn run(context: &Context, args: &Install) -> Result<()> {
    let opened = open_each(&context.config).await?;
    if !args.print_sql {
        let done = pipeline::install(&opened.integration, &opened.endpoints).await?;
        if context.json {
            output::json(&done)?;
        } else {
            done.iter().for_each(|line| say!("{line}"));
            if done.is_empty() {
                say!("everything is in place");
            }
        }
        return opened.broken.map_or(Ok(()), Err);
    }
    let mut scripts = std::collections::BTreeMap::new();
    for (at, endpoint) in opened.endpoints.iter().enumerate() {
        let name = &opened.integration.endpoints[at];
        let Some(tracking) = endpoint.tracking() else { continue };
        let tables = tables_at(&opened.integration, at);
        let script = tracking.script(&tables, at == opened.integration.home).await.context(format!("endpoint {name}"))?;
        scripts.insert(name.clone(), script);
    }
    if context.json {
        return output::json(&scripts);
    }
    for (name, script) in scripts {
        say!("-- {name}\n{script}");
    }
    Ok(())
}
