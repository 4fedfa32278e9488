"""The models: layers put together."""
