"""Puts the boxes together and runs them: the only package that imports all others, and that none imports.

===================  ================================================================================================
``deploy.run``       ``make run``: checks, starts the parts in order, prints where they are, stops them in order
``deploy.processes`` the one table of parts: command, phase, order of stopping
``deploy.web``       ingest and read API on one port, by method and path
``deploy.kafka``     a local Apache Kafka broker from Maven
``deploy.tether``    runs a command that ends when its parent does
===================  ================================================================================================
"""
