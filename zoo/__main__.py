"""`python -m zoo` runs the same command as `dsd-zoo`."""

from zoo.cli.main import main

if __name__ == "__main__":
    main()
