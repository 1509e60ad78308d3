//! The only way out of our daemon's namespaces: a forward proxy on the machine, for the one action
//! that fetches packages. It changes no route and no firewall of the machine.

use std::time::Duration;

use action_kit::Command;
use anyhow::{Context as _, Result};

use crate::context::Context;
use crate::programs;

const NAME: &str = "proxy";
const PORT: u16 = 8888;

/// Starts the proxy unless it runs, and gives the variables that a client of it needs; none where
/// the machine's own Docker daemon has a way out already.
pub fn variables(cx: &Context) -> Result<Vec<(&'static str, String)>> {
    if !cx.docker.ours {
        return Ok(Vec::new());
    }
    let address = format!("{}:{PORT}", cx.docker.machine());
    if !programs::runs(cx, NAME) {
        let configuration = cx.folder.join("proxy.conf");
        let text = format!(
            "Port {PORT}\nListen {}\nAllow {}\nTimeout 180\nLogLevel Warning\nMaxClients 64\nConnectPort 443\n",
            cx.docker.machine(),
            cx.docker.namespace(),
        );
        fs_err::write(&configuration, text)?;
        programs::start(
            cx,
            NAME,
            &Command::new("tinyproxy")
                .arg("-d")
                .arg("-c")
                .arg(&configuration),
        )?;
        cx.eventually("the proxy listens", Duration::from_secs(10), || {
            std::net::TcpStream::connect(&address)
                .map(|_| ())
                .context("connect to it")
        })?;
    }
    let url = format!("http://{address}");
    Ok(vec![
        ("HTTPS_PROXY", url.clone()),
        ("HTTP_PROXY", url),
        ("NO_PROXY", "localhost,127.0.0.1".into()),
    ])
}
