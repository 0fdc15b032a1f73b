"""A local Apache Kafka broker (KRaft, broker and controller in one) for laptops and tests; production brings its own.

1. The jars come from Maven (``pom.xml``) once, into the git-ignored ``lib/``; without Java or Maven, Docker's image of
   the same version runs with the same arguments.
2. Everything binds to loopback. The data is below ``$HEADWATER_DATA_DIR/kafka`` and outlives kill -9.
3. ``python -m deploy.kafka`` becomes the JVM (exec), so signals and exit status are the broker's own.
"""
