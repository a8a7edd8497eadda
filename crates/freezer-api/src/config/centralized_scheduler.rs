//! `[centralized_scheduler]`: whether jobs get trusts, and for whom. What a trust is for: `service/trusts.rs`.

use ::oslo_config::{Config, OptDecl};

use super::{ConfigError, keystone_authtoken};

const GROUP: &str = "centralized_scheduler";

const ENABLED: OptDecl = OptDecl::boolean(GROUP, "enabled")
    .default("true")
    .help("Give a Keystone trust to each job of a central client, so that its scheduler may act for the job's owner.");
const ENFORCE_TRUSTS: OptDecl = OptDecl::boolean(GROUP, "enforce_trusts")
    .default("false")
    .help("Give one to every job, whatever its client is.");
const AUTH_SECTION: OptDecl = OptDecl::string(GROUP, "auth_section")
    .default(keystone_authtoken::GROUP)
    .help("Group with the login of the user that central schedulers run as, the trustee.");
const DELEGATED_ROLES: OptDecl = OptDecl::list(GROUP, "trusts_delegated_roles")
    .default("member")
    .help("Roles that a trust passes on; empty: all that the owner's token has.");

pub(super) const OPTIONS: &[&OptDecl] = &[&ENABLED, &ENFORCE_TRUSTS, &AUTH_SECTION, &DELEGATED_ROLES];

/// What the section says.
#[derive(Debug, Clone)]
pub struct CentralSettings {
    /// Whether jobs get trusts at all.
    pub enabled: bool,
    /// Whether those of ordinary clients do, too.
    pub enforce_trusts: bool,
    /// Names of the roles that a trust passes on; none: all of the owner's token.
    pub delegated_roles: Vec<String>,
    /// Login of the trustee; none: that of `[keystone_authtoken]`.
    pub trustee: Option<keystone_auth::Settings>,
}

impl CentralSettings {
    pub(super) fn read(config: &Config) -> Result<CentralSettings, ConfigError> {
        let enabled = config.bool(&ENABLED)?.unwrap_or(true);
        let section = config.string(&AUTH_SECTION)?.unwrap_or_default();
        // a login that nobody will use need not be complete
        let other = enabled && !section.is_empty() && section != keystone_authtoken::GROUP;
        let group = other.then(|| keystone_authtoken::group_named(section));
        Ok(CentralSettings {
            enabled,
            enforce_trusts: config.bool(&ENFORCE_TRUSTS)?.unwrap_or(false),
            delegated_roles: config.list(&DELEGATED_ROLES)?.unwrap_or_default(),
            trustee: group.map(|group| keystone_authtoken::read(config, group)).transpose()?,
        })
    }
}
