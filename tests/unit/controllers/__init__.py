"""Controllers: decisions on given and generated states."""
