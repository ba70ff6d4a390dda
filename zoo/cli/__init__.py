"""The command line `dsd-zoo`: one module per command, each with one function of the module's name.

Exit codes: 0 done and as claimed; 1 it ran, and something does not hold; 2 usage or bad input; 130 stopped
by Ctrl-C. A command raises the errors of `zoo.errors` and `converters.errors` as they are, and ends with
`typer.Exit(1)` where it ran and found something wrong. Command modules import nothing heavy at their top:
`--help` reads them all.
"""
