"""Recorder, comparator, cases and oracles: what it takes to show that two implementations are the same computation."""
