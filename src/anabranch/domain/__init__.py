"""The pure core: values and functions on them; standard library only, no input or output."""
