"""Sweeps: many runs, and which learning rate to choose."""
