"""The command line `dsd-zoo`: one module in `zoo/cli/commands` for each command.

Exit codes: 0 done and as claimed; 1 it ran, and something does not hold; 2 usage or bad input; 130 stopped
by Ctrl-C. A command raises the errors of `zoo.errors` and `converters.errors` as they are, and ends with
`typer.Exit(1)` if it ran and found something wrong. `main` prints errors and chooses the exit code.
"""
