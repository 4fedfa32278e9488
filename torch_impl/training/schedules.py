"""Schedules of the learning rate: numbers, no tensors, so those of numpy_impl serve here too."""

from numpy_impl.training.schedules import (CosineSchedule, LinearSchedule, NoamSchedule, WarmupSchedule,
                                           make_schedule)

__all__ = ["CosineSchedule", "LinearSchedule", "NoamSchedule", "WarmupSchedule", "make_schedule"]
