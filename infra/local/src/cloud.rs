//! What stacks share: the AWS process, the keys, the expanded template.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context, Result};

use crate::{kms::Kms, ministack::Ministack, template::Template, venv};

/// Names an AWS process that already runs, for several test processes that share one.
pub const SHARED_AWS: &str = "PASSERELLE_LOCAL_AWS";

/// One AWS process with its keys; any number of stacks live in it side by side.
#[derive(Debug)]
pub struct Cloud {
    home: PathBuf,
    aws_url: String,
    kms: Arc<Kms>,
    template: Template,
    // Held for its drop: it ends the process.
    _ministack: Option<Ministack>,
}

impl Cloud {
    /// Starts the AWS process for the project at `root`, or joins the one that the environment
    /// variable [`SHARED_AWS`] names, and expands the project's template.
    pub async fn start(root: &Path) -> Result<Arc<Self>> {
        let home = root.join(".local");
        let python = python(root)?;
        let script = root.join("infra/template/expand.py");
        let template = Template::expand(
            &python,
            &script,
            &root.join("template.yaml"),
            &home.join("cache"),
        )?;
        Self::with_template(&home, &python, template).await
    }

    /// The same with a template of the caller's.
    pub async fn with_template(
        home: &Path,
        python: &Path,
        template: Template,
    ) -> Result<Arc<Self>> {
        let (aws_url, ministack) = match std::env::var(SHARED_AWS) {
            Ok(url) => (url, None),
            Err(_) => {
                let ministack = Ministack::start(python, &home.join("aws")).await?;
                (ministack.url().to_owned(), Some(ministack))
            }
        };
        Ok(Arc::new(Self {
            home: home.to_owned(),
            aws_url,
            kms: Arc::default(),
            template,
            _ministack: ministack,
        }))
    }

    /// Where the AWS process listens.
    pub fn aws_url(&self) -> &str {
        &self.aws_url
    }

    /// The project's folder for everything local.
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// The keys.
    pub fn kms(&self) -> &Arc<Kms> {
        &self.kms
    }

    /// The expanded template.
    pub fn template(&self) -> &Template {
        &self.template
    }
}

/// The Python of the project's own environment, made when it is not there.
pub fn python(root: &Path) -> Result<PathBuf> {
    venv::ensure(
        &root.join(".local"),
        &root.join("infra/local/requirements.txt"),
    )
}

/// The project's root: this crate lies two folders below it.
pub fn project_root() -> Result<PathBuf> {
    let here = std::env::var("CARGO_MANIFEST_DIR")
        .unwrap_or_else(|_| env!("CARGO_MANIFEST_DIR").to_owned());
    Path::new(&here)
        .ancestors()
        .find(|folder| folder.join("template.yaml").is_file())
        .map(Path::to_owned)
        .context("no template.yaml above this crate")
}
