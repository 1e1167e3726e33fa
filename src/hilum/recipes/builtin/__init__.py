"""One TOML file per study; see `hilum recipes` and `hilum show`."""
