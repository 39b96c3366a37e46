"""The HTTP API's pure parts: paths, options, tokens, deletion, strategy."""
