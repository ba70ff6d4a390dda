"""The commands of `dsd-zoo`: one file each, with one function marked by `zoo.cli.command.command`.

A new file here is a new command; no list names it. All are imported for every call, also for `--help`, so
they import nothing heavy at their top.
"""
