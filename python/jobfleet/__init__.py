"""jobfleet runs fleets of Python job handlers against a workflow engine."""
