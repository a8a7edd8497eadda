//! Arguments that every command takes: where the configuration is.

use std::path::PathBuf;

use oslo_config::Sources;

/// Where the configuration is; the names are oslo.config's.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct ConfigArguments {
    /// Configuration file; may be repeated, later ones win. Default: freezer-api.conf in ~/.freezer, ~,
    /// /etc/freezer, /etc.
    #[arg(long, value_name = "PATH", global = true)]
    pub config_file: Vec<PathBuf>,
    /// Directory of *.conf files, read after the files; may be repeated.
    #[arg(long, value_name = "DIR", global = true)]
    pub config_dir: Vec<PathBuf>,
}

impl ConfigArguments {
    /// The sources to read, with the variables of the environment given.
    pub fn sources(&self, env: Vec<(String, String)>, home: Option<PathBuf>) -> Sources {
        let mut sources = if self.config_file.is_empty() && self.config_dir.is_empty() {
            oslo_config::default_sources("freezer", "freezer-api", home.as_deref())
        } else {
            Sources { files: self.config_file.clone(), dirs: self.config_dir.clone(), env: Vec::new() }
        };
        sources.env = env;
        sources
    }
}

/// The environment and home directory of the process, for [`ConfigArguments::sources`]. Only the binaries call it.
pub fn of_process() -> (Vec<(String, String)>, Option<PathBuf>) {
    let env = std::env::vars_os()
        .filter_map(|(key, value)| Some((key.into_string().ok()?, value.into_string().ok()?)));
    (env.collect(), std::env::var_os("HOME").map(PathBuf::from))
}
