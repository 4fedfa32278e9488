"""The README's examples: they run, and the code that they show is the code."""

import inspect
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
README = (ROOT / "README.md").read_text(encoding="utf-8")


def block_after(heading, language):
    """The first code block of a language in the section with this heading."""
    section = README.split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0]
    return re.search(rf"```{language}\n(.*?)```", section, re.DOTALL)[1]


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


def test_train_evaluate_translate(tmp_path):
    outputs = []
    for line in block_after("Train, evaluate, translate", "sh").splitlines():
        command = [sys.executable, *shlex.split(re.sub(r"--steps \d+", "--steps 101", line))[1:]]    # shortened
        run = subprocess.run(command, cwd=tmp_path, text=True, capture_output=True, timeout=120)
        assert run.returncode == 0, run.stderr
        outputs.append(run.stdout)
    assert '"exact_match"' in outputs[0] and '"exact_match"' in outputs[1]
    assert len(outputs[2].splitlines()) == 2
