"""What bench/compare and bench/demo share: peers, measured processes, statistics, tables, ledger.

One module, one job; bench/README.md says which. Nothing here knows a particular allocator but
peers.py, and nothing a particular benchmark but workloads.py and demo_*.py.
"""
