//! What the transports of this workspace declare: scenarios that they cannot pass, each with the
//! reason and with what must hold instead.
//!
//! There is one that declares anything: isahc, because curl hides some of what it does. A
//! transport on hyper has nothing to declare.

mod isahc;

pub use isahc::{isahc, isahc_blocking};
