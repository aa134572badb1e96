"""Prometheus metrics of a worker; docs/metrics.md lists them for people.

Names end in their unit. A worker that shares its port with others (``--workers N``) sums them
through prometheus_client's multiprocess mode, so every gauge states how it is combined.
"""

from prometheus_client import Counter, Gauge, Histogram

_LATENCY_BUCKETS = (
    0.002, 0.005, 0.01, 0.02, 0.03, 0.04, 0.05, 0.075, 0.1, 0.125, 0.15, 0.2, 0.3, 0.5, 1, 2.5, 10,
)  # fmt: skip
_BATCH_BUCKETS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.04, 0.08, 0.16, 0.5, 2)
_RATIO_BUCKETS = (0.25, 0.5, 0.75, 0.9, 1, 1.1, 1.25, 1.5, 2, 3, 4, 8)
_SIZE_BUCKETS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)

EVENTS = Counter("headrace_events", "Records taken from the input topics.", ["topic", "modality"])
RESULTS = Counter(
    "headrace_results",
    "Results acknowledged by the broker.",
    ["topic", "modality", "model", "verdict"],
)
SUPERSEDED = Counter(
    "headrace_superseded_events",
    "Events shed because a newer one of the same utterance or camera came; acknowledged.",
    ["topic", "modality"],
)
UNCHANGED = Counter(
    "headrace_unchanged_events",
    "Images answered like the last of their camera, which showed the same; acknowledged.",
    ["topic", "modality"],
)
DEAD_LETTERS = Counter(
    "headrace_dead_letters",
    "Events that cannot be classified, acknowledged by the broker.",
    ["topic", "modality", "error"],
)
BREAKER_OPEN = Gauge(
    "headrace_breaker_open",
    "1 while a topic's events are not let in, because too many have become dead letters.",
    ["topic"],
    multiprocess_mode="livesum",
)
SUSPECTS = Counter(
    "headrace_suspect_events",
    "Events that workers died over and that were tried alone, by outcome: answered or crashed.",
    ["outcome"],
)
SUSPECTS_WAITING = Gauge(
    "headrace_suspect_waiting_events",
    "Events that workers died over and that wait to be tried alone.",
    multiprocess_mode="livesum",
)
CACHE_LOOKUPS = Counter(
    "headrace_cache_lookups",
    "Events looked up by their content, by outcome: hit, miss, or rescue from being shed.",
    ["topic", "modality", "outcome"],
)
CACHE_BYTES = Gauge(
    "headrace_cache_bytes",
    "Memory that answers kept by content take, estimated.",
    ["topic", "modality"],
    multiprocess_mode="livesum",
)
REVISIONS = Counter(
    "headrace_revisions",
    "Second answers to degraded and shed events, by outcome: published, failed, or dropped.",
    ["topic", "modality", "outcome"],
)
LATENCY = Histogram(
    "headrace_latency_seconds",
    "From an event's Kafka timestamp to the moment its result is handed to the producer.",
    ["topic", "modality"],
    buckets=_LATENCY_BUCKETS,
)
PUBLISH_SECONDS = Histogram(
    "headrace_publish_seconds",
    "From the making of a record, verdict included, to the broker's acknowledgement.",
    buckets=_LATENCY_BUCKETS,
)
OVERDUE_RESULTS = Counter(
    "headrace_overdue_results",
    "Results that say on_time or degraded and were acknowledged after their deadline.",
    ["topic", "modality"],
)
QUEUE_WAIT = Histogram(
    "headrace_queue_wait_seconds",
    "From ingress to the start of the batch.",
    ["topic", "modality"],
    buckets=_LATENCY_BUCKETS,
)
BATCH_SECONDS = Histogram(
    "headrace_batch_seconds",
    "Run time of a batch.",
    ["topic", "modality", "model", "effort"],
    buckets=_BATCH_BUCKETS,
)
BATCH_EVENTS = Histogram(
    "headrace_batch_events",
    "Events in a batch.",
    ["topic", "modality", "model"],
    buckets=_SIZE_BUCKETS,
)
BATCH_TOKENS = Counter(
    "headrace_batch_tokens", "Tokens run, summed over batches.", ["topic", "modality", "model"]
)
BATCH_PREDICTED_SECONDS = Counter(
    "headrace_batch_predicted_seconds",
    "What batches should hardly have exceeded, summed over them.",
    ["topic", "modality", "model", "effort"],
)
BATCH_PREDICTED_RATIO = Histogram(
    "headrace_batch_predicted_ratio",
    "What a batch should hardly have exceeded over its run time.",
    ["topic", "modality", "model", "effort"],
    buckets=_RATIO_BUCKETS,
)
COST_FIXED_SECONDS = Gauge(
    "headrace_cost_fixed_seconds",
    "What any batch typically costs, whatever it holds.",
    ["modality", "model", "effort"],
    multiprocess_mode="livemax",
)
COST_TOKEN_SECONDS = Gauge(
    "headrace_cost_token_seconds",
    "What a token adds to that.",
    ["modality", "model", "effort"],
    multiprocess_mode="livemax",
)
COST_EVENT_SECONDS = Gauge(
    "headrace_cost_event_seconds",
    "What an event adds, beside its tokens.",
    ["modality", "model", "effort"],
    multiprocess_mode="livemax",
)
COST_TAIL_RATIO = Gauge(
    "headrace_cost_tail_ratio",
    "What a batch hardly exceeds over what it typically costs.",
    ["modality", "model"],
    multiprocess_mode="livemax",
)
ACTIVE_SHARE = Histogram(
    "headrace_active_share",
    "Share of the encoder's parameters that ran for an event.",
    ["topic", "modality", "model"],
    buckets=(0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 1),
)
QUEUE_EVENTS = Gauge(
    "headrace_queue_events", "Events waiting.", ["topic", "modality"], multiprocess_mode="livesum"
)
QUEUE_TOKENS = Gauge(
    "headrace_queue_tokens", "Tokens waiting.", ["topic", "modality"], multiprocess_mode="livesum"
)
IN_FLIGHT = Gauge(
    "headrace_in_flight_events",
    "Events taken from the broker whose offset is not yet complete.",
    multiprocess_mode="livesum",
)
IN_FLIGHT_BYTES = Gauge(
    "headrace_in_flight_bytes",
    "Size of the records of events in flight.",
    multiprocess_mode="livesum",
)
PAUSED = Gauge(
    "headrace_paused_partitions",
    "Partitions paused because the queue is full, or too many answers wait to be sent.",
    multiprocess_mode="livesum",
)
ASSIGNED = Gauge(
    "headrace_assigned_partitions",
    "Partitions this worker owns.",
    multiprocess_mode="livesum",
)
LAG = Gauge(
    "headrace_lag_events",
    "Events in the broker after the committed position, over the owned partitions.",
    ["topic"],
    multiprocess_mode="livesum",
)
TRANSACTIONS = Counter(
    "headrace_transactions",
    "Transactions of exactly-once delivery, by outcome: committed, or repeated after a failure.",
    ["outcome"],
)
TRANSACTION_SECONDS = Histogram(
    "headrace_transaction_seconds",
    "From the start of a transaction to its commit.",
    buckets=_LATENCY_BUCKETS,
)
BROKER_REACHABLE = Gauge(
    "headrace_broker_reachable",
    "Worker processes that the broker answers.",
    multiprocess_mode="livesum",
)
COMMITS = Counter("headrace_commits", "Offset commits, by outcome.", ["outcome"])
REBALANCES = Counter("headrace_rebalances", "Times that the group's assignment changed.")
DROPPED = Counter(
    "headrace_dropped_events",
    "Events given up at a rebalance because another worker owns them now; nothing is lost.",
)
CONSUMER_REBUILDS = Counter(
    "headrace_consumer_rebuilds",
    "Consumers replaced by the watchdog because positions stood still.",
)
WORKER_RESTARTS = Counter(
    "headrace_worker_restarts", "Worker processes that ended on their own and were started again."
)
TRACE_SPANS = Counter(
    "headrace_trace_spans",
    "Spans of traces, by outcome: sent, failed, or dropped because too many waited.",
    ["outcome"],
)
READY = Gauge("headrace_ready", "1 while the worker can classify.", multiprocess_mode="livesum")
ENTITIES = Counter(
    "headrace_entities",
    "Companies found in news, by what they were found by: name, cashtag, listing or ticker.",
    ["how"],
)
GAZETTEER_COMPANIES = Gauge(
    "headrace_gazetteer_companies",
    "Companies that are looked for in news.",
    multiprocess_mode="livemax",
)
GAZETTEER_LOADED = Gauge(
    "headrace_gazetteer_loaded_timestamp_seconds",
    "When the list of companies was loaded, since the epoch; the oldest of the workers'.",
    multiprocess_mode="livemin",
)
GAZETTEER_LOADS = Counter(
    "headrace_gazetteer_loads",
    "Lists of companies read, by outcome: loaded, or refused and the old one kept.",
    ["outcome"],
)
GAZETTEER_STALE = Gauge(
    "headrace_gazetteer_stale",
    "Worker processes whose list of companies is an older one, because the file was refused.",
    multiprocess_mode="livesum",
)
GAZETTEER_VERSION = Gauge(
    "headrace_gazetteer_version",
    "Worker processes that use the list of companies of this digest.",
    ["digest"],
    multiprocess_mode="livesum",
)
GATEWAY_CLIENTS = Gauge(
    "headrace_gateway_clients",
    "Clients of the gateway that follow a topic.",
    ["topic"],
    multiprocess_mode="livesum",
)
GATEWAY_EVENTS = Counter(
    "headrace_gateway_events", "Results and dead letters sent to clients of the gateway.", ["topic"]
)
GATEWAY_DELAY = Histogram(
    "headrace_gateway_delay_seconds",
    "From a record's Kafka timestamp to its being told to those who follow its topic.",
    ["topic"],
    buckets=_LATENCY_BUCKETS,
)
GATEWAY_INGESTED = Counter(
    "headrace_gateway_ingested_events",
    "Events that were sent to the gateway and that the brokers have acknowledged.",
    ["topic"],
)
GATEWAY_UNACKNOWLEDGED = Gauge(
    "headrace_gateway_unacknowledged_bytes",
    "Bytes of events that the gateway has taken and the brokers have not acknowledged.",
    multiprocess_mode="livesum",
)
GATEWAY_CUT = Counter(
    "headrace_gateway_cut_clients",
    "Clients of the gateway that read more slowly than results came, and were disconnected.",
    ["topic"],
)
GATEWAY_REFUSED = Counter(
    "headrace_gateway_refused_requests",
    "Requests that the gateway did not serve: token, limit or request.",
    ["reason"],
)
APP_RECORDS = Counter(
    "headrace_app_records",
    "What an app took and made, by outcome: result, no_result, part, repeated, derived, or wake.",
    ["app", "outcome"],
)
WEBHOOK_ATTEMPTS = Counter(
    "headrace_webhook_requests",
    "Requests that webhooks have sent, by what came of it: 2xx to 5xx, or none.",
    ["webhook", "answer"],
)
WEBHOOK_DELIVERED = Counter(
    "headrace_webhook_delivered_records", "Records that an endpoint has accepted.", ["webhook"]
)
WEBHOOK_DEAD_LETTERS = Counter(
    "headrace_webhook_dead_letters",
    "Records that became dead letters of their webhook: refused, or exhausted.",
    ["webhook", "why"],
)
WEBHOOK_PASSED_OVER = Counter(
    "headrace_webhook_passed_over_records",
    "Records in a webhook's topics that cannot be read as what the topics hold.",
    ["webhook"],
)
WEBHOOK_WAITING = Gauge(
    "headrace_webhook_retry_waiting_records",
    "Records that an endpoint did not take and that wait to be tried again.",
    ["webhook"],
    multiprocess_mode="livesum",
)
WEBHOOK_LAG_SECONDS = Gauge(
    "headrace_webhook_lag_seconds",
    "Age of the oldest record that was taken in and is not delivered.",
    ["webhook"],
    multiprocess_mode="livemax",
)
WEBHOOK_LAG = Gauge(
    "headrace_webhook_lag_records",
    "Records at the broker that are not delivered, over the owned partitions.",
    ["webhook"],
    multiprocess_mode="livesum",
)
WEBHOOK_OPEN = Gauge(
    "headrace_webhook_circuit_open",
    "1 while an endpoint counts as dead, and is only probed.",
    ["webhook"],
    multiprocess_mode="livesum",
)
WEBHOOK_SECONDS = Histogram(
    "headrace_webhook_request_seconds",
    "From sending a request to its answer, or to giving it up.",
    ["webhook"],
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
