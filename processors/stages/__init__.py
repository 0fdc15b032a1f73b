"""The stages: rules of ``core`` composed over a key-value state. Given records of one partition, what to write where.

A stage is a pure function of its state, its totals and the records; it knows no broker and no store.
"""
