"""Parameter groups, and the checks of what an optimizer is given. They serve both twins."""

from numpy_impl import checks


def parameter_groups(model, weight_decay):
    """Two groups for an optimizer: matrices and larger arrays decay, biases and the gains of norms do not.

    model: a Module of either twin. weight_decay: of every parameter with two axes or more. A shared parameter comes
    once. Returns a list of groups (see `group_entries`).
    """
    named_parameters = list(model.named_parameters())
    decaying = [(path, parameter) for path, parameter in named_parameters if len(parameter.shape) >= 2]
    others = [(path, parameter) for path, parameter in named_parameters if len(parameter.shape) < 2]
    return [{"named_parameters": decaying, "weight_decay": weight_decay},
            {"named_parameters": others, "weight_decay": 0.0}]


def group_entries(parameters, weight_decay):
    """Return a list of (path, parameter, weight_decay) from what an optimizer is given.

    parameters: pairs (path, Parameter), as `model.named_parameters()` yields them, or groups: dictionaries with
    "named_parameters" (such pairs) and, optionally, "weight_decay". weight_decay: where a group has none of its own.
    Raises TypeError for anything else, ValueError for a group with another key, a path or a parameter that comes
    twice, no parameters at all, or a weight_decay that is negative or not finite.
    """
    items = list(parameters)
    groups = items if items and isinstance(items[0], dict) else [{"named_parameters": items}]
    entries = []
    for group in groups:
        if not isinstance(group, dict):
            raise TypeError(f"parameters holds groups and a {type(group).__name__}, must hold only one kind")
        if not {"named_parameters"} <= group.keys() <= {"named_parameters", "weight_decay"}:
            raise ValueError(f"a group has the keys {sorted(group)}, must have 'named_parameters' "
                             "and may have 'weight_decay'")
        decay = checks.not_negative("weight_decay", group.get("weight_decay", weight_decay))
        for pair in group["named_parameters"]:
            if not (isinstance(pair, tuple) and len(pair) == 2 and isinstance(pair[0], str)):
                raise TypeError(f"parameters holds a {type(pair).__name__}, must hold pairs (path, Parameter), "
                                "as model.named_parameters() yields them")
            entries.append((*pair, decay))
    if not entries:
        raise ValueError("parameters is empty, must hold at least one parameter")
    first_path = {}
    for path, parameter, _ in entries:
        if path in first_path.values():
            raise ValueError(f"the path {path!r} comes twice in parameters")
        if id(parameter) in first_path:
            raise ValueError(f"{path!r} is the same parameter as {first_path[id(parameter)]!r}, must come once")
        first_path[id(parameter)] = path
    return entries


def check_state(state, own):
    """Check the `state` given to an optimizer against its `own`, both {name: ndarray}. Raises ValueError."""
    checks.state("optimizer state", state, own)
    if state["step"] < 0:
        raise ValueError(f"optimizer state['step'] is {state['step']}, must be at least 0")
