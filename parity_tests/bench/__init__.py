"""How fast is the NumPy twin beside PyTorch? `make bench`, or python -m parity_tests.bench step | import."""
