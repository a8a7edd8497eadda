//! `[centralized_scheduler]`: which jobs get trusts, and for which user. `service/trusts.rs` explains trusts.

use ::oslo_config::{Config, OptDecl};

use super::{ConfigError, LoginGroups, keystone_authtoken};

const GROUP: &str = "centralized_scheduler";

const ENABLED: OptDecl = OptDecl::boolean(GROUP, "enabled").unset_if_empty()
    .default("true")
    .help("Give a Keystone trust to each job of a central client, so that its scheduler may act for the job's owner.");
const ENFORCE_TRUSTS: OptDecl = OptDecl::boolean(GROUP, "enforce_trusts")
    .unset_if_empty()
    .default("false")
    .help("Give a trust to every job, including those of ordinary clients.");
const AUTH_SECTION: OptDecl = OptDecl::string(GROUP, "auth_section")
    .default(keystone_authtoken::GROUP)
    .help("Group with the login of the user that central schedulers run as, the trustee.");
const DELEGATED_ROLES: OptDecl = OptDecl::list(GROUP, "trusts_delegated_roles")
    .default("member")
    .help("Roles that a trust delegates; empty: all roles of the owner's token.");

pub(super) const OPTIONS: &[&OptDecl] = &[&ENABLED, &ENFORCE_TRUSTS, &AUTH_SECTION, &DELEGATED_ROLES];

/// The settings of the section.
#[derive(Debug, Clone)]
pub struct CentralSettings {
    /// Whether jobs of central clients get trusts.
    pub enabled: bool,
    /// Whether jobs of ordinary clients get trusts, too.
    pub enforce_trusts: bool,
    /// Names of the roles that a trust delegates. Empty: all roles of the owner's token.
    pub delegated_roles: Vec<String>,
    /// Login of the trustee. `None`: the login of `[keystone_authtoken]`.
    pub trustee: Option<keystone_auth::Settings>,
    /// The groups with the options of this login.
    pub trustee_groups: LoginGroups,
}

impl CentralSettings {
    pub(super) fn read(config: &Config) -> Result<CentralSettings, ConfigError> {
        let enabled = config.bool(&ENABLED)?.unwrap_or(true);
        let section = config.string(&AUTH_SECTION)?.unwrap_or_default();
        // An unused login may be incomplete.
        let other = enabled && !section.is_empty() && section != keystone_authtoken::GROUP;
        let group = other.then(|| keystone_authtoken::group_named(section));
        Ok(CentralSettings {
            enabled,
            enforce_trusts: config.bool(&ENFORCE_TRUSTS)?.unwrap_or(false),
            delegated_roles: config.list(&DELEGATED_ROLES)?.unwrap_or_default(),
            trustee: group.map(|group| keystone_authtoken::read(config, group)).transpose()?,
            trustee_groups: LoginGroups::read(config, group.unwrap_or(keystone_authtoken::GROUP))?,
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use keystone_auth::ServiceCredentials;

    fn read(text: &str) -> Result<CentralSettings, ConfigError> {
        CentralSettings::read(&Config::from_text("freezer-api.conf", text).unwrap())
    }

    #[test]
    fn defaults_are_those_of_the_python_service() {
        let central = read("").unwrap();
        assert!(central.enabled && !central.enforce_trusts);
        assert_eq!(central.delegated_roles, ["member"]);
        assert!(central.trustee.is_none(), "the user of [keystone_authtoken]");
        let central = read("[centralized_scheduler]\nauth_section = keystone_authtoken\n").unwrap();
        assert!(central.trustee.is_none());
    }

    #[test]
    fn an_empty_list_of_roles_means_all() {
        let central =
            read("[centralized_scheduler]\ntrusts_delegated_roles =\nenforce_trusts = yes\n").unwrap();
        assert!(central.delegated_roles.is_empty() && central.enforce_trusts);
    }

    #[test]
    fn another_group_may_have_the_login_of_the_trustee() {
        let login = "[Scheduler_Auth]\nauth_url = http://k:5000\nusername = central\npassword = p\n\
                     user_domain_name = Default\nregion_name = two\n";
        let trustee = |name: &str| {
            let text = format!("[centralized_scheduler]\nauth_section = {name}\n{login}");
            read(&text).unwrap().trustee.unwrap()
        };
        for name in ["Scheduler_Auth", "scheduler_auth"] {
            let trustee = trustee(name);
            assert_eq!(trustee.auth_url, "http://k:5000");
            assert_eq!(trustee.region_name.as_deref(), Some("two"));
            let ServiceCredentials::Password(login) = trustee.credentials else { panic!("a password") };
            assert_eq!((login.username.as_deref(), login.password.expose()), (Some("central"), "p"));
        }
    }

    #[test]
    fn errors_name_the_group_of_an_incomplete_login() {
        let text = "[centralized_scheduler]\nauth_section = mine\n[mine]\nusername = central\n";
        let error = read(text).unwrap_err().to_string();
        assert!(error.contains("mine") && error.contains("auth_url"), "{error}");
        // The login is not used if trusts are disabled.
        read(&text.replace("auth_section", "enabled = false\nauth_section")).unwrap();
    }
}
