//! The result of a listener or an ad-hoc sub-process: its shape is checked, its meaning needs a process.

use super::json::Object;
use super::request::Request;

const USER_TASK: [&str; 4] = ["type", "denied", "deniedReason", "corrections"];
const CORRECTIONS: [&str; 6] =
    ["assignee", "dueDate", "followUpDate", "candidateUsers", "candidateGroups", "priority"];
const AD_HOC: [&str; 4] =
    ["type", "activateElements", "isCompletionConditionFulfilled", "isCancelRemainingInstances"];

/// Complains about what a server refuses.
pub(super) fn check(request: &mut Request<'_>, result: &str) {
    let Some(object) = Object::parse(result.as_bytes()) else { return };
    let known: &[&str] = match object.get("type") {
        Some("\"userTask\"") => &USER_TASK,
        Some("\"adHocSubProcess\"") => &AD_HOC,
        _ => return request.complain("The type of a result must be userTask or adHocSubProcess.".into()),
    };
    strangers(request, &object, known);
    let corrections = object.get("corrections");
    if object.get("denied") == Some("true") && corrections.is_some() {
        request.complain("A denied result cannot carry corrections.".into());
    }
    if let Some(corrections) = corrections.and_then(|text| Object::parse(text.as_bytes())) {
        strangers(request, &corrections, &CORRECTIONS);
    }
}

fn strangers(request: &mut Request<'_>, object: &Object<'_>, known: &[&str]) {
    for (name, _) in object.members().filter(|(name, _)| !known.contains(name)) {
        request.complain(format!("Request property [{name}] cannot be parsed."));
    }
}
