"""Runs a module, such as pip, that Ctrl-C ends without a traceback."""

import runpy
import sys


def said(kind, error, traceback):
    if not issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, traceback)


sys.excepthook = said
del sys.argv[0]
runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
