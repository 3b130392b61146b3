//! nginx as a plain reverse proxy with keep-alive to the upstream: what forwarding costs without keys or money.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use crate::failure::Failure;
use crate::process::{Running, free_address};

/// Starts nginx with a configuration of its own; nothing of an installed service is touched.
pub(crate) async fn start(dir: &Path, upstream: SocketAddr) -> Result<(Running, SocketAddr), Failure> {
    let listen = free_address()?;
    let home = dir.join("nginx");
    let file = home.join("nginx.conf");
    let broken = |error| Failure::new(format!("{} cannot be made: {error}", file.display()));
    std::fs::create_dir_all(&home).map_err(broken)?;
    std::fs::write(&file, configuration(&home, listen, upstream)).map_err(broken)?;
    let mut command = Command::new(program());
    command.arg("-p").arg(&home).arg("-c").arg(&file);
    let mut running = Running::start(command, "nginx", dir)?;
    running.wait_for(listen).await?;
    Ok((running, listen))
}

/// Debian keeps servers where only root's PATH looks.
fn program() -> &'static str {
    let installed = "/usr/sbin/nginx";
    if Path::new(installed).exists() { installed } else { "nginx" }
}

/// `nginx version: nginx/1.22.1`, shortened; nothing where it does not run.
pub(crate) fn version() -> Option<String> {
    let output = Command::new(program()).arg("-v").output().ok()?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    said.trim().rsplit_once('/').map(|(_, version)| version.to_owned())
}

/// Everything that would only cost time is off: logs, buffering to files, new connections.
fn configuration(home: &Path, listen: SocketAddr, upstream: SocketAddr) -> String {
    let home = home.display();
    format!(
        "daemon off;
worker_processes auto;
pid {home}/nginx.pid;
error_log {home}/error.log warn;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    client_body_temp_path {home}/client_body;
    proxy_temp_path {home}/proxy;
    fastcgi_temp_path {home}/fastcgi;
    uwsgi_temp_path {home}/uwsgi;
    scgi_temp_path {home}/scgi;
    client_body_buffer_size 128k;
    client_max_body_size 20m;
    keepalive_requests 1000000000;
    tcp_nodelay on;
    upstream provider {{
        server {upstream};
        keepalive 128;
        keepalive_requests 1000000000;
    }}
    server {{
        listen {listen};
        location / {{
            proxy_pass http://provider;
            proxy_http_version 1.1;
            proxy_set_header Connection \"\";
            proxy_buffering off;
            proxy_request_buffering off;
        }}
    }}
}}
"
    )
}
