//! Evaluation: from definitions and a context to an outcome. Pure: no clock, threads, files, sockets,
//! environment or log.

pub(crate) mod answer;
pub(crate) mod bucket;
pub(crate) mod context;
pub(crate) mod decide;
pub(crate) mod definitions;
pub(crate) mod evaluation;
pub(crate) mod evaluations;
pub(crate) mod explain;
pub(crate) mod exposure;
pub(crate) mod identity;
pub(crate) mod outcome;
pub(crate) mod reason;
pub(crate) mod rules;
#[cfg(feature = "arrow")]
pub(crate) mod table;
pub(crate) mod variant;
