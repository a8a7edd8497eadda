//! The versions of the layout, the types of its columns, and the errors about it. This module depends on no other
//! module, so the dialects, [`StoreError`](crate::StoreError) and [`migrations`](crate::migrations) can use it.

mod chain;
mod column;
mod error;
mod obstacle;

pub(crate) use chain::serves;
pub use chain::{HEAD, REVISIONS, Revision};
pub use column::{ColumnKind, ColumnLayout};
pub use error::{Remedy, SchemaError, Sharing};
pub use obstacle::Obstacle;
