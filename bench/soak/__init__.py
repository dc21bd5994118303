"""The soak: a fleet at full load while everything around it breaks, judged by the engine's account."""
