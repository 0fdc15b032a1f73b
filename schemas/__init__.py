"""What every box agrees on: structs, topics, codec, ids, outcomes, errors, settings, control records.

This is the bottom layer. It imports msgspec and the standard library only; everything else may import it, so two
processes that disagree about a byte on a topic can only do so by editing a file in this folder.

===============  =====================================================  ==========================================
box              reads                                                  writes
===============  =====================================================  ==========================================
ingest           HTTP, ``control``                                      ``events-raw``, ``conversions-raw``
events stage     ``events-raw``, ``control``                            events, event_log, ...; ``conversions-raw``
conversions st.  ``conversions-raw``                                    conversion_arrivals; ``conversions``
booker           facts, ``control``                                     goal_bookings, credits, runs
read API         books, views, ``control``                              ``control``
===============  =====================================================  ==========================================
"""
