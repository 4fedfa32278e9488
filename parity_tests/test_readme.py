"""The README's examples: they run, and the code that they show is the code."""

import inspect
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from numpy_impl.layers import normalization
from torch_impl.layers import normalization as torch_normalization

ROOT = Path(__file__).parent.parent
LAB = "The lab: see it, write it, break it"
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks_after(heading, language):
    """The code blocks of a language in the section with this heading."""
    section = README.split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0]
    return re.findall(rf"```{language}\n(.*?)```", section, re.DOTALL)


def block_after(heading, language):
    """The first of them."""
    return blocks_after(heading, language)[0]


def test_the_pair_is_the_source():
    rows = block_after("How a twin pair looks", "python").splitlines()
    two_columns = [row for row in rows if row[60:65].isspace()]
    ours = [row[:65].strip() if row in two_columns else row.strip() for row in rows]
    theirs = [row[65:].strip() for row in two_columns]
    expected = without_docstring(normalization.rms_norm) + without_docstring(normalization.rms_norm_backward)
    assert [line for line in ours if line] == expected
    assert [line for line in theirs if line][:-1] == without_docstring(torch_normalization.rms_norm)


def without_docstring(function):
    """The lines of a function as the README shows them: no docstring, no comment behind a statement."""
    head, _, body = re.split('"""', inspect.getsource(function))
    lines = [re.sub(r"(\S)\s{2,}# .*", r"\1", line).strip() for line in (head + body).splitlines()]
    return [line for line in lines if line]


def test_stepping_through_a_layer(tmp_path):
    script = tmp_path / "step.py"
    script.write_text(block_after("Step through a layer", "python"))
    shown = subprocess.run([sys.executable, str(script)], input="next\np d_x\ncontinue\n", text=True,
                           capture_output=True,
                           cwd=Path(__file__).parent.parent, timeout=60)
    assert shown.returncode == 0, shown.stderr
    x = torch.tensor([[1.0, 2.0, 3.0, 6.0]], dtype=torch.float64, requires_grad=True)
    torch.nn.functional.layer_norm(x, (4,)).backward(torch.tensor([[1.0, 0.0, 0.0, 0.0]], dtype=torch.float64))
    printed = np.array(re.search(r"\[\[(.*?)\]\]", shown.stdout.splitlines()[-1])[1].split(), dtype=float)
    np.testing.assert_allclose(printed, x.grad.numpy()[0], atol=1e-8)


@pytest.mark.parametrize("target", re.findall(r"\]\(([^)]+)\)", README))
def test_what_is_linked_exists(target):
    """Images too. Other sites are not asked."""
    assert re.match(r"https?://", target) or (ROOT / target.partition("#")[0]).exists()


WRONG_LAYER_NORM = """
import numpy as np

def layer_norm_backward(d_y, cache):
    centered, std, x_hat, gamma = cache
    d_gamma = (d_y * x_hat).sum(axis=(0, 1))
    d_beta = d_y.sum(axis=(0, 1))
    d_x_hat = d_y * gamma
    d_x = (d_x_hat - d_x_hat.mean(axis=-1, keepdims=True)) / std    # as if std did not depend on x
    return d_x, d_gamma, d_beta
"""


def run_in(folder, line):
    """Run a line of the README in a folder. Returns the finished process."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run([sys.executable, *shlex.split(line, comments=True)[1:]], cwd=folder, env=environment,
                          encoding="utf-8", capture_output=True, timeout=120)


def test_the_lab(tmp_path):
    for line in block_after(LAB, "sh").splitlines():
        if " grade " in line:
            assert "not written yet" in run_in(tmp_path, line).stdout
            (tmp_path / "layer_norm.py").write_text(WRONG_LAYER_NORM.lstrip())
        run = run_in(tmp_path, line)
        assert (run.returncode, run.stderr) == (1 if " grade " in line else 0, ""), line
        if " grade " in line:
            shown = block_after(LAB, "console").splitlines()[1:]
            assert [text for text in shown if text not in run.stdout] == []
    assert {path.name for path in tmp_path.iterdir()} == {"layer_norm.py", "hunt_normalization.py", "runs"}


def test_a_function_of_ones_own(tmp_path):
    (tmp_path / "my_layer.py").write_text(block_after(LAB, "python"))
    check, step = blocks_after(LAB, "sh")[1].splitlines()
    assert "passed" in run_in(tmp_path, check).stdout
    assert run_in(tmp_path, step).returncode == 0 and (tmp_path / "swish.html").exists()


def test_train_evaluate_translate(tmp_path):
    outputs = []
    for line in block_after("Train, evaluate, translate", "sh").splitlines():
        command = [sys.executable, *shlex.split(re.sub(r"--steps \d+", "--steps 101", line))[1:]]    # shortened
        run = subprocess.run(command, cwd=tmp_path, text=True, capture_output=True, timeout=120)
        assert run.returncode == 0, run.stderr
        outputs.append(run.stdout)
    assert '"exact_match"' in outputs[0] and '"exact_match"' in outputs[1]
    assert len(outputs[2].splitlines()) == 2
