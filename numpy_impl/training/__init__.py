"""Training: optimizers, schedules, gradient clipping, the trainer, checkpoints and the log."""
