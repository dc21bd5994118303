"""Tests against a real Camunda 8.6.0, which this package starts and stops itself."""
