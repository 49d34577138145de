//! What an idle connection costs in memory.

use futures_util::future::join_all;
use redial_client::{Client, PoolLimits, Settings};
use redial_hyper::Hyper;
use redial_tokio::Tokio;
use tokio::runtime::Handle;

use crate::load::tokio_runtime;
use crate::server::Served;

/// Resident memory for each idle connection; `None` where the system does not tell.
pub(crate) fn kib_for_each(server: &Served) -> Option<f64> {
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--idle", server.url()])
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap().trim().parse().ok()
}

/// Prints the resident memory for each of many idle connections, in KiB.
pub(crate) fn print(url: &str) {
    const CONNECTIONS: usize = 400;
    let kib = tokio_runtime().block_on(async {
        let mut settings = Settings::default();
        settings.limits = PoolLimits {
            max_connections: CONNECTIONS,
            max_keepalive_connections: CONNECTIONS,
            keepalive_expiry: None,
        };
        let runtime = Tokio::new(Handle::current());
        let client = Client::builder(Hyper::on(runtime)).settings(settings).build().unwrap();
        client.get(url).send().await.unwrap();
        let before = resident_kib()?;
        // Sent at once, each needs a connection of its own.
        join_all((0..CONNECTIONS).map(|_| client.get(url).send())).await;
        assert!(client.pool().idle > CONNECTIONS * 9 / 10, "{:?}", client.pool());
        Some((resident_kib()? - before) / client.pool().idle as f64)
    });
    match kib {
        Some(kib) => println!("{kib}"),
        None => println!("unknown"),
    }
}

fn resident_kib() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}
