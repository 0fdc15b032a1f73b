"""``make demo``: half a year of a real shop's clickstream, posted to a running instance and counted twice.

The clicks are those that the package ``retentioneering`` (Apache-2.0) ships. They are moved to end now, get UTM
parameters from their acquisition channels and prices for their purchases, and are posted in batches. What Headwater
then reports is printed beside an independent computation from the file: the two must be equal.
"""
