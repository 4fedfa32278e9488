"""The tests that hold the two implementations together, and the harness that they are built on."""
