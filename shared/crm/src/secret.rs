//! Where the database is and who we are there, as Secrets Manager holds it.

use domain::Secret;
use serde::Deserialize;

/// The secret in the shape that RDS gives it, with a certificate authority beside it if wanted.
///
/// `{"username": …, "password": …, "host": …, "port": 5432, "dbname": …, "ca": "-----BEGIN …"}`
#[derive(Clone)]
pub struct Credentials {
    /// The role.
    pub username: String,
    /// Its password.
    pub password: Secret,
    /// The host's name, which the server's certificate must bear.
    pub host: String,
    /// The port; 5432 where the secret has none.
    pub port: u16,
    /// The database; named like the role where the secret has none, as everywhere with PostgreSQL.
    pub dbname: String,
    /// Certificates in PEM that the server's must come from; `None`: those of the operating system.
    pub ca: Option<String>,
}

#[derive(Deserialize)]
struct Text {
    username: String,
    password: String,
    host: String,
    #[serde(default)]
    port: Option<Port>,
    #[serde(default)]
    dbname: Option<String>,
    #[serde(default)]
    ca: Option<String>,
}

/// Secrets written by hand often hold the port as a text.
#[derive(Deserialize)]
#[serde(untagged)]
enum Port {
    Number(u16),
    Text(String),
}

/// A secret that is not of this shape. Never shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadSecret {
    /// It is no JSON, or lacks a field.
    #[error("the database secret needs username, password and host, as RDS writes them")]
    Shape,
    /// Its port is none.
    #[error("the database secret's port is no port")]
    Port,
}

impl Credentials {
    /// Reads the secret's text.
    pub fn parse(text: &Secret) -> Result<Self, BadSecret> {
        let read: Text = serde_json::from_str(text.expose()).map_err(|_| BadSecret::Shape)?;
        let port = match read.port {
            None => 5432,
            Some(Port::Number(port)) => port,
            Some(Port::Text(text)) => text.parse().map_err(|_| BadSecret::Port)?,
        };
        let some = |text: Option<String>| text.filter(|text| !text.trim().is_empty());
        Ok(Self {
            dbname: some(read.dbname).unwrap_or_else(|| read.username.clone()),
            username: read.username,
            password: Secret::new(read.password),
            host: read.host,
            port,
            ca: some(read.ca),
        })
    }
}

/// Shows where, never who or how.
impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials")
            .field("host", &self.host)
            .field("port", &self.port)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Credentials, BadSecret> {
        Credentials::parse(&Secret::new(text.to_owned()))
    }

    #[test]
    fn the_shape_of_rds() {
        let text = r#"{"username":"crm","password":"p\"w","engine":"postgres","host":"db.example",
            "port":5433,"dbname":"product","dbInstanceIdentifier":"db"}"#;
        let credentials = read(text).unwrap();
        assert_eq!((&*credentials.host, credentials.port), ("db.example", 5433));
        assert_eq!(credentials.dbname, "product");
        assert_eq!(credentials.password.expose(), "p\"w");
        assert!(!format!("{credentials:?}").contains("p\\\"w"));
    }

    #[test]
    fn what_is_left_out() {
        let credentials = read(r#"{"username":"crm","password":"x","host":"h","port":"6432"}"#);
        let credentials = credentials.unwrap();
        assert_eq!((&*credentials.dbname, credentials.port), ("crm", 6432));
        let bare = read(r#"{"username":"crm","password":"x","host":"h","ca":" "}"#).unwrap();
        assert_eq!((bare.port, bare.ca), (5432, None));
        for (bad, why) in [
            ("hush", BadSecret::Shape),
            (r#"{"username":"crm","password":"hush"}"#, BadSecret::Shape),
            (
                r#"{"username":"a","password":"b","host":"h","port":"x"}"#,
                BadSecret::Port,
            ),
        ] {
            assert_eq!(read(bad).unwrap_err(), why, "{bad}");
        }
    }
}
