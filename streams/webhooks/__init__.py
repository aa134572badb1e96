"""Results, signals and alerts posted to HTTP endpoints, at least once, whatever becomes of these.

Each webhook is a consumer group of its own, so none waits for another's endpoint. The way of one
record::

    loop       polls; the offset begins                    streams/consumer/loop.py
    picking    wanted? new?                                else the offset is complete
    delivery   after its key's predecessor; once the       tried again with growing, random waits
               circuit lets it: one signed POST
               2xx                                         the offset is complete
               refused, or tried for too long              dead letter, acknowledged; complete
    loop       commits the contiguous completed prefix     streams/delivery/prefix.py
"""
