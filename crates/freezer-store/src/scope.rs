//! [`Scope`]: the projects whose rows a query may access. Every query takes one, so the compiler finds a
//! missing scope.

use sea_query::{Condition, Expr, ExprTrait, IntoColumnRef};

/// The projects whose rows a query may access.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Scope {
    /// One project, which nearly every request has in its path.
    Project(String),
    /// All projects, if a policy rule (`jobs:get_all_projects`) allows it.
    AllProjects,
}

impl Scope {
    /// Returns the scope of one project.
    pub fn project(id: impl Into<String>) -> Scope {
        Scope::Project(id.into())
    }

    /// Returns the value if the scope is one project.
    pub(crate) fn of_project<T>(&self, value: T) -> Option<T> {
        matches!(self, Scope::Project(_)).then_some(value)
    }

    /// Returns the condition that limits a query to the scope.
    pub(crate) fn holds(&self, project_id: impl IntoColumnRef) -> Condition {
        match self {
            Scope::Project(id) => Condition::all().add(Expr::col(project_id).eq(id.as_str())),
            Scope::AllProjects => Condition::all(),
        }
    }
}
