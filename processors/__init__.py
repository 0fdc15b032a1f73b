"""Between Kafka and the facts: stages that name, dedupe, sessionise and store; and the booker, which counts.

Read :mod:`processors.topology` first: it is the stages as a table. ``core`` holds the rules, ``stages`` compose them,
``runtime`` feeds them from Kafka and is the only part that knows it.
"""
