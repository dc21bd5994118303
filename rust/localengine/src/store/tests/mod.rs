mod account;
mod latency;
mod model;
