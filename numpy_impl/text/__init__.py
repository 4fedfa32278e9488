"""Text: vocabularies, tasks and batches. There is no mathematics to mirror, so torch_impl uses these too."""
