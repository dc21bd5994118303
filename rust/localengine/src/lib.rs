//! The embedded engine. Owns one job store and the wire dialects over it; knows nothing of fleets.
