"""Runs and jobs on Dask, for a web process that never waits."""
