"""One training step's gradients: forward, loss, backward."""

import torch

from torch_impl.arrays import from_numpy


def accumulate_gradients(model, criterion, batch, target_count):
    """Add the batch's gradients to those of the parameters, and return its share of the loss as a float.

    batch: a whole batch or a part of one (a micro-batch). target_count: the targets of the whole batch, by which the
    sum of the losses is divided; so the gradients of the parts add up to that of the whole.
    """
    logits = model(from_numpy(batch.source_ids), from_numpy(batch.target_in_ids))        # (B, T, V)
    loss = criterion(logits, from_numpy(batch.target_out_ids), target_count)
    loss.backward()
    return loss.item()


def evaluate_loss(model, criterion, batch, target_count):
    """The batch's share of the loss as a float, without gradients. The model is in evaluation mode."""
    with torch.no_grad():
        logits = model(from_numpy(batch.source_ids), from_numpy(batch.target_in_ids))    # (B, T, V)
        loss = criterion(logits, from_numpy(batch.target_out_ids), target_count)
    return loss.item()
