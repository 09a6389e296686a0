"""Many trainings, and which learning rate to take."""
