"""Stage `models`: networks trained, and their errors measured."""
