mod account;
mod model;
