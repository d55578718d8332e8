// Package metrics shows the counters of a node to Prometheus.
//
// The counters belong to the loops of the node, which keep them without locks.
// For each scrape the package asks for their sum once, and makes constant
// metrics of it. So all values of one scrape are from the same moment, and a
// scrape costs the loops one snapshot. A broker describes its own figures, and
// a second collector shows them in the same way. The package imports node and
// cluster for the types of these snapshots, and the Prometheus client. It
// starts no goroutine.
//
// [Handler] is enough for an application with one node and no registry of its
// own. An application with a registry passes [NewCollector] to it, and
// [NewBrokerCollector] if its nodes form a cluster.
//
// # Catalog
//
// Units are bytes and seconds. The values of every label are a closed set;
// peers choose none of them. All values of all labels are present from the
// start, so that a rate is correct from the first event on.
//
// Connections:
//
//	stoa_connections                gauge      open WebSocket connections
//	stoa_connection_limit           gauge      connections beyond which upgrades are answered with 503; 0: no limit
//	stoa_pending_handshakes         gauge      accepted sockets whose handshake is not finished
//	stoa_paused_connections         gauge      connections paused because the broker is congested
//	stoa_addresses                  gauge      client addresses that are kept for their limits, if there are any: those
//	                                           with connections, and those that have tried to connect
//	stoa_over_rate_connections      gauge      connections paused because they exceed a rate
//	stoa_sockets_accepted_total     counter    sockets accepted, those of plain HTTP included
//	stoa_accept_errors_total        counter    failed accepts, and pauses for want of descriptors
//	stoa_http_handovers_total       counter    sockets handed to net/http because they asked for no WebSocket
//	stoa_http_evictions_total       counter    connections of net/http closed because descriptors had run out
//	stoa_handshakes_total           counter    attempts to open a WebSocket; label result: accepted, bad_request,
//	                                           forbidden_origin, bad_version, header_too_large, timeout, full, aborted,
//	                                           refused (by the application), forbidden_host,
//	                                           evicted (without a request, to make room),
//	                                           address_full, address_rate, node_rate
//	stoa_proxy_errors_total         counter    connections and requests of proxies that do not tell the client's address;
//	                                           label reason: bad_header (of the PROXY protocol, closed), untrusted
//	                                           (closed), bad_field (the client gets the address of its proxy)
//	stoa_closes_total               counter    connections ended; labels code: a close code of package wire or
//	                                           "other"; initiator: peer, server
//	stoa_denied_total               counter    messages and requests of clients that a rule of their namespace refused;
//	                                           labels namespace: a declared one; rule: connect, join, emit, ask,
//	                                           emit_namespace, history, presence, room_name,
//	                                           message_size, room_full
//	stoa_pings_sent_total           counter    WebSocket pings sent
//	stoa_send_queue_exceeded_total  counter    send queues that exceeded their limit; their connections had to catch up
//	stoa_senders_paused_total       counter    short pauses of clients whose messages met such a send queue
//	stoa_shares_exceeded_total      counter    pauses of clients that publish faster than their messages are delivered
//	stoa_expiry_notices_total       counter    notices to clients that their identity is about to end; the ends are in
//	                                           stoa_closes_total, code identity_expired
//	stoa_renewals_total             counter    tokens that clients handed in over open connections; label result:
//	                                           accepted, refused, forbidden, failed, limited, unhandled
//	stoa_rates_exceeded_total       counter    pauses of clients that exceed a rate; label rate: messages, bytes,
//	                                           user_messages, user_bytes, joins
//	stoa_limits_exceeded_total      counter    messages and requests of clients beyond a limit; label limit: names,
//	                                           namespaces, rooms, asks (too many), ask_time (not answered in time),
//	                                           join_time (the broker did not subscribe in time), http_time (the answer
//	                                           to an HTTP request was not taken in time)
//	stoa_asks_skipped_total         counter    asks that were not sent to a client with too many open ones
//	stoa_open_asks                  gauge      asks to clients of this node that have no answer yet
//
// Messages:
//
//	stoa_messages_received_total    counter    messages from clients; labels type: text, binary; result: system,
//	                                           relayed, answer, late_answer, unhandled, refused, ignored, invalid, dropped,
//	                                           handled (by the application)
//	stoa_messages_sent_total        counter    data frames queued for clients, deliveries included
//	stoa_deliveries_total           counter    deliveries: one for each message and each member that gets it
//	stoa_deliveries_dropped_total   counter    deliveries dropped for members that do not read fast enough
//	                                           (NamespaceOptions.SlowConsumer)
//	stoa_volatile_dropped_total     counter    volatile messages that were dropped; label reason: slow (deliveries to
//	                                           members whose sockets do not keep up), congested (messages for all
//	                                           members, while a queue is long)
//	stoa_dropped_frames_total       counter    frames queued and not written when their connection ended
//	stoa_received_bytes_total       counter    bytes read from sockets by the loops, framing and handshakes included
//	stoa_sent_bytes_total           counter    bytes written to sockets by the loops, framing and handshakes included;
//	                                           neither counts the bytes of net/http after a handover
//	stoa_frames_per_write           histogram  frames that left in one write
//
// Queues and back-pressure:
//
//	stoa_queue_bytes                gauge      bytes queued for sockets, overhead included
//	stoa_queue_memory_bytes         gauge      bytes of all queues that Limits.QueueMemory bounds
//	stoa_queue_memory_limit_bytes   gauge      Limits.QueueMemory; 0: no limit
//	stoa_queue_memory_closes_total  counter    connections closed because the queues exceeded Limits.QueueMemory
//	stoa_inbox_bytes                gauge      bytes of deliveries queued for a loop
//	stoa_congested                  gauge      1 while publishing connections are paused, all of them or those of one
//	                                           Redis server, else 0
//
// The history and the members of rooms:
//
//	stoa_history_rooms                gauge    rooms with history that have a member here
//	stoa_history_bytes                gauge    bytes of their recent messages
//	stoa_history_reads_total          counter  reads of the broker's history
//	stoa_history_read_errors_total    counter  those that failed
//	stoa_history_recovered_total      counter  joins with all missed messages
//	stoa_history_not_recovered_total  counter  joins for which some were missing
//	stoa_history_repaired_total       counter  messages read after an interruption
//	stoa_history_gaps_total           counter  rooms whose gap could not be filled
//	stoa_history_evicted_total        counter  messages beyond Limits.HistoryMemory, in the memory broker
//	stoa_history_confirmed_total      counter  confirmed emits, further copies included
//	stoa_history_unconfirmed_total    counter  those that failed, or whose outcome is unknown
//	stoa_presence_rooms               gauge    rooms with presence and a member here
//	stoa_presence_members             gauge    members of these rooms, on all nodes
//
// The application's handlers. The node's own tasks between handlers do not
// count as calls, but the bytes include their messages:
//
//	stoa_handlers_total             counter    calls that have returned; labels kind: accept, opened, closed, connect,
//	                                           connected, disconnected, join, joined, leave, left, emit, ask, relay,
//	                                           native; result: ok, error, panic
//	stoa_handlers_running           gauge      calls in progress
//	stoa_handlers_queued            gauge      connections whose next handler waits for the limit of its namespace
//	                                           (NamespaceOptions.MaxHandlers)
//	stoa_handler_bytes              gauge      bytes of messages that are handled or queued for a handler, overhead included
//
// Rooms:
//
//	stoa_rooms                      gauge      rooms with a member, counted once for each loop that has one
//	stoa_memberships                gauge      memberships: pairs of a connection and a room
//	stoa_users                      gauge      users with a connection, counted once for each loop that has one
//	stoa_user_connections           gauge      connections of users
//	stoa_blocked_users              gauge      users that are blocked
//	stoa_user_refusals_total        counter    connections of users that were refused or closed; label reason:
//	                                           unavailable (not subscribed in time), blocked, limit
//	stoa_subscriptions              gauge      channels subscribed at the broker
//
// The node:
//
//	stoa_loops                      gauge      event loops
//	stoa_loop_turns_total           counter    turns of all loops
//	stoa_loop_lag_seconds           histogram  how late a loop served its timer
//	stoa_pending_calls              gauge      asks of this node and its clients to others that wait for answers
//	stoa_late_answers_total         counter    answers that arrived after their ask had ended
//	stoa_bad_requests_total         counter    malformed requests of other nodes: grows while nodes of different
//	                                           versions run
//	stoa_certificate_errors_total   counter    changes of the TLS certificate's files without a usable certificate:
//	                                           the previous one stays in use
//	stoa_draining                   gauge      1 while the node shuts down, else 0
//	stoa_build_info                 gauge      always 1; labels version, revision, goversion
//
// The cluster. Only a Redis broker has these: the memory broker of a single
// node has no queue, no server and no other nodes. The label server is the
// position of the server, from 0, in the alphabetical order of the servers'
// addresses, which is the same on all nodes.
//
//	stoa_known_nodes                        gauge      nodes of the cluster that this node knows to be alive, itself
//	                                                   included
//	stoa_broker_up                          gauge      1 while the server receives and delivers messages, else 0;
//	                                                   label server
//	stoa_broker_congested                   gauge      1 while the queue of the server is so full that connections
//	                                                   that publish to it are paused, else 0; label server
//	stoa_broker_subscriptions               gauge      subscriptions that the server has confirmed, the node's own
//	                                                   included; label server
//	stoa_broker_queue_messages              gauge      messages that wait to be published or acknowledged; label server
//	stoa_broker_queue_bytes                 gauge      the same in bytes; label server
//	stoa_broker_published_messages_total    counter    messages that the server has acknowledged, probes included;
//	                                                   label server
//	stoa_broker_delivered_messages_total    counter    messages received and passed to the node; label server
//	stoa_broker_resent_messages_total       counter    messages published again after an outage; label server
//	stoa_broker_repeated_messages_total     counter    messages received for the second time and dropped; label
//	                                                   server
//	stoa_broker_dropped_messages_total      counter    messages between nodes that were lost here, over all servers;
//	                                                   label cause: queue_full and too_old (not published),
//	                                                   bad_version and malformed (not understood)
//	stoa_broker_reconnects_total            counter    connections that were lost; labels server; connection:
//	                                                   publisher, subscriber
//	stoa_broker_refusals_total              counter    requests that the server answered with an error; labels server; request:
//	                                                   publish, subscribe, register, transaction, history
//	stoa_broker_duplicate_nodes_total       counter    announcements of nodes whose ID a newer node has; label server
//	stoa_broker_gaps_total                  counter    interruptions of the subscriptions; label server
//	stoa_broker_missed_messages_max_total   counter    upper bound of the messages of other nodes that were missed in
//	                                                   gaps; label server
//	stoa_broker_history_failures_total      counter    messages that were published, but not stored in the history of
//	                                                   their channel; label server
//	stoa_broker_once_failures_total         counter    confirmed messages that the server did not store, and that were
//	                                                   not published for that; label server
//	stoa_broker_once_repeats_total          counter    confirmed messages that were not published because their ID was
//	                                                   known; label server
//	stoa_broker_flush_timeouts_total        counter    outages after which publishing went on before all known nodes
//	                                                   were back; label server
//	stoa_broker_publish_seconds             histogram  from publish to acknowledgement, of the oldest message of each
//	                                                   batch; label server
//	stoa_broker_round_trip_seconds          histogram  from sending a batch to its acknowledgement; label server
//	stoa_broker_lag_seconds                 histogram  from publish to receive on the same node, of every 64th of its
//	                                                   own messages; label server
//	stoa_broker_batch_messages              histogram  messages that left in one batch; label server
//
// Authentication. Only an application that registers collectors for its
// authenticators ([NewAuthCollector]) has these:
//
//	stoa_tokens_total            counter    requests and tokens checked for a JSON Web Token; label result: valid,
//	                                        anonymous (no token, and none required), or the reason of a refusal: see
//	                                        auth.Result
//	stoa_jwks_up                 gauge      1 while the last fetch of the JWK Set was good, else 0; 1 without a JWK Set
//	stoa_jwks_keys               gauge      keys that the last good fetch of the JWK Set has found
//	stoa_jwks_fetches_total      counter    fetches of the JWK Set; label result: ok, error
//	stoa_api_keys_total          counter    requests checked for an API key; label result: valid,
//	                                        anonymous, token_required, ambiguous, unknown_key
//
// Handler adds the go_ and process_ metrics of the Prometheus client library:
// memory, garbage collection, goroutines, threads, processor time and open
// descriptors.
package metrics
