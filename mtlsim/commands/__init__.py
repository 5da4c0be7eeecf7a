"""What the command line can do, one class per command; they load jax only when they run."""
