"""How good is a model: its loss, and how many of its translations are right."""

from dataclasses import dataclass, field

from numpy_impl.inference.translation import translate
from numpy_impl.text.batches import evaluation_batches


@dataclass
class Evaluation:
    """The result of `evaluate`. loss: mean over target tokens, without label smoothing. exact_match: the part of the
    examples whose translation is right. wrong: a list of (example, output)."""

    split: str
    examples: int = 0
    loss: float = 0.0
    exact_match: float = 0.0
    wrong: list = field(default_factory=list)

    def to_json(self):
        """The numbers as a dictionary, for the log."""
        return {"split": self.split, "examples": self.examples, "loss": self.loss, "exact_match": self.exact_match}


def evaluate(twin, model, task, split, *, limit=None, batch_size=250, beam_size=1, alpha=0.6):
    """Evaluate on the first `limit` examples of a split, in evaluation mode; the model's mode is put back afterwards.

    twin: numpy_impl.twin or torch_impl.twin, the model's. Returns an Evaluation.
    """
    was_training = model.training
    model.eval()
    try:
        return _evaluate(twin, model, task, evaluation_batches(task, split, batch_size, limit), split, beam_size, alpha)
    finally:
        model.train(was_training)


def _evaluate(twin, model, task, batches, split, beam_size, alpha):
    result = Evaluation(split)
    criterion = twin.CrossEntropyLoss(ignore_index=task.vocabulary.PAD)
    target_count = sum(batch.target_count for batch in batches)
    for batch in batches:
        result.loss += twin.evaluate_loss(model, criterion, batch, target_count)
        sources = [example.source for example in batch.examples]
        outputs = translate(twin, model, task, sources, beam_size=beam_size, alpha=alpha)
        for example, [(output, _)] in zip(batch.examples, outputs):
            if not task.is_correct(example.source, example.target, output):
                result.wrong.append((example, output))
        result.examples += len(batch.examples)
    result.exact_match = 1 - len(result.wrong) / result.examples
    return result
