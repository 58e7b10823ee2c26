"""What the core asks of the outside: Store, Engine, Provider, Loader."""
