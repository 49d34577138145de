//! The vectors of what a server may do on the wire, and what is declared of them.

use core::fmt;

use http::Method;
use redial_client::TransportError;
use redial_isahc::{DECLARED, DeclaredRow, Requests};
use serde_json::Value;

/// What came of the last request of a row.
#[derive(Debug, PartialEq)]
pub(crate) enum Seen {
    Response(u16),
    Failure { kind: &'static str, delivery: &'static str, reused: bool },
}

/// In the words of a declaration.
impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Response(status) => write!(f, "response {status}"),
            Self::Failure { kind, delivery, .. } => write!(f, "{kind} {delivery}"),
        }
    }
}

impl From<&TransportError> for Seen {
    fn from(error: &TransportError) -> Self {
        let failure = error.failure();
        let (kind, delivery) = (failure.kind.name(), failure.delivery.name());
        Self::Failure { kind, delivery, reused: failure.reused }
    }
}

/// Holds what was seen in a row to what is declared of it, or else to what the vectors require;
/// answers what is declared.
pub(crate) fn hold(
    row: &str,
    method: &Method,
    seen: &Seen,
) -> Result<Option<&'static DeclaredRow>, String> {
    let declared = declared(row, method);
    match declared {
        Some(declared) if declared.seen.contains(&seen.to_string().as_str()) => {}
        Some(declared) => return Err(format!("{seen} is not as declared: {:?}", declared.seen)),
        None => judge(seen, &required(row)["expect"])?,
    }
    Ok(declared)
}

/// What is declared of this row for this method.
fn declared(row: &str, method: &Method) -> Option<&'static DeclaredRow> {
    let repeatable = *method != Method::POST;
    DECLARED.iter().flat_map(|declared| declared.rows).find(|declared| {
        declared.id == row
            && match declared.requests {
                Requests::Repeatable => repeatable,
                Requests::Unrepeatable => !repeatable,
                Requests::All | _ => true,
            }
    })
}

/// The rows of the vectors.
pub(crate) fn rows() -> Vec<Value> {
    let file: Value = serde_json::from_str(include_str!("../vectors/wire.json")).unwrap();
    file["cases"].as_array().unwrap().clone()
}

fn required(row: &str) -> Value {
    rows().into_iter().find(|case| case["id"] == row).expect("every row is in the vectors")
}

fn judge(seen: &Seen, expected: &Value) -> Result<(), String> {
    let any_of = expected["one_of"].as_array().ok_or("the row requires nothing")?;
    let reused = expected.get("reused").and_then(Value::as_bool).unwrap_or(false);
    let fits = match seen {
        Seen::Response(status) => any_of.contains(&Value::from(format!("response {status}"))),
        Seen::Failure { kind, delivery, reused: over_reused } => {
            let same = |one: &Value| one["kind"] == *kind && one["delivery"] == *delivery;
            any_of.iter().any(same) && *over_reused == reused
        }
    };
    if fits { Ok(()) } else { Err(format!("{seen} is not as required: {expected}")) }
}
