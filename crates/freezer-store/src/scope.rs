//! [`Scope`]: whose rows a query may see. Every query takes one, so forgetting it does not compile.

use sea_query::{Condition, Expr, ExprTrait, IntoColumnRef};

/// Whose rows a query may touch.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Scope {
    /// One project's. What nearly every request has: the project of its path.
    Project(String),
    /// Every project's: only where a policy rule (`jobs:get_all_projects`) said so.
    AllProjects,
}

impl Scope {
    /// One project's rows.
    pub fn project(id: impl Into<String>) -> Scope {
        Scope::Project(id.into())
    }

    /// What only a query of one project has.
    pub(crate) fn of_project<T>(&self, value: T) -> Option<T> {
        matches!(self, Scope::Project(_)).then_some(value)
    }

    /// The condition that keeps a query inside the scope.
    pub(crate) fn holds(&self, project_id: impl IntoColumnRef) -> Condition {
        match self {
            Scope::Project(id) => Condition::all().add(Expr::col(project_id).eq(id.as_str())),
            Scope::AllProjects => Condition::all(),
        }
    }
}
