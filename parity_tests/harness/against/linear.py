"""torch's own linear function."""

from torch.nn import functional as F

from parity_tests.harness.against import Other
from parity_tests.harness.catalog.linear import CASES


def linear(values):
    return F.linear(values["x"], values["weight"], values.get("bias"))


OTHERS = [Other("torch.nn.functional.linear", case, linear) for case in CASES]
