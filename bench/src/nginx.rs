//! nginx as a plain reverse proxy with keep-alive on both sides: the yardstick.

use std::fmt::Write as _;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::Context;
use dunlin_cluster::{free_ports, wait_until};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

/// A running nginx, to be stopped: a master that is killed leaves its workers behind.
pub(crate) struct Nginx {
    child: Child,
    dir: PathBuf,
    /// One address per upstream, in their order.
    pub(crate) addresses: Vec<SocketAddr>,
    pub(crate) version: String,
}

impl Nginx {
    /// Starts it in front of `upstreams`, with its files in `dir`; none if it is not installed.
    pub(crate) async fn start(
        dir: &Path,
        upstreams: &[SocketAddr],
    ) -> anyhow::Result<Option<Self>> {
        let Some(version) = version().await else { return Ok(None) };
        let ports = free_ports(upstreams.len())?.into_iter();
        let addresses: Vec<SocketAddr> =
            ports.map(|port| (Ipv4Addr::LOCALHOST, port).into()).collect();
        fs::create_dir_all(dir)?;
        fs::write(dir.join("nginx.conf"), config(dir, &addresses, upstreams)?)?;
        let child = nginx(dir)
            .stdout(Stdio::null())
            .stderr(fs::File::create(dir.join("stderr.log"))?)
            .spawn()
            .context("cannot start nginx")?;
        wait_until("nginx listens", Duration::from_secs(5), async || {
            TcpStream::connect(addresses[0]).await.is_ok()
        })
        .await
        .with_context(|| fs::read_to_string(dir.join("stderr.log")).unwrap_or_default())?;
        Ok(Some(Self { child, dir: dir.to_owned(), addresses, version }))
    }

    /// The master's process id; the workers are its children.
    pub(crate) fn pid(&self) -> anyhow::Result<u32> {
        self.child.id().context("nginx has ended")
    }

    /// Asks it to stop and waits until it has.
    pub(crate) async fn stop(mut self) -> anyhow::Result<()> {
        nginx(&self.dir).args(["-s", "stop"]).output().await?;
        tokio::time::timeout(Duration::from_secs(5), self.child.wait())
            .await
            .context("nginx did not stop within 5 s")??;
        Ok(())
    }
}

fn nginx(dir: &Path) -> Command {
    let mut command = Command::new("nginx");
    command.arg("-p").arg(dir).arg("-c").arg(dir.join("nginx.conf"));
    command.stdin(Stdio::null()).kill_on_drop(true);
    command
}

async fn version() -> Option<String> {
    let output = Command::new("nginx").arg("-v").output().await.ok()?;
    let text = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Some(text.trim_start_matches("nginx version: ").to_owned())
}

fn config(
    dir: &Path,
    addresses: &[SocketAddr],
    upstreams: &[SocketAddr],
) -> anyhow::Result<String> {
    let dir = dir.display();
    let mut text = format!(
        "daemon off;\nworker_processes auto;\npid {dir}/nginx.pid;\nerror_log {dir}/error.log;\n\
         events {{ worker_connections 4096; }}\nhttp {{\n  access_log off;\n  \
         keepalive_requests 100000000;\n"
    );
    for kind in ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"] {
        writeln!(text, "  {kind}_temp_path {dir}/{kind};")?;
    }
    for (number, (listen, upstream)) in addresses.iter().zip(upstreams).enumerate() {
        write!(
            text,
            "  upstream mock{number} {{\n    server {upstream};\n    keepalive 512;\n    \
             keepalive_requests 100000000;\n  }}\n  server {{\n    listen {listen};\n    \
             location / {{\n      proxy_pass http://mock{number};\n      \
             proxy_http_version 1.1;\n      proxy_set_header Connection \"\";\n      \
             proxy_buffering off;\n    }}\n  }}\n"
        )?;
    }
    text.push_str("}\n");
    Ok(text)
}
