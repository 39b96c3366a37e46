"""The command line: one module per command group; nothing but argument handling and printing.

Work is done by the packages below; heavy imports happen inside the command that needs them, so that ``moorage
--help`` is instant.
"""
