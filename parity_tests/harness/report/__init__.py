"""The parity report: every case, every tensor, every oracle, as JSON and as a web page."""

from parity_tests.harness.report.build import report

__all__ = ["report"]
