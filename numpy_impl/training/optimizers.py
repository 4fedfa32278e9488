"""Optimizers: SGD with momentum, Adam and AdamW. Each update rule is a pure function; a class keeps its state."""

import numpy as np

from numpy_impl import checks
from numpy_impl.training import hyperparameters
from numpy_impl.training.hyperparameters import parameter_groups

__all__ = ["SGD", "Adam", "AdamW", "Optimizer", "parameter_groups",
           "sgd_update", "adam_direction", "adam_update", "adamw_update"]

_PIECE = 16384    # numbers; the temporaries of an update of so many stay in the processor's cache


def _pieces(arrays):
    """Cut arrays of one shape into the same flat slices (views), and yield the slices of each place together."""
    if arrays[0].size <= _PIECE or not all(array.flags.c_contiguous for array in arrays):
        yield arrays
        return
    flat = [array.reshape(-1) for array in arrays]
    for start in range(0, flat[0].size, _PIECE):
        yield [array[start:start + _PIECE] for array in flat]


class Optimizer:
    """Base class: holds the parameters, the step count and, for each parameter, moments of its gradients.

    parameters: pairs (path, Parameter), as `model.named_parameters()` yields them, or groups with a weight decay of
    their own, as `parameter_groups` makes them. lr: the learning rate; `optimizer.lr` may be set before each step.
    weight_decay: of all parameters whose group has none. moment_names: what the update rule remembers.
    Errors: `hyperparameters.group_entries` says which parameters are refused; a rate that is negative or not finite
    is a ValueError.
    """

    def __init__(self, parameters, lr, weight_decay, moment_names):
        self.entries = hyperparameters.group_entries(parameters, weight_decay)
        self.lr = lr
        self.step_count = 0
        self.moment_names = moment_names
        self.moments = {path: [np.zeros_like(parameter.data) for _ in moment_names]
                        for path, parameter, _ in self.entries}

    @property
    def lr(self):
        """The learning rate, a float: at least 0 and finite (else ValueError; TypeError for what is no number)."""
        return self._lr

    @lr.setter
    def lr(self, value):
        self._lr = checks.not_negative("lr", value)

    def step(self):
        """Change every parameter by its gradient, in place."""
        self.step_count += 1
        for path, parameter, weight_decay in self.entries:
            for data, gradient, *moments in _pieces([parameter.data, parameter.grad, *self.moments[path]]):
                new_data, *new_moments = self.update(data, gradient, *moments, weight_decay)
                data[...] = new_data
                for moment, new_moment in zip(moments, new_moments):
                    moment[...] = new_moment

    def zero_grad(self):
        """Clear the gradient of every parameter."""
        for _, parameter, _ in self.entries:
            parameter.grad.fill(0)

    def state_dict(self):
        """The step count and all moments as {name: ndarray}, such as "step" and "first_moment/encoder.norm.gamma".

        Both twins have the same names, shapes and dtypes. The arrays are the optimizer's own, not copies.
        """
        state = {"step": np.array(self.step_count, dtype=np.int64)}
        for path, moments in self.moments.items():
            for name, moment in zip(self.moment_names, moments):
                state[f"{name}/{path}"] = moment
        return state

    def load_state_dict(self, state):
        """Copy `state` ({name: ndarray}, of either twin) into the step count and the moments.

        Raises ValueError if a name is missing or unknown, a shape or dtype differs, or the step is negative; then
        nothing is changed.
        """
        hyperparameters.check_state(state, self.state_dict())
        self.step_count = int(state["step"])
        for path, moments in self.moments.items():
            for name, moment in zip(self.moment_names, moments):
                moment[...] = state[f"{name}/{path}"]


# Stochastic gradient descent with momentum


def sgd_update(parameter, gradient, velocity, lr, momentum, weight_decay):
    """One step of gradient descent with momentum and L2 weight decay.

    parameter, gradient, velocity: arrays of one shape. Returns the new parameter and velocity.
    Source: Sutskever, Martens, Dahl and Hinton (2013), eqs. 1 and 2; lr outside the velocity, as torch has it.
    """
    decayed_gradient = gradient + weight_decay * parameter                      # eq: sgd-weight-decay
    new_velocity = momentum * velocity + decayed_gradient                       # eq: sgd-velocity
    new_parameter = parameter - lr * new_velocity                               # eq: sgd-parameter
    return new_parameter, new_velocity


class SGD(Optimizer):
    """Gradient descent with momentum (0: none), in 0 <= momentum < 1, and L2 weight decay.

    Errors: a number out of range (ValueError), or what is no number (TypeError).
    Source: Sutskever, Martens, Dahl and Hinton (2013), "On the importance of initialization and momentum in deep
    learning", eqs. 1 and 2.
    Departures: the learning rate multiplies the velocity instead of standing inside it, as torch has it. This differs
    once the learning rate changes: a new rate holds at once for all past gradients.
    """

    def __init__(self, parameters, lr, momentum=0.0, weight_decay=0.0):
        super().__init__(parameters, lr, weight_decay, ["velocity"])
        self.momentum = checks.probability("momentum", momentum)

    def update(self, data, gradient, velocity, weight_decay):
        """The new values of one parameter and its velocity, see `sgd_update`."""
        return sgd_update(data, gradient, velocity, self.lr, self.momentum, weight_decay)


# Adam, and AdamW, which differs only in where the weight decays


def adam_direction(gradient, first_moment, second_moment, step, beta1, beta2, eps):
    """Adam's direction: the mean of the gradients over the root of the mean of their squares, of each number by itself.

    gradient, first_moment, second_moment: arrays of one shape. step: int, from 1, of this update.
    Returns the direction (a step goes against it) and the two new moments.
    Source: Kingma and Ba (2015), "Adam: A Method for Stochastic Optimization", algorithm 1; eps outside the root.
    """
    new_first_moment = beta1 * first_moment + (1 - beta1) * gradient            # eq: adam-first-moment
    squared = gradient * gradient
    new_second_moment = beta2 * second_moment + (1 - beta2) * squared           # eq: adam-second-moment
    # Both moments start at 0 and are too small at first, by these factors.
    first_unbiased = new_first_moment / (1 - beta1 ** step)                     # eq: adam-first-unbiased
    second_unbiased = new_second_moment / (1 - beta2 ** step)                   # eq: adam-second-unbiased
    direction = first_unbiased / (np.sqrt(second_unbiased) + eps)               # eq: adam-direction
    return direction, new_first_moment, new_second_moment


def adam_update(parameter, gradient, first_moment, second_moment, step, lr, beta1, beta2, eps, weight_decay):
    """One step of Adam with L2 weight decay, which passes through the moments as a part of the gradient.

    Returns the new parameter and the two new moments. Source: Kingma and Ba (2015), algorithm 1.
    """
    decayed_gradient = gradient + weight_decay * parameter                      # eq: adam-weight-decay
    direction, new_first_moment, new_second_moment = adam_direction(
        decayed_gradient, first_moment, second_moment, step, beta1, beta2, eps)
    new_parameter = parameter - lr * direction                                  # eq: adam-parameter
    return new_parameter, new_first_moment, new_second_moment


def adamw_update(parameter, gradient, first_moment, second_moment, step, lr, beta1, beta2, eps, weight_decay):
    """One step of Adam with decoupled weight decay: the parameter shrinks first, and the moments know nothing of it.

    Returns the new parameter and the two new moments. Source: Loshchilov and Hutter (2019), algorithm 2.
    """
    decayed_parameter = (1 - lr * weight_decay) * parameter                     # eq: adamw-weight-decay
    direction, new_first_moment, new_second_moment = adam_direction(
        gradient, first_moment, second_moment, step, beta1, beta2, eps)
    new_parameter = decayed_parameter - lr * direction                          # eq: adamw-parameter
    return new_parameter, new_first_moment, new_second_moment


class Adam(Optimizer):
    """Adam with L2 weight decay (0: none). betas: two numbers in 0 <= beta < 1, how long each moment remembers.

    Errors: a number out of range (ValueError), or what is no number (TypeError).
    Source: Kingma and Ba (2015), "Adam: A Method for Stochastic Optimization", algorithm 1. "Attention Is All You Need"
    (2017), section 5.3, uses betas=(0.9, 0.98) and eps=1e-9.
    Departures: the paper has no weight decay.
    """

    def __init__(self, parameters, lr, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0):
        super().__init__(parameters, lr, weight_decay, ["first_moment", "second_moment"])
        beta1, beta2 = betas
        self.beta1 = checks.probability("beta1", beta1)
        self.beta2 = checks.probability("beta2", beta2)
        self.eps = checks.not_negative("eps", eps)

    def update(self, data, gradient, first_moment, second_moment, weight_decay):
        """The new values of one parameter and its moments, see `adam_update`."""
        return adam_update(data, gradient, first_moment, second_moment, self.step_count,
                           self.lr, self.beta1, self.beta2, self.eps, weight_decay)


class AdamW(Adam):
    """Adam with decoupled weight decay: each step first shrinks the parameter by the factor 1 - lr * weight_decay.

    Source: Loshchilov and Hutter (2019), "Decoupled Weight Decay Regularization", algorithm 2.
    Departures: the decay is multiplied by the learning rate, as torch has it; in the paper it is multiplied only by the
    schedule, so that a decay of 0.01 here is one of 0.01 * lr there.
    """

    def __init__(self, parameters, lr, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01):
        super().__init__(parameters, lr, betas, eps, weight_decay)

    def update(self, data, gradient, first_moment, second_moment, weight_decay):
        """The new values of one parameter and its moments, see `adamw_update`."""
        return adamw_update(data, gradient, first_moment, second_moment, self.step_count,
                            self.lr, self.beta1, self.beta2, self.eps, weight_decay)
