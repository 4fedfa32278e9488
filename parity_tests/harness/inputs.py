"""The inputs of somebody's own function, from a file that numpy.savez has written."""

import zipfile

import numpy as np

from parity_tests.harness.errors import UserError


def read_inputs(path):
    """{argument: value} of an .npz file; what has no axes is a constant. Raises UserError if it is none."""
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] if file[name].ndim else file[name].item() for name in file.files}
    except FileNotFoundError as error:
        raise UserError(f"--inputs: there is no file {path}") from error
    except (OSError, ValueError, EOFError, AttributeError, TypeError, zipfile.BadZipFile) as error:
        raise UserError(f"--inputs: {path} must be an .npz file of numbers, as numpy.savez writes") from error
