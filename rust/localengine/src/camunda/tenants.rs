//! Which tenants an activation draws from.

use std::rc::Rc;

use super::request::Request;
use crate::http::Answer;
use crate::options::{Dialect, Settings};
use crate::shared::State;

const DEFAULT: &str = "<default>";

/// See the module.
pub(super) enum Tenants {
    Default,
    Listed(Vec<Rc<str>>),
    /// All that the principal belongs to: here, all there are.
    Assigned {
        job_type: Rc<str>,
    },
}

/// Reads `tenantIds` and `tenantFilter`.
pub(super) fn read(request: &mut Request<'_>, settings: &Settings) -> Result<Tenants, Answer> {
    let listed = request.texts("tenantIds")?;
    let filter = match settings.dialect {
        Dialect::V8_10 => request.text("tenantFilter")?,
        _ => None,
    };
    let assigned = filter.is_some_and(|filter| filter.eq_ignore_ascii_case("ASSIGNED"));
    if settings.multi_tenancy {
        if assigned {
            let job_type = request.text("type")?.unwrap_or_default().into();
            return Ok(Tenants::Assigned { job_type });
        }
        if listed.is_empty() {
            request.complain(
                "Expected to activate jobs of tenants, but no tenant identifier was provided.".into(),
            );
        }
    } else if settings.dialect > Dialect::V8_6 && (assigned || listed.iter().any(|tenant| tenant != DEFAULT))
    {
        request
            .complain("Expected no tenant identifier but <default>, but multi-tenancy is disabled.".into());
    }
    if listed.is_empty() {
        return Ok(Tenants::Default);
    }
    Ok(Tenants::Listed(listed.into_iter().map(Rc::from).collect()))
}

impl Tenants {
    /// Their names, in the order to draw from them.
    pub(super) fn names(&self, state: &State) -> Vec<Rc<str>> {
        match self {
            Self::Default => Vec::new(),
            Self::Listed(names) => names.clone(),
            Self::Assigned { job_type } => state.store.tenants(job_type),
        }
    }
}
