"""LARA's assimilation beside other packages on problems with a known answer, each in its own interpreter.

`problems` states the problems, `ours` solves them with `lara.assimilation`. `adao_runner.py` and `dapper_runner.py` are
scripts, never imported here: they run in an environment of their own (envs/peers.txt) that knows nothing of LARA, and
exchange .npz and .json files with it.
"""
