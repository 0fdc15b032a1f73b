"""Feeds a stage from Kafka, and stores what it says. The only part of the stages that knows Kafka, disk and store.

For each micro-batch, in this order; a crash between any two steps replays the batch, and the replay writes the same:

1. poll, bounded by bytes;
2. process, a partition at a time;
3. insert the facts of all partitions at once, and the dead letters;
4. insert the checkpoint rows;
5. produce downstream and await the acknowledgements;
6. write state and offset, one atomic write a partition;
7. commit to Kafka.
"""
