"""``python -m moorage.cli``: how the supervisor starts its parts."""

from moorage.cli.main import main

if __name__ == "__main__":
    main()
