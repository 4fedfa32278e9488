"""Both twins train at the same time, each in a process of its own, and are compared after every step."""

import multiprocessing
import time

import numpy as np
import torch

import numpy_impl.twin
import torch_impl.twin
from numpy_impl.initialization import shapes_only
from numpy_impl.text.tasks import make_task
from numpy_impl.training.trainer import Trainer
from parity_tests.harness.judge import ZERO_GRADIENT, error_in_eps

TWINS = {"numpy": numpy_impl.twin, "torch": torch_impl.twin}


class Runner:
    """A Trainer in a process of its own. After each step its weights and gradients can be read here.

    weights, gradients: {path: array}, views of memory that both processes share.
    """

    def __init__(self, name, task_name, config, settings, directory):
        context = multiprocessing.get_context("spawn")
        with shapes_only():
            model = TWINS["numpy"].Transformer(config)
        shapes = {path: parameter.shape for path, parameter in model.named_parameters()}
        memory = context.RawArray("b", 2 * model.num_parameters() * np.dtype(settings.dtype).itemsize)
        self.weights, self.gradients = views(memory, shapes, settings.dtype)
        self._connection, connection = context.Pipe()
        self._process = context.Process(target=serve, daemon=True, args=(
            connection, memory, shapes, name, task_name, config, settings, directory))
        self._process.start()

    def ask(self, order):
        """Let the process begin with "step" or "save"."""
        self._connection.send(order)

    def answer(self):
        """Wait for what it was asked. Returns the record of a step. Raises the error that stopped it."""
        try:
            result = self._connection.recv()
        except EOFError:
            self._process.join()
            raise OSError(f"the process that trains ended, with status {self._process.exitcode}") from None
        if isinstance(result, Exception):
            raise result
        return result

    def close(self):
        """End the process."""
        self._process.terminate()
        self._process.join()


def views(memory, shapes, dtype):
    """Two dictionaries {path: array} over the shared memory: weights and gradients."""
    flat, begin, both = np.frombuffer(memory, dtype), 0, ({}, {})
    for arrays in both:
        for path, shape in shapes.items():
            arrays[path] = flat[begin:begin + np.prod(shape)].reshape(shape)
            begin += np.prod(shape)
    return both


def serve(connection, memory, shapes, name, task_name, config, settings, directory):
    """What the process of a Runner does: train as it is asked, until it is ended."""
    torch.set_num_threads(1)    # two processes share the processor, and the matrices are small
    twin = TWINS[name]
    weights, gradients = views(memory, shapes, settings.dtype)
    try:
        trainer = Trainer(twin, make_task(task_name), config, settings, directory)
        while True:
            if connection.recv() == "save":
                connection.send(trainer.save())
                continue
            began = time.perf_counter()
            record = trainer.train_step()
            record["seconds"] = time.perf_counter() - began
            for path, parameter in trainer.model.named_parameters():
                weights[path][...] = twin.to_numpy(parameter)
                gradients[path][...] = parameter.grad
            connection.send(record)
    except (ValueError, OSError, FloatingPointError) as error:
        connection.send(error)
    except (KeyboardInterrupt, EOFError):
        pass    # the user stopped the demo, or the demo is gone


def train(task, config, settings, directory, compare_at_equal_weights):
    """Train both twins in step, and save their checkpoints in directory/numpy and directory/torch.

    compare_at_equal_weights(step): also compute the gradients of a torch model that has NumPy's weights of this very
    step? Two runs drift apart, since training amplifies every rounding; the gradients at equal weights do not.
    Yields a row for each step: step, the losses, seconds of each twin, parameter_difference (absolute),
    gradient_difference and, where asked for, gradient_difference_at_equal_weights (both in eps).
    """
    runners = {name: Runner(name, task.name, config, settings, directory / name) for name in TWINS}
    probe = Trainer(TWINS["torch"], task, config, settings)
    try:
        for step in range(1, settings.steps + 1):
            if compare_at_equal_weights(step):
                gradients = probe_gradients(probe, step, runners["numpy"].weights)
            for runner in runners.values():
                runner.ask("step")
            row = {"step": step}
            for name, runner in runners.items():
                record = runner.answer()
                row |= {f"{name}_loss": record["loss"], f"{name}_seconds": record["seconds"]}
            row |= differences(runners["numpy"], runners["torch"])
            if compare_at_equal_weights(step):
                row["gradient_difference_at_equal_weights"] = gradient_difference(runners["numpy"].gradients, gradients)
            yield row
        for runner in runners.values():
            runner.ask("save")
            runner.answer()
    finally:
        for runner in runners.values():
            runner.close()


def probe_gradients(probe, step, weights):
    """The gradients {path: array} that the torch twin computes at this step with these weights (at step 1: its own)."""
    if step > 1:
        with torch.no_grad():
            for path, parameter in probe.model.named_parameters():
                parameter.copy_(torch.from_numpy(weights[path]))
    probe.step = step - 1
    probe.train_step()
    return {path: parameter.grad.numpy() for path, parameter in probe.model.named_parameters()}


def differences(ours, theirs):
    """How far two Runners are apart after the same step."""
    apart = [np.abs(ours.weights[path] - theirs.weights[path]).max() for path in ours.weights]
    return {"parameter_difference": float(np.max(apart)),    # np.max, since max() would lose a NaN
            "gradient_difference": gradient_difference(ours.gradients, theirs.gradients)}


def gradient_difference(ours, theirs):
    """The largest error of any gradient, relative to the largest number in it, in eps. Both are {path: array}."""
    return float(np.max([error_in_eps(ours[path], theirs[path]) for path in ours if not path.endswith(ZERO_GRADIENT)]))
