//! The corners of Python that the rule language leans on, and nothing of the language itself.
//!
//! A rule compares *texts*, and the texts are the ones that Python makes: `str(value)` of an
//! attribute, `template % target`, `ast.literal_eval` of what stands left of the colon. Each has
//! its module here, so that the rest of the crate reads without Python in mind.

pub(crate) mod convert;
pub(crate) mod expression;
pub(crate) mod format;
pub(crate) mod literal;
pub(crate) mod text;
pub(crate) mod token;
pub(crate) mod yaml;
