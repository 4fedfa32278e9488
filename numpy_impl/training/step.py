"""One training step's gradients: forward, loss, backward."""

from numpy_impl.module import no_grad


def accumulate_gradients(model, criterion, batch, target_count):
    """Add the batch's gradients to those of the parameters, and return its share of the loss as a float.

    batch: a whole batch or a part of one (a micro-batch). target_count: the targets of the whole batch, by which the
    sum of the losses is divided; so the gradients of the parts add up to that of the whole.
    """
    logits = model(batch.source_ids, batch.target_in_ids)        # (B, T, V)
    loss = criterion(logits, batch.target_out_ids, target_count)
    d_logits = criterion.backward()
    model.backward(d_logits)
    return loss.item()


def evaluate_loss(model, criterion, batch, target_count):
    """The batch's share of the loss as a float, without gradients. The model is in evaluation mode."""
    with no_grad():
        logits = model(batch.source_ids, batch.target_in_ids)    # (B, T, V)
        loss = criterion(logits, batch.target_out_ids, target_count)
    return loss.item()
