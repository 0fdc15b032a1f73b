"""The read and control API: HTTP over the books, the facts and the control log.

=============  ====================================================================================================
module         what it answers
=============  ====================================================================================================
``goals``      seed S2: goals of a site, created, listed, changed, deleted
``stats``      seed S2: conversions, unique conversions and revenue of one goal
``reports``    ``/v1/projects/{id}/reports/*``: goals and sources
``receipts``   ``/v1/projects/{id}/events/{event_id}/receipt``: what became of one event
``projects``   projects
``keys``       API keys
``links``      seed S1: links; ``link_goals``: their goals and postback tokens; ``link_analytics``: what clicks brought
``operations`` ledger, dead letters, health, metrics
``docs``       ``/docs``: a page made of ``/openapi.json``, which needs nothing from elsewhere
=============  ====================================================================================================

1. Who may do what is asked once, before a body is read: ``access``, by the scope that each route declares.
2. A configuration is answered from memory, after catching up with the control log: a process sees others' writes.
3. Sums are asked of ClickHouse by the named queries of ``clickhouse/queries`` and travel as exact decimals: no float.
4. Every error has the contract's shape (``errors``), whoever raised it.
"""
