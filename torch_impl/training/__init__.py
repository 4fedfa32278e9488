"""Training: optimizers, schedules and gradient clipping; the rest is numpy_impl.training."""
