"""Measuring: images meet emulators; tables, records, the pytest plugin and the CLI."""
