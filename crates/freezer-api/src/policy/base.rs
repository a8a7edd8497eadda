//! The base rules for admins, members, readers and services. Operators override these more often than rules
//! of single operations. Defaults are those of upstream.

use oslo_policy::RuleDefault;

/// Admins, and the project's members.
pub const ADMIN_OR_OWNER: &str = "rule:admin_or_owner";
/// Admins, services, and the project's members.
pub const ADMIN_OR_OWNER_OR_SERVICE: &str = "rule:admin_or_owner_or_service";
/// Admins, services, and the project's members and readers.
pub const ADMIN_OR_READER_OR_SERVICE: &str = "rule:admin_or_reader_or_service";
/// Admins and services.
pub const ADMIN_OR_SERVICE: &str = "rule:admin_or_service";

const fn base(name: &'static str, check_str: &'static str, description: &'static str) -> RuleDefault {
    RuleDefault { name, check_str, description, operations: &[], scope_types: &["project"], deprecated: None }
}

/// The seven base rules.
pub const RULES: &[RuleDefault] = &[
    base("context_is_admin", "role:admin", "An administrator."),
    base(
        "admin_or_owner",
        "rule:context_is_admin or rule:project_member",
        "An administrator, or a member of the project.",
    ),
    base(
        "admin_or_owner_or_service",
        "rule:admin_or_service or rule:project_member",
        "An administrator, a service, or a member of the project.",
    ),
    base("admin_or_service", "role:admin or role:service", "An administrator or a service."),
    base("project_member", "role:member and project_id:%(project_id)s", "A member of the project."),
    base("project_reader", "role:reader and project_id:%(project_id)s", "A reader of the project."),
    base(
        "admin_or_reader_or_service",
        "rule:admin_or_owner_or_service or rule:project_reader",
        "An administrator, a service, or a member or reader of the project.",
    ),
];
